"""The manifest, `bundle.json`: its fields, its check and its digest.

It holds schema, licence, provenance, front-end and VAD settings, graph signatures, measured precision, trained parts, and size
and SHA-256 of every file. Its own digest is in it as well, so that a changed manifest is noticed too.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, Final, Self

from voxface.runtime.bundle.engine_entries import EngineEntry
from voxface.runtime.bundle.file_entries import FileEntry, FileReference
from voxface.runtime.bundle.graph_entries import GraphEntry
from voxface.runtime.bundle.json_document import UnneededJsonError, check_numbers, parse_json
from voxface.runtime.bundle.json_record import JsonRecord, Settings, shown
from voxface.runtime.bundle.origin_entries import ImportedEntry, RetargetingEntry
from voxface.runtime.bundle.precision_entries import PrecisionEntry
from voxface.runtime.config.age import AgeWeights, ChildWeights, YearsWeights
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.speaker_change import CEPSTRA, check_weights
from voxface.runtime.config.speech_modulation import Movement, SpeechModulationWeights
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.errors import BundleError

SCHEMA: Final = 1
MANIFEST: Final = "bundle.json"
SUFFIX: Final = ".voxface"
GRAPHS: Final = ("encoder", "face", "mesh")
LARGEST_SLOPE: Final = 1e3  # of the evidence for a sex; the default bundle's is below 1
FUSED: Final = "fused"  # the three as one, for GPUs; few bundles have it


class MorphableModelEntry(JsonRecord):
    """The file of the morphable model, its origin, and its licence if that is not the bundle's."""

    file: str
    provenance: str | None = None
    licence: str | None = None


class SexProbabilityEntry(JsonRecord):
    """The sex slope, which turns the evidence of a mesh into a probability of the sex; `calibration` in JSON.

    Attributes:
        sex_slope: factor of the evidence, see `voxface.runtime.inference.attributes.read_attributes`.
        people: number of people that it was fitted to.
        log_loss: mean negative log-likelihood at slope 1 ("at_slope_1"), at this slope ("calibrated"), and of a coin ("coin").
    """

    sex_slope: float | None = None
    people: int | None = None
    log_loss: Mapping[str, float] | None = None


class MovementEntry(JsonRecord):
    """Two numbers about the movement of a spectrum, see `voxface.runtime.config.speech_modulation.Movement`."""

    change: float
    syllables: float

    @classmethod
    def from_movement(cls, movement: Movement) -> Self:
        """The entry of the two numbers."""
        return cls(change=movement.change, syllables=movement.syllables)

    @property
    def movement(self) -> Movement:
        """The two numbers."""
        return Movement(self.change, self.syllables)


class SpeechModulationEntry(JsonRecord):
    """The trained weights that tell speech from music and noise, and the data they were trained on.

    Of all parts of the bundle they depend on the front end only.
    """

    centre: MovementEntry
    weight: MovementEntry
    bias: float
    trained_on: tuple[str, ...] | None = None

    @property
    def weights(self) -> SpeechModulationWeights:
        """The weights."""
        return SpeechModulationWeights(self.centre.movement, self.weight.movement, self.bias)


class EvidenceWeights(JsonRecord):
    """Weights of the evidence for another speaker, see `voxface.runtime.config.speaker_change.SpeakerChangeWeights`."""

    encoder: float
    speaker_embedding: float
    loudness: float
    cepstra: tuple[float, ...]
    bias: float


class SpeakerChangeEntry(JsonRecord):
    """The trained speaker change detector.

    Attributes:
        file: its speaker embedding network.
        weights: weights of the evidence.
        threshold: evidence above it means another speaker.
        encoder_sha256: SHA-256 of the ONNX file of the voice encoder that the weights were fitted to. It does not change when
            the encoder is calibrated to another precision.
        trained_on: the speech that it was trained on.
    """

    file: str
    weights: EvidenceWeights
    threshold: float
    encoder_sha256: str | None = None
    trained_on: tuple[str, ...] | None = None


class FacePosteriorEntry(JsonRecord):
    """The trained distribution of faces given a voice.

    Attributes:
        file: its covariances, see `voxface.runtime.config.face_posterior.FacePosteriorWeights`.
        mesh_sha256: SHA-256 of the ONNX file of the mesh network that it was fitted to. It does not change when the network is
            calibrated to another precision, or followed by a map to other faces.
    """

    file: str
    mesh_sha256: str | None = None


class ChildEntry(JsonRecord):
    """The weights that tell a child's voice, see `voxface.runtime.config.age.ChildWeights`."""

    weight: tuple[float, ...]
    bias: float
    threshold: float


