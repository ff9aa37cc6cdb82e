"""Networks that look at pictures of faces: the picture judge, trained on the data, and ONNX networks that users have.

An ONNX network FILE.onnx takes one picture or a batch, [B, 3, S, S] or [B, S, S, 3], float32. How its pixels are prepared
stands in FILE.json beside it, all of it optional:

    {"mean": 127.5, "std": 127.5,   pixels are (x − mean) / std; numbers, or one a channel in the network's order
     "order": "RGB",                or "BGR"
     "size": 112,                   S, where the graph leaves it open
     "output": "embedding",         which output, where it has several; by default the first of shape [B, N]
     "probabilities": false}        of a classifier: whether it gives these and not logits

Without FILE.json these values hold; they are those of ArcFace networks. Such networks were trained on faces that are aligned by
five landmarks; the pictures here are taken as they are.
"""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, InputError
from voxface.runtime.face.resize import resized
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.files.text import read_json
from voxface.training.data.images import as_images
from voxface.training.evaluation.pictures.classifier_score import softmax
from voxface.training.evaluation.pictures.picture_judge import PictureJudge

Pictures = NDArray[np.uint8]
Float64 = NDArray[np.float64]
BATCH: Final = 128
JUDGE_SIZE: Final = 64
_DEFAULTS: Final[dict[str, Any]] = {
    "mean": 127.5,
    "std": 127.5,
    "order": "RGB",
    "size": 112,
    "output": "",
    "probabilities": False,
}


class FaceNetwork(Protocol):
    """A network that looks at pictures.

    Attributes:
        name: for the tables.
        about: what it is, for the result: JSON values.
    """

    name: str
    about: dict[str, Any]

    def embed(self, pictures: Pictures) -> Float64:
        """Features float64 [N, d] of pictures uint8 [N, H, H, 3], which are brought to the network's size."""
        ...


class JudgeNetwork:
    """The picture judge: trained on real pictures of the training people, none of whom is evaluated.

    Its features are standardised, each by its mean and standard deviation over training pictures. A classifier's features may
    have any scale, and the cube in KID's kernel would leave the largest alone to decide.
    """

    def __init__(self, judge: PictureJudge, training: Pictures) -> None:
        """`training`: real pictures uint8 [K, H, H, 3] of the training people, two or more."""
        self.name = "picture judge"
        self.about: dict[str, Any] = {"network": "picture judge", "accuracy": judge.report}
        self._judge = judge
        seen = self._features(training)
        self._mean, self._deviation = seen.mean(0), np.maximum(seen.std(0), 1e-6)

    def embed(self, pictures: Pictures) -> Float64:
        """See `FaceNetwork`."""
        return np.asarray((self._features(pictures) - self._mean) / self._deviation, np.float64)

    def _features(self, pictures: Pictures) -> Float64:
        parts = [self._judge.features(images).double().numpy() for images in self._images(pictures)]
        return np.concatenate(parts)

    def classify(self, pictures: Pictures) -> Float64:
        """Probabilities float64 [N, C] that each picture shows each training person."""
        with torch.no_grad():
            logits = [self._judge.identity(self._judge.features(images)) for images in self._images(pictures)]
        return softmax(torch.cat(logits).double().numpy())

    @staticmethod
    def _images(pictures: Pictures) -> list[torch.Tensor]:
        sized = at_size(pictures, JUDGE_SIZE)
        return [as_images(torch.from_numpy(sized[k : k + BATCH])) for k in range(0, len(sized), BATCH)]


