"""How far a lowered pipeline's answers are from the FP32 one's, in the units of the task: cosine, decibels, millimetres."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel

Float32 = NDArray[np.float32]
BEST_DB: Final = 150.0  # what an equal picture counts as
LENGTH: Final = 1e-4  # by which the length of an embedding, which is to be 1, may be off whatever the tolerances


@dataclass(frozen=True)
class Tolerances:
    """What the worst clip may show.

    Attributes:
        cosine: least cosine between the embeddings.
        psnr_db: least peak signal-to-noise ratio of the picture.
        vertex_mm: largest distance of any vertex, millimetres.
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
class Answer:
    """What a pipeline says of one clip: embedding float32 [E], image float32 [3, H, W], coefficients float32 [P]."""

    embedding: Float32
    image: Float32
    coefficients: Float32


@dataclass(frozen=True)
class TaskError:
    """The distance between two answers; NaN where the lowered one overflowed.

    Attributes:
        cosine: between the embeddings.
        length: difference of their lengths.
        psnr_db: of the picture, both clamped to [−1, 1]; at most `BEST_DB`.
        image_mae: mean absolute difference of the picture in steps of 8 bits.
        vertex_rms_mm, vertex_max_mm: distances of the vertices.
    """

    cosine: float
    length: float
    psnr_db: float
    image_mae: float
    vertex_rms_mm: float
    vertex_max_mm: float

    @classmethod
    def between(cls, answer: Answer, reference: Answer, morphable: MorphableModel) -> "TaskError":
        """How far `answer` is from `reference`."""
        one, other = answer.embedding.astype(np.float64), reference.embedding.astype(np.float64)
        with np.errstate(all="ignore"):
            lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
            cosine = float(one @ other) / (lengths[0] * lengths[1]) if lengths[0] else math.nan
            picture = np.clip(answer.image, -1, 1) - np.clip(reference.image, -1, 1)
            # Clipping hides infinity, which no 8-bit picture shows; NaN stays.
            power = float((picture.astype(np.float64) ** 2).mean()) / 4
            moved = (answer.coefficients - reference.coefficients) @ morphable.basis.reshape(morphable.modes, -1)
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
        """How much of the tolerances this uses up: the largest share, 1 at the limit, infinity for NaN."""
        shares = (
            (1 - self.cosine) / (1 - tolerances.cosine),
            self.length / LENGTH,
            10 ** ((tolerances.psnr_db - self.psnr_db) / 20),
            self.vertex_max_mm / tolerances.vertex_mm,
        )
        return max(shares) if all(math.isfinite(share) for share in shares) else math.inf


_LARGER_IS_BETTER: Final = ("cosine", "psnr_db")


def worst(errors: Sequence[TaskError]) -> TaskError:
    """The worst of each number over clips; NaN if any is."""
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
    """The numbers, None for NaN, which JSON has not."""
    return {name: value if math.isfinite(value) else None for name, value in asdict(error).items()}