class YearsEntry(JsonRecord):
    """The weights that tell an adult's age, see `voxface.runtime.config.age.YearsWeights`."""

    weight: tuple[float, ...]
    bias: float
    spread: float


class AgeEntry(JsonRecord):
    """The trained weights that tell age from an embedding.

    Attributes:
        child: tells children's voices.
        years: tells an adult's age; None: no age is told, because it would be no better than the mean age.
        encoder_sha256: SHA-256 of the ONNX file of the voice encoder that they were fitted to. It does not change when the
            encoder is calibrated to another precision.
        trained_on: the voices that they were fitted to.
    """

    child: ChildEntry
    years: YearsEntry | None = None
    encoder_sha256: str | None = None
    trained_on: tuple[str, ...] | None = None

    @property
    def weights(self) -> AgeWeights:
        """The weights."""
        child, years = self.child, self.years
        return AgeWeights(
            ChildWeights(child.weight, child.bias, child.threshold),
            None if years is None else YearsWeights(years.weight, years.bias, years.spread),
        )


class Manifest(JsonRecord):
    """The contents of `bundle.json`; `voxface.runtime.bundle.bundle.Bundle` joins them with the files.

    Attributes:
        schema: number of the manifest's format.
        trained_on: a line for each data set, with licence and attribution.
        metrics: network -> measurements, with those of trivial methods; of no fixed form.
        architecture: network -> keyword arguments that it was built with.
        graphs: "encoder", "face", "mesh" and, in some bundles, "fused".
        population: file with the distribution of faces within each sex.
        calibration: the sex slope.
        training: network -> settings of its training run.
        tools: package -> version, of the packages that made the bundle.
        engines: graphs that TensorRT built ahead of time.
        speech_modulation, speaker_change, face_posterior, age: trained parts; None: the runtime does without, see
            `Bundle.missing_parts`.
        files: every file except `bundle.json`; None before the manifest is sealed.
        sha256: digest of the rest, see `digest`; None before the manifest is sealed.
    """

    schema: int = SCHEMA
    name: str
    version: str | None = None
    licence: str | None = None
    description: str | None = None
    trained_on: tuple[str, ...] | None = None
    metrics: Mapping[str, Any] | None = None
    architecture: Mapping[str, Any] | None = None
    front_end: Settings[FrontEndConfig]
    vad: Settings[VadConfig]
    graphs: Mapping[str, GraphEntry]
    morphable_model: MorphableModelEntry
    population: FileReference | None = None
    calibration: SexProbabilityEntry | None = None
    training: Mapping[str, Any] | None = None
    precision: PrecisionEntry | None = None
    tools: Mapping[str, str] | None = None
    model_card: FileReference | None = None
    imported: ImportedEntry | None = None
    retargeting: RetargetingEntry | None = None
    engines: tuple[EngineEntry, ...] | None = None
    speech_modulation: SpeechModulationEntry | None = None
    speaker_change: SpeakerChangeEntry | None = None
    face_posterior: FacePosteriorEntry | None = None
    age: AgeEntry | None = None
    files: Mapping[str, FileEntry] | None = None
    sha256: str | None = None

    @classmethod
    def from_json(cls, document: object, at: str = "") -> Self:
        """A manifest from parsed JSON; `to_json` gives an equal document.

        Raises:
            BundleError: a field is missing or has a value of another type.
        """
        try:
            return super().from_json(document, at)
        except ValueError as error:
            raise BundleError(f"the manifest is incomplete or wrong: {error}") from error

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """A manifest from the contents of `bundle.json`.

        Raises:
            BundleError: not JSON, not a manifest, another schema, a digest that does not match, or see `from_json`.
        """
        try:
            document = parse_json(data)
        except UnneededJsonError as error:
            raise BundleError(f"{MANIFEST} {error}; fetch the bundle again") from error
        except ValueError as error:
            raise BundleError(f"{MANIFEST} is not JSON ({error}); fetch the bundle again") from error
        if not isinstance(document, dict) or "schema" not in document:
            raise BundleError(f"{MANIFEST} names no schema; this is not a voxface bundle")
        if document["schema"] != SCHEMA:
            raise BundleError(
                f"bundle schema {shown(document['schema'])}, this voxface reads schema {SCHEMA}; "
                "upgrade voxface or export the bundle again"
            )
        if document.get("sha256") != digest(document):
            raise BundleError(f"{MANIFEST} does not match its own SHA-256; it was damaged or edited")
        if not isinstance(document.get("files"), dict):
            raise BundleError(f"{MANIFEST} lists no files")
        for name in document["files"]:
            check_inside(name)
        manifest = cls.from_json(document)
        try:
            check_numbers(document)
        except ValueError as error:
            raise BundleError(f"the manifest is incomplete or wrong: {error}") from error
        return manifest

    def to_json(self) -> dict[str, Any]:
        """The JSON object; the table of files and the digest come last."""
        document = super().to_json()
        last: dict[str, Any] = {key: document.pop(key) for key in ("files", "sha256") if key in document}
        return {**document, **last}

    def to_bytes(self) -> bytes:
        """The contents of `bundle.json`."""
        return json.dumps(self.to_json(), indent=1).encode()

    def sealed(self, files: Mapping[str, bytes]) -> Self:
        """The manifest with a table of these files and with its digest."""
        table = {
            name: FileEntry(size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in sorted(files.items())
        }
        listed = replace(self, schema=SCHEMA, files=table, sha256=None)
        return replace(listed, sha256=digest(listed.to_json()))

    def check(self) -> None:
        """Checks what types cannot: that every part's file is listed, and that the parts fit each other.

        Raises:
            BundleError: a file is not listed, or two parts do not fit.
        """
        listed = self.files or {}
        try:
            missing = [name for name in GRAPHS if self.graphs[name].file not in listed]
        except KeyError as error:
            raise BundleError(f"the manifest is incomplete or wrong: graphs.{error.args[0]} is missing") from error
        if missing or self.morphable_model.file not in listed:
            raise BundleError(f"the manifest lists no file for {', '.join(missing) or 'morphable_model'}")
        for name, file in self._references():
            if file not in listed:
                raise BundleError(f"the manifest is incomplete or wrong: it lists no file for {name}")
        try:
            self._check_values()
        except ValueError as error:
            raise BundleError(f"the manifest is incomplete or wrong: {error}") from error

    def _references(self) -> Iterator[tuple[str, str]]:
        """The parts that have a file, and its name."""
        calibrated = self.precision.calibrated if self.precision else None
        parts: dict[str, FileReference | SpeakerChangeEntry | FacePosteriorEntry | EngineEntry | None] = {
            "model_card": self.model_card,
            "population": self.population,
            "speaker_change": self.speaker_change,
            "face_posterior": self.face_posterior,
            **{f"engines[{k}]": engine for k, engine in enumerate(self.engines or ())},
        }
        if calibrated is not None:
            parts |= {"plan": calibrated.plan, "table": calibrated.table, "plot": calibrated.plot}
            parts |= {name: getattr(calibrated, name) for name in ("front", "front_table", "front_plot")}
        yield from ((name, part.file) for name, part in parts.items() if part is not None)
        yield from ((f"graphs.{name}", graph.file) for name, graph in self.graphs.items())

    def _check_values(self) -> None:
        heard = self.graphs["encoder"].inputs.get("log_mel")
        if heard is None or len(heard.shape) < 2:
            raise ValueError("the encoder has no input log_mel [B, mels, T]")
        mels = self.front_end.config.mels
        if heard.shape[1] != mels:
            raise ValueError(f"the encoder takes {heard.shape[1]} mel bins, the front end makes {mels}")
        slope = self.calibration.sex_slope if self.calibration else None
        if slope is not None and not 0 < slope <= LARGEST_SLOPE:
            raise ValueError(f"calibration: sex_slope is {slope}, not positive, or more than {LARGEST_SLOPE:g}")
        if self.speech_modulation:
            _ = self.speech_modulation.weights
        if self.age:
            embedding = self.graphs["encoder"].outputs.get("embedding")
            size = embedding.shape[-1] if embedding is not None and embedding.shape else None
            if not isinstance(size, int):
                raise ValueError("the encoder has no output embedding [B, E]")
            self.age.weights.check_size(size)
        if self.speaker_change and len(self.speaker_change.weights.cepstra) != CEPSTRA:
            count = len(self.speaker_change.weights.cepstra)
            raise ValueError(f"speaker_change: {count} weights of cepstra, not {CEPSTRA}")
        if self.speaker_change:
            of = self.speaker_change.weights
            check_weights(
                (of.encoder, of.speaker_embedding, of.loudness, *of.cepstra, of.bias, self.speaker_change.threshold)
            )


def digest(document: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest's JSON object without its own `sha256`, as compact JSON with sorted keys."""
    bare = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def check_inside(name: str) -> None:
    """Raises BundleError if the name of a file leads out of the bundle."""
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or "\\" in name or ".." in parts or ":" in parts[0] or not name.isprintable():
        raise BundleError(f"names a file outside the bundle ({shown(name)}); do not use this bundle")
