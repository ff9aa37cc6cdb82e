"""The settings of a live session."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, Self, SupportsIndex

from voxface.runtime.config.sample_rate import SAMPLE_RATE

Mode = Literal["exact", "incremental"]
MODES: tuple[Mode, ...] = ("exact", "incremental")

# The distance between embeddings (of unit length) up to which the last image is shown again. At 0.15 the image shown differs
# from the image that was not computed by a quarter of a level of 255 on average, and by one level in the worst of 2,176
# estimates of training speakers (benchmarks/image_reuse.py).
IMAGE_REUSE_DISTANCE: Final[dict[Mode, float]] = {"exact": 0.0, "incremental": 0.15}

# As `image_reuse_distance`: one picture a speaker, since no two embeddings are farther apart; for streams whose pictures nobody
# looks at. The generator then runs once a speaker, and `Estimate.image` shows how the face began.
ONE_PICTURE: Final = 1.999

# The confidence below which no face is made: none, since up to 0.3 a threshold refuses nothing that the gate lets through, be
# it speech or music (benchmarks/no_face.py, docs/no-face.md), and other networks have other confidences.
MIN_CONFIDENCE: Final = 0.0

# Names of settings in recordings, where they differ from the fields' names: they are older.
_STORED: Final = {"image_reuse_distance": "still", "detect_speaker_change": "watch_speaker"}


@dataclass(frozen=True)
class LiveConfig:
    """Settings of a live session. Lengths are in samples at 16 kHz.

    Attributes:
        first: length of the speech before the first estimate.
        hop: length of the speech between two estimates.
        window: length of the newest speech that an estimate uses. It may be up to 0.31 s longer, since it begins where a frame
            embedding of the voice encoder begins.
        hangover: length of the silence that ends a turn of speech.
        mode: how the window is encoded: "exact" encodes all of it at each estimate, as `voxface run` would; "incremental"
            keeps partial results of the estimate before, so that a long window costs no more than a short one.
        image_reuse_distance: the distance between embeddings (of unit length) up to which the image of the estimate before is
            kept; 0: a new image each time; `ONE_PICTURE`: the first one stays; None: the mode's, `IMAGE_REUSE_DISTANCE`.
        detect_speaker_change: whether another speaker starts a new window.
        min_confidence: the confidence below which no face is made, 0 to 1.
        any_age: whether a child's voice gets a face too, which is an adult's.
    """

    first: int = SAMPLE_RATE
    hop: int = SAMPLE_RATE // 10
    window: int = 8 * SAMPLE_RATE
    hangover: int = 3 * SAMPLE_RATE // 10
    mode: Mode = "exact"
    image_reuse_distance: float | None = None
    detect_speaker_change: bool = True
    min_confidence: float = MIN_CONFIDENCE
    any_age: bool = False

    def __post_init__(self) -> None:
        for name in ("first", "hop", "window", "hangover"):
            if not isinstance(getattr(self, name), SupportsIndex):
                raise TypeError(f"{name} is {getattr(self, name)!r}, no whole number of samples")
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r} is not one of {', '.join(MODES)}")
        if not 0 < self.hop <= self.first <= self.window:
            raise ValueError(
                f"hop {self.hop}, first estimate {self.first}, window {self.window} samples are not in ascending order"
            )
        if not SAMPLE_RATE // 10 <= self.window <= 60 * SAMPLE_RATE:
            raise ValueError(f"a window of {self.window / SAMPLE_RATE:g} s is not within 0.1 to 60 s")
        if not 0 <= self.image_reuse_limit < 2:
            raise ValueError(f"{self.image_reuse_distance:g} is no distance between embeddings (0 to 2)")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"a least confidence of {self.min_confidence:g} is not within 0 to 1")
        if self.hangover < 0:
            raise ValueError(f"a hangover of {self.hangover} samples is negative")

    @property
    def image_reuse_limit(self) -> float:
        """`image_reuse_distance`, or the mode's where that is None."""
        return IMAGE_REUSE_DISTANCE[self.mode] if self.image_reuse_distance is None else self.image_reuse_distance

    def to_json(self) -> dict[str, Any]:
        """The settings as recordings store them: None is replaced by its value, so that later defaults do not change them."""
        explicit = replace(self, image_reuse_distance=self.image_reuse_limit)
        return {_STORED.get(field.name, field.name): getattr(explicit, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The settings that `to_json` gave.

        Raises:
            TypeError, ValueError: a setting is unknown or cannot be.
        """
        names = {stored: name for name, stored in _STORED.items()}
        # Recordings that do not have them were made before there was a least confidence, and before age was heard.
        return cls(
            **{
                "min_confidence": 0.0,
                "any_age": True,
                **{names.get(key, key): value for key, value in document.items()},
            }
        )