class OnnxNetwork:
    """A network of the user's; a context manager that frees its engine."""

    def __init__(self, file: Path) -> None:
        """Opens the graph.

        Raises:
            InputError: it is no such network, or FILE.json says something that it cannot.
        """
        data = read_bytes(file)
        self.name, self._file = file.stem, file
        self._how = _settings(file.with_suffix(".json"))
        try:
            self._engine: Engine = open_engine(data, name=str(file))
        except BundleError as error:
            raise InputError(str(error)) from error
        self.about: dict[str, Any] = {
            "network": file.name,
            "sha256": hashlib.sha256(data).hexdigest(),
            **{key: self._how[key] for key in ("mean", "std", "order")},
        }
        self._input, self._first, self._size, self._batch = self._read_input()
        self._output = self._read_output()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.__exit__(kind, error, trace)

    def embed(self, pictures: Pictures) -> Float64:
        """See `FaceNetwork`.

        Raises:
            InputError: the network fails, or gives numbers that are not finite.
        """
        sized = at_size(pictures, self._size)
        rows = []
        for begin in range(0, len(sized), self._batch):
            part = sized[begin : begin + self._batch]
            filled = (
                np.concatenate([part, np.repeat(part[-1:], self._batch - len(part), 0)])
                if self._batch < BATCH
                else part
            )
            try:
                found = self._engine.run({self._input: self._prepared(filled)})[self._output]
            except BundleError as error:
                raise InputError(f"{self._file}: {error}") from error
            if not found.size or found.shape[:1] != (len(filled),):
                raise InputError(
                    f"{self._file}: gives {list(found.shape)} for {len(filled)} pictures; a row for each is expected"
                )
            rows.append(found.reshape(len(filled), -1)[: len(part)])
        embedded: Float64 = np.concatenate(rows).astype(np.float64)
        if not np.isfinite(embedded).all():
            raise InputError(f"{self._file}: gives numbers that are not finite")
        return embedded

    def classify(self, pictures: Pictures) -> Float64:
        """Probabilities float64 [N, C] of its classes.

        Raises:
            InputError: as `embed`, or it gives no probabilities though FILE.json says so.
        """
        found = self.embed(pictures)
        if not self._how["probabilities"]:
            return softmax(found)
        if (found < 0).any() or not np.allclose(found.sum(1), 1, atol=1e-3):
            raise InputError(
                f'{self._file}: gives no probabilities; leave "probabilities" out of {self._file.stem}.json'
            )
        return np.asarray(found / found.sum(1, keepdims=True), np.float64)

    def _prepared(self, pictures: Pictures) -> NDArray[np.float32]:
        ordered = pictures[..., ::-1] if self._how["order"] == "BGR" else pictures
        mean, std = (np.asarray(self._how[key], np.float32) for key in ("mean", "std"))
        pixels = (ordered.astype(np.float32) - mean) / std
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if self._first else pixels, np.float32)

    def _read_input(self) -> tuple[str, bool, int, int]:
        """Name of the input, whether channels come first, its size, and how many pictures it takes at once."""
        if len(self._engine.inputs) == 1:
            ((name, spec),) = self._engine.inputs.items()
            shape = spec.shape
            channels = [k for k in (1, 3) if len(shape) == 4 and shape[k] == 3]
            if channels and spec.dtype == "float32":
                first = channels[0] == 1
                sides = shape[2:] if first else shape[1:3]
                known = {int(side) for side in sides if isinstance(side, int)}
                if len(known) <= 1:
                    batch = shape[0] if isinstance(shape[0], int) else BATCH
                    return name, first, known.pop() if known else int(self._how["size"]), batch
        told = ", ".join(f"{name} {spec.dtype} {list(spec.shape)}" for name, spec in self._engine.inputs.items())
        raise InputError(
            f"{self._file}: takes {told}; a network of pictures takes float32 [B, 3, S, S] or [B, S, S, 3]"
        )

    def _read_output(self) -> str:
        outputs = self._engine.outputs
        wanted = self._how["output"]
        if wanted and wanted not in outputs:
            raise InputError(f"{self._file}: has no output {wanted!r}; there are {', '.join(outputs)}")
        return str(wanted) or next(
            (name for name, spec in outputs.items() if len(spec.shape) == 2), next(iter(outputs))
        )


def at_size(pictures: Pictures, size: int) -> Pictures:
    """Pictures uint8 [N, H, H, 3] as [N, size, size, 3]."""
    if pictures.shape[1:3] == (size, size):
        return pictures
    return np.array([resized(picture, size) for picture in pictures], np.uint8).reshape(-1, size, size, 3)


def _settings(file: Path) -> dict[str, Any]:
    """How pixels are prepared.

    Raises:
        InputError: the file says something else.
    """
    if not file.exists():
        return dict(_DEFAULTS)
    said = read_json(file)
    if not isinstance(said, dict) or not said.keys() <= _DEFAULTS.keys():
        raise InputError(f"{file}: is to hold some of {', '.join(_DEFAULTS)}")
    how = _DEFAULTS | said
    for key in ("mean", "std"):
        numbers = how[key] if isinstance(how[key], list) else [how[key]]
        real = all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers)
        if not real or len(numbers) not in (1, 3) or (key == "std" and not all(number > 0 for number in numbers)):
            raise InputError(f"{file}: {key} {how[key]!r} is no number, or one for each of three channels")
    if how["order"] not in ("RGB", "BGR") or not isinstance(how["output"], str):
        raise InputError(f'{file}: order is to be "RGB" or "BGR", output a name')
    if not isinstance(how["size"], int) or not 8 <= how["size"] <= 1024 or not isinstance(how["probabilities"], bool):
        raise InputError(f"{file}: size is to be 8 to 1024 pixels, probabilities true or false")
    return how
