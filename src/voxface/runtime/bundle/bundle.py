"""A bundle: everything one model needs, in a folder or one `.voxface` zip, verified before a byte of it is used."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

from voxface.runtime.background import Background
from voxface.runtime.bundle.engine_plan import EnginePlan
from voxface.runtime.bundle.face_posterior_file import FacePosteriorFile
from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.bundle.manifest import FUSED, GRAPHS, SUFFIX, Manifest
from voxface.runtime.bundle.reader import read_bundle
from voxface.runtime.bundle.speaker_embedding_file import read_layers
from voxface.runtime.config.age import AgeWeights
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.speaker_change import FRAMES, SpeakerChangeWeights
from voxface.runtime.config.speech_modulation import SpeechModulationWeights
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.errors import BundleError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.provenance.mark import Mark

__all__ = ["DEFAULT", "FUSED", "GRAPHS", "Bundle"]
DEFAULT = Path(__file__).parent / "default"
DEFAULT_NAME: Final = "default"
# Trained part, by its field of the manifest -> what the runtime cannot do without it.
WITHOUT: Final = {
    "speech_modulation": (
        "no weights of the speech modulation, so music is not told from speech, and the confidence does not count how much "
        "the sound moves as speech does"
    ),
    "speaker_change": "no speaker change detector, so a change of speaker is not noticed",
    "face_posterior": "no face posterior, so it is not said how far the faces of people with such a voice differ",
    "age": "no weights for ages, so no age is told, and a child's voice gets the face of an adult",
}


@dataclass(frozen=True)
class Bundle:
    """An opened, verified bundle.

    Attributes:
        path: the folder or zip it was read from.
        manifest: the contents of `bundle.json`.
        files: name -> bytes of every file the manifest lists.
    """

    path: Path
    manifest: Manifest
    files: dict[str, bytes]

    @classmethod
    def open(cls, path: Path | str | None = None) -> Self:
        """Reads and verifies a bundle; None: the default one, and so does "default", where nothing else has that name.

        Raises:
            BundleError: see `voxface.runtime.bundle.reader.read_bundle`.
        """
        path = DEFAULT if path is None or (str(path) == DEFAULT_NAME and not Path(path).exists()) else Path(path)
        if path == DEFAULT and not path.is_dir():
            raise BundleError(
                f"{path}: no such bundle (this installation carries no default bundle); give a bundle's folder or a "
                f"{SUFFIX} file"
            )
        bundle = cls(path, *read_bundle(path))
        try:
            _ = bundle.plans
        except (KeyError, ValueError) as error:
            raise BundleError(f"{path}: the manifest is incomplete or wrong: {error!r}") from error
        return bundle

    def replacing(
        self,
        *,
        files: Mapping[str, bytes | None] | None = None,
        graphs: Mapping[str, GraphEntry | None] | None = None,
        **changes: Any,
    ) -> Self:
        """A changed copy of this bundle, in memory, with a newly sealed manifest.

        Args:
            files: name -> new contents; None removes a file.
            graphs: name -> new entry of the manifest; None removes a graph.
            changes: new values of other fields of the `Manifest`; None removes a field.
        """
        contents = {**self.files, **(files or {})}
        entries = {**self.manifest.graphs, **(graphs or {})}
        manifest = replace(
            self.manifest, graphs={name: entry for name, entry in entries.items() if entry is not None}, **changes
        )
        kept = {name: data for name, data in contents.items() if data is not None}
        return type(self)(self.path, manifest.sealed(kept), kept)

    def write(self, out: Path) -> Self:
        """Writes the bundle (a zip if `out` ends in `.voxface`, else a folder), whole or not at all, and opens it again.

        Raises:
            UsageError: `out` holds something else, see `voxface.runtime.bundle.writer.check_target`.
            BundleError: the bundle is not valid.
        """
        from voxface.runtime.bundle.writer import write_bundle

        write_bundle(out, self.manifest, self.files)
        return type(self).open(out)

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: what was read. What was computed of it, or is being computed, another process computes anew."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @property
    def name(self) -> str:
        """The bundle's name."""
        return self.manifest.name

    @cached_property
    def mark(self) -> Mark:
        """What its faces say of themselves."""
        return Mark(self.name, self.manifest.sha256)

    @property
    def front_end(self) -> FrontEndConfig:
        """Settings of the features that its voice encoder was trained on."""
        return self.manifest.front_end.config

    @property
    def vad(self) -> VadConfig:
        """Settings of the voice activity detector that its voice encoder was trained with."""
        return self.manifest.vad.config

    @cached_property
    def speech_modulation(self) -> SpeechModulationWeights | None:
        """The weights that tell speech from music and noise; None where the bundle has none."""
        entry = self.manifest.speech_modulation
        return None if entry is None else entry.weights

    @cached_property
    def speaker_change(self) -> SpeakerChangeWeights | None:
        """The trained numbers of the speaker change detector; None where the bundle has none.

        Raises:
            BundleError: the file of its network is damaged, or made for another number of mel bins.
        """
        entry = self.manifest.speaker_change
        if entry is None:
            return None
        try:
            layers = read_layers(self.files[entry.file])
            mels, wanted = len(layers[0][0]) // FRAMES, self.front_end.mels
            if mels != wanted:
                raise BundleError(f"the network takes {mels} mel bins, the front end makes {wanted}")
        except BundleError as error:
            raise BundleError(f"{self.path}: {entry.file}: {error}") from error
        weights = entry.weights
        return SpeakerChangeWeights(
            encoder=weights.encoder,
            speaker_embedding=weights.speaker_embedding,
            loudness=weights.loudness,
            cepstra=weights.cepstra,
            bias=weights.bias,
            threshold=entry.threshold,
            layers=layers,
        )

    @cached_property
    def face_posterior(self) -> FacePosteriorFile | None:
        """The distribution of faces given a voice, not read yet; None where the bundle has none."""
        entry = self.manifest.face_posterior
        return None if entry is None else FacePosteriorFile(f"{self.path}: {entry.file}", self.files[entry.file])

    def check_face_posterior(self) -> None:
        """Reads the face posterior, if there is one.

        Raises:
            BundleError: its file is damaged, or of other faces than those of the morphable model.
        """
        part = self.face_posterior
        if part is not None and part.weights.modes != self.morphable.identity_modes:
            raise BundleError(
                f"{part.where}: the face posterior is of {part.weights.modes} identity coefficients, the morphable model has "
                f"{self.morphable.identity_modes}; export or download the bundle again"
            )

    @cached_property
    def age(self) -> AgeWeights | None:
        """The weights that tell age from an embedding; None where the bundle has none."""
        entry = self.manifest.age
        return None if entry is None else entry.weights

    @property
    def missing_parts(self) -> dict[str, str]:
        """The trained parts that the bundle lacks -> what the runtime cannot do without them."""
        manifest = self.manifest
        return {name: what for name, what in WITHOUT.items() if getattr(manifest, name) is None}

    @cached_property
    def _reading(self) -> Background[MorphableModel]:
        # What is read must not hold this bundle, which holds what is read: a circle of the two stays in memory for long.
        name, path = self.manifest.morphable_model.file, self.path
        data = self.files[name]

        def read() -> MorphableModel:
            try:
                return MorphableModel.from_bytes(data)
            except BundleError as error:
                raise BundleError(f"{path}: {name}: {error}") from error

        return Background(read)

    def read_ahead(self) -> None:
        """Begins to read the morphable model in the background, so that `morphable` waits less; reading takes as long as
        loading the graphs."""
        _ = self._reading

    @property
    def morphable(self) -> MorphableModel:
        """Its morphable model."""
        return self._reading.result()

    @property
    def sex_slope(self) -> float:
        """The factor of the evidence for a sex, see `voxface.runtime.inference.attributes.read_attributes`; 1 if the bundle
        has none."""
        calibration = self.manifest.calibration
        return 1.0 if calibration is None or calibration.sex_slope is None else float(calibration.sex_slope)

    def graph(self, name: str) -> bytes:
        """The ONNX file of a graph: "encoder", "face", "mesh", or "fused" if the bundle has it."""
        return self.files[self.manifest.graphs[name].file]

    def graph_digests(self) -> dict[str, str]:
        """SHA-256 of the three graphs' files, by graph."""
        return {name: hashlib.sha256(self.graph(name)).hexdigest() for name in GRAPHS}

    @cached_property
    def fused(self) -> bool:
        """Whether there is a graph "fused" that was made of the present graphs, and not of those before a calibration."""
        entry = self.manifest.graphs.get(FUSED)
        return entry is not None and entry.file in self.files and entry.of == self.graph_digests()

    @property
    def graphs(self) -> tuple[str, ...]:
        """Names of the graphs that can be run."""
        return (*GRAPHS, FUSED) if self.fused else GRAPHS

    @cached_property
    def plans(self) -> tuple[EnginePlan, ...]:
        """The plans that `voxface build` made of its graphs; most bundles have none."""
        return tuple(
            EnginePlan.from_entry(entry, self.manifest.graphs, self.files[entry.file])
            for entry in self.manifest.engines or ()
        )
