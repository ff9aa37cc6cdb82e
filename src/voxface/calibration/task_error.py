"""Task error: how far the outputs of lowered graphs are from those of the FP32 graphs, in cosine, decibels and millimetres.

`ErrorMeter` runs the three graphs of a bundle on clips and compares; `TaskError` is the error of one clip, `Tolerances` what
the worst clip may show.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voxface.calibration.clips import Clip
from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel

Float32 = NDArray[np.float32]
BEST_DB: Final = 150.0  # the PSNR that equal pictures are given
LENGTH: Final = 1e-4  # how far the length of an embedding may be from 1, whatever the tolerances


@dataclass(frozen=True)
class Tolerances:
    """The largest task error that the worst clip may have.

    Attributes:
        cosine: smallest cosine between the embeddings.
        psnr_db: smallest peak signal-to-noise ratio of the picture, in decibels.
        vertex_mm: largest distance of any vertex, in millimetres.
    """

    cosine: float
    psnr_db: float
    vertex_mm: float

    def __post_init__(self) -> None:
        if not 0 < self.cosine < 1:
            raise UsageError(
                f"a cosine of {self.cosine} cannot be asked for; give a number between 0 and 1, like 0.999"
            )
        if not 0 < self.psnr_db < BEST_DB:
            raise UsageError(f"a PSNR of {self.psnr_db} dB cannot be asked for; give a number like 40")
        if not (0 < self.vertex_mm and math.isfinite(self.vertex_mm)):
            raise UsageError(f"{self.vertex_mm} mm cannot be asked for; give a number like 0.1")


TOLERANCES: Final = {
    "fp16": Tolerances(0.9999, 45.0, 0.05),
    "int8": Tolerances(0.999, 35.0, 0.3),
    "mixed": Tolerances(0.999, 35.0, 0.3),
}


@dataclass(frozen=True)
class GraphOutputs:
    """The outputs of the three graphs for one clip.

    Attributes:
        embedding: float32 [E].
        image: float32 [3, H, W].
        coefficients: float32 [P].
    """

    embedding: Float32
    image: Float32
    coefficients: Float32


@dataclass(frozen=True)
class TaskError:
    """The distance between the outputs of lowered graphs and those of the FP32 graphs; NaN where the lowered ones overflowed.

    Attributes:
        cosine: cosine between the two embeddings.
        length: difference of the embeddings' lengths.
        psnr_db: peak signal-to-noise ratio of the picture in decibels, both pictures clamped to [−1, 1]; at most `BEST_DB`.
        image_mae: mean absolute difference of the picture in steps of 8 bits.
        vertex_rms_mm: root mean square of the distances between vertices, in millimetres.
        vertex_max_mm: largest distance between two vertices, in millimetres.
    """

    cosine: float
    length: float
    psnr_db: float
    image_mae: float
    vertex_rms_mm: float
    vertex_max_mm: float

    @classmethod
    def between(cls, outputs: GraphOutputs, reference: GraphOutputs, morphable: MorphableModel) -> "TaskError":
        """The error of `outputs` against `reference`."""
        one, other = outputs.embedding.astype(np.float64), reference.embedding.astype(np.float64)
        with np.errstate(all="ignore"):
            lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
            cosine = float(one @ other) / (lengths[0] * lengths[1]) if lengths[0] else math.nan
            picture = np.clip(outputs.image, -1, 1) - np.clip(reference.image, -1, 1)
            # Clipping hides infinity, which no 8-bit picture shows; NaN stays.
            power = float((picture.astype(np.float64) ** 2).mean()) / 4
            moved = (outputs.coefficients - reference.coefficients) @ morphable.basis.reshape(morphable.modes, -1)
            squares = (moved.reshape(-1, 3).astype(np.float64) ** 2).sum(1)
        psnr = BEST_DB if power == 0 else min(BEST_DB, -10 * math.log10(power)) if math.isfinite(power) else math.nan
        return cls(
            min(cosine, 1.0) if math.isfinite(cosine) else math.nan,
            abs(lengths[0] - lengths[1]),
            psnr,
            float(np.abs(picture).mean()) * 127.5,
            math.sqrt(squares.mean()) if np.isfinite(squares).all() else math.nan,
            math.sqrt(squares.max()) if np.isfinite(squares).all() else math.nan,
        )

    def share(self, tolerances: Tolerances) -> float:
        """The share of the tolerances that this error uses up, the largest of four; 1 at the limit, infinity for NaN."""
        shares = (
            (1 - self.cosine) / (1 - tolerances.cosine),
            self.length / LENGTH,
            10 ** ((tolerances.psnr_db - self.psnr_db) / 20),
            self.vertex_max_mm / tolerances.vertex_mm,
        )
        return max(shares) if all(math.isfinite(share) for share in shares) else math.inf


_LARGER_IS_BETTER: Final = ("cosine", "psnr_db")


def worst(errors: Sequence[TaskError]) -> TaskError:
    """The worst value of each number over clips; NaN if it is NaN on any clip."""
    values: dict[str, float] = {}
    for field in fields(TaskError):
        column = [getattr(error, field.name) for error in errors]
        values[field.name] = float(np.min(column) if field.name in _LARGER_IS_BETTER else np.max(column))
    return TaskError(**values)


def summary(errors: Sequence[TaskError]) -> dict[str, Any]:
    """Worst and mean of each number over clips, for a manifest."""
    mean = {field.name: float(np.mean([getattr(e, field.name) for e in errors])) for field in fields(TaskError)}
    return {"clips": len(errors), "worst": as_json(worst(errors)), "mean": as_json(TaskError(**mean))}


def as_json(error: TaskError) -> dict[str, float | None]:
    """The numbers for JSON, which has no NaN: None in its place."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(error).items()}


