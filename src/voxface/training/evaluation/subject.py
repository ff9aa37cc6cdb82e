"""What is evaluated: a bundle's networks on voices, or pictures and meshes that another method made of them."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.trial import open_graphs
from voxface.runtime.errors import BundleError, UsageError
from voxface.runtime.features.normalisation import network_input
from voxface.training.data.images import as_pictures
from voxface.training.data.pairs import Pairs

Float32 = NDArray[np.float32]
BATCH: Final = 64


class Subject(Protocol):
    """What is evaluated.

    Attributes:
        name: of the method, for the tables.
        digest: SHA-256 of what it is made of.
        makes: which of "faces" and "meshes" it makes.
    """

    name: str
    digest: str
    makes: frozenset[str]

    def faces(self, utterances: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """A picture of each utterance, uint8 [U, S, S, 3]."""
        ...

    def coefficients(self, utterances: Sequence[int] | NDArray[np.integer[Any]]) -> Float32:
        """A face of each utterance as coefficients of the pairs' morphable model, float32 [U, P]."""
        ...


class BundleSubject:
    """A bundle's networks, on the CPU, as the runtime runs them; a context manager that frees its engines.

    Attributes:
        name, digest, makes: see `Subject`.
        bundle: the bundle.
    """

    makes = frozenset({"faces", "meshes"})

    def __init__(self, bundle: Bundle | Path | None, pairs: Pairs | None = None, *, threads: int | None = None) -> None:
        """Opens the engines.

        Args:
            bundle: None: the default bundle.
            pairs: whose utterances are meant; None where only `embed`, `faces_of` and `coefficients_of` are used.

        Raises:
            BundleError, ProviderError: see `open_graphs`.
        """
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
        self._pairs = pairs
        self._engines: dict[str, Engine] = open_graphs(self.bundle, ("encoder", "face", "mesh"), "cpu", threads=threads)
        self.name = self.bundle.name
        self.digest = self.bundle.manifest.sha256 or ""
        self._embedded: dict[int, Float32] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for engine in self._engines.values():
            engine.__exit__(kind, error, trace)

    def embed(self, frames: Iterable[Float32]) -> Float32:
        """Embeddings float32 [N, E] of unit length, of log-mel frames [T, 64] each, whole, as the runtime embeds a clip."""
        how = self.bundle.front_end
        rows = [
            self._engines["encoder"].run({"log_mel": network_input(one, how.shortest, how.normalisation)})["embedding"][0]
            for one in frames
        ]
        width = len(rows[0]) if rows else 0
        return self._checked("encoder", np.array(rows, np.float32).reshape(len(rows), width))

    def embeddings(self, utterances: Sequence[int] | NDArray[np.integer[Any]]) -> Float32:
        """Embeddings float32 [U, E] of utterances of the pairs; each is computed once."""
        if self._pairs is None:
            raise UsageError("no pairs were given")
        missing = [u for u in dict.fromkeys(int(u) for u in utterances) if u not in self._embedded]
        pairs = self._pairs
        for u, row in zip(missing, self.embed(pairs.utterance(u) for u in missing), strict=True):
            self._embedded[u] = row
        return np.array([self._embedded[int(u)] for u in utterances], np.float32)

    def faces_of(self, embeddings: Float32) -> NDArray[np.uint8]:
        """Pictures uint8 [N, S, S, 3] of embeddings [N, E]."""
        parts = [
            as_pictures(torch.from_numpy(self._checked("face", self._engines["face"].run({"embedding": part})["image"])))
            for part in _parts(embeddings)
        ]
        return np.concatenate(parts)

    def coefficients_of(self, embeddings: Float32) -> Float32:
        """Coefficients float32 [N, P] of embeddings [N, E]."""
        rows = [self._engines["mesh"].run({"embedding": part})["coefficients"] for part in _parts(embeddings)]
        return self._checked("mesh", np.concatenate(rows))

    def faces(self, utterances: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        """See `Subject`."""
        return self.faces_of(self.embeddings(utterances))

    def coefficients(self, utterances: Sequence[int] | NDArray[np.integer[Any]]) -> Float32:
        """See `Subject`; the bundle's morphable model must be that of the pairs.

        Raises:
            UsageError: it is another one.
        """
        if self._pairs is not None and not same_model(self.bundle, self._pairs):
            raise UsageError(
                f"the meshes of {self.name} are of {self.bundle.morphable.name}, those of the data of "
                f"{self._pairs.morphable.name}; give a bundle trained on such faces"
            )
        return self.coefficients_of(self.embeddings(utterances))

    def _checked(self, network: str, numbers: Float32) -> Float32:
        if not np.isfinite(numbers).all():
            raise BundleError(f"{self.name}: the {network} network gave numbers that are not finite")
        return numbers


def _parts(embeddings: Float32) -> list[Float32]:
    return [np.ascontiguousarray(embeddings[k : k + BATCH]) for k in range(0, len(embeddings), BATCH)]


def same_model(bundle: Bundle, pairs: Pairs) -> bool:
    """Whether coefficients mean the same faces in both: one mean and basis, to a hundredth of a millimetre."""
    here, there = bundle.morphable, pairs.morphable
    return (
        here.mean.shape == there.mean.shape
        and here.basis.shape == there.basis.shape
        and float(np.abs(here.mean - there.mean).max()) < 0.01
        and float(np.abs(here.basis - there.basis).max()) < 0.01
    )
