"""The settings of a live session."""

from dataclasses import dataclass
from typing import Final, Literal

from voxface.runtime.config.sample_rate import SAMPLE_RATE

Mode = Literal["exact", "incremental"]
MODES: tuple[Mode, ...] = ("exact", "incremental")
# How far an embedding, of unit length, may move before another picture is drawn. A picture kept for so long is a quarter of a
# level of 255 off in the mean, and one at the worst of 2,176 estimates of training speakers (benchmarks/still.py).
STILL: Final[dict[Mode, float]] = {"exact": 0.0, "incremental": 0.15}


@dataclass(frozen=True)
class LiveConfig:
    """When a live session estimates and when it stays silent. Lengths are in samples at 16 kHz.

    Attributes:
        first: speech before the first estimate.
        hop: speech between estimates.
        window: the newest speech an estimate uses; up to 0.31 s more, since it begins at a column of the voice encoder.
        hangover: silence that ends a turn of speech.
        mode: how the window is encoded; "exact" encodes all of it anew, as `voxface run` would; "incremental" keeps what it
            can from the estimate before, so that a long window costs no more than a short one.
        still: how far the embedding, of unit length, may move before another picture is drawn; 0: draw always.
        watch_speaker: whether another speaker starts a new window.
    """

    first: int = SAMPLE_RATE
    hop: int = SAMPLE_RATE // 10
    window: int = 8 * SAMPLE_RATE
    hangover: int = 3 * SAMPLE_RATE // 10
    mode: Mode = "exact"
    still: float = 0.0
    watch_speaker: bool = True

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r} is not one of {', '.join(MODES)}")
        if not 0 < self.hop <= self.first <= self.window:
            raise ValueError(
                f"hop {self.hop}, first estimate {self.first}, window {self.window} samples are not in ascending order"
            )
        if not SAMPLE_RATE // 10 <= self.window <= 60 * SAMPLE_RATE:
            raise ValueError(f"a window of {self.window / SAMPLE_RATE:g} s is not within 0.1 to 60 s")
        if not 0 <= self.still < 2:
            raise ValueError(f"still {self.still:g} is no distance between embeddings (0 to 2)")
        if self.hangover < 0:
            raise ValueError(f"a hangover of {self.hangover} samples is negative")