class Runner(Protocol):
    """Anything that runs a graph: an engine, or the FP16 emulator."""

    def run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output for these inputs."""
        ...


def graph_outputs(runners: Mapping[str, Runner], clips: Sequence[Clip]) -> list[GraphOutputs]:
    """The outputs of the graphs "encoder", "face" and "mesh" for each clip."""
    return [_decoded(runners, runners["encoder"].run({"log_mel": clip.log_mel})["embedding"]) for clip in clips]


class ErrorMeter:
    """Measures lowered graphs against the FP32 outputs on some clips. A graph that is not lowered is not run again."""

    def __init__(self, reference: Mapping[str, Runner], clips: Sequence[Clip], morphable: MorphableModel) -> None:
        """`reference` runs the FP32 graphs."""
        self._reference, self._clips, self._morphable = dict(reference), clips, morphable
        self._fp32_outputs = graph_outputs(reference, clips)

    @property
    def reference(self) -> list[GraphOutputs]:
        """The outputs of the FP32 graphs, clip by clip."""
        return self._fp32_outputs

    def errors(self, lowered: Mapping[str, Runner]) -> list[TaskError]:
        """The error of each clip with the graphs in `lowered` in the places of the FP32 ones."""
        runners = self._reference | dict(lowered)
        errors = []
        for clip, right in zip(self._clips, self._fp32_outputs, strict=True):
            if "encoder" in lowered:
                got = _decoded(runners, runners["encoder"].run({"log_mel": clip.log_mel})["embedding"])
            else:
                got = _decoded(lowered, right.embedding[None], right)
            errors.append(TaskError.between(got, right, self._morphable))
        return errors


def _decoded(
    runners: Mapping[str, Runner], embedding: NDArray[np.float32], known: GraphOutputs | None = None
) -> GraphOutputs:
    """The outputs for an embedding [1, E]. The output of a graph that is not among the runners is taken from `known`."""
    image = runners["face"].run({"embedding": embedding})["image"][0] if "face" in runners else None
    mesh = runners["mesh"].run({"embedding": embedding})["coefficients"][0] if "mesh" in runners else None
    if image is None or mesh is None:
        assert known is not None
        image = known.image if image is None else image
        mesh = known.coefficients if mesh is None else mesh
    return GraphOutputs(embedding[0], image, mesh)
