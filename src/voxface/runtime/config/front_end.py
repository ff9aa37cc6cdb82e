"""The settings of the front end, and how many of its frames make one frame embedding of the voice encoder."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

LARGEST_FFT = 4096  # points; a window has 480 samples at most
LONGEST = 6000  # frames, a minute; longer speech is encoded in pieces
STRIDE = 32  # frames from one frame embedding of the voice encoder to the next
NORMALISATIONS = ("bands", "level")  # see `voxface.runtime.features.normalisation`
PROVISIONAL = 3  # frames at the end of a stream that repeat its last samples until more sound arrives


@dataclass(frozen=True)
class FrontEndConfig:
    """The `wen2019` log-mel settings; times in samples at 16 kHz, frequencies in Hz."""

    name: str = "wen2019"
    sample_rate: int = 16_000
    window: int = 400
    hop: int = 160
    fft: int = 1024
    mels: int = 64
    low_hz: float = 20.0
    high_hz: float = 7200.0
    preemphasis: float = 0.97
    floor: float = 1e-5
    shortest: int = 1000
    normalisation: str = "bands"

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.type is int and not isinstance(getattr(self, each.name), int):
                raise TypeError(f"{each.name} is {getattr(self, each.name)!r}, no whole number")
        if not 0 < self.hop <= self.window <= self.fft:
            raise ValueError(f"hop {self.hop}, window {self.window}, FFT {self.fft} are not in ascending order")
        if (self.sample_rate, self.hop) != (16_000, 160) or self.window > PROVISIONAL * self.hop:
            raise ValueError(
                f"hop {self.hop}, window {self.window} at {self.sample_rate} Hz: speech modulation and speaker change "
                "detection need a frame each 10 ms, of 30 ms at most, at 16 kHz"
            )
        if not 0 <= self.low_hz < self.high_hz <= self.sample_rate / 2:
            raise ValueError(f"mel range {self.low_hz}-{self.high_hz} Hz is not within 0-{self.sample_rate / 2} Hz")
        if self.fft > LARGEST_FFT:
            raise ValueError(f"an FFT of {self.fft} points is larger than {LARGEST_FFT}")
        if not 0 < self.shortest <= LONGEST:
            raise ValueError(f"a shortest input of {self.shortest} frames is not within 1 to {LONGEST}")
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(f"a normalisation {self.normalisation!r}; there are {' and '.join(NORMALISATIONS)}")
        if not 0 <= self.preemphasis <= 1:
            raise ValueError(f"a pre-emphasis of {self.preemphasis} is not within 0 to 1")
        if not 0 < self.floor <= 1:
            raise ValueError(f"a floor of {self.floor} is not above 0, and at most 1")
        if not 0 < self.mels <= self.fft // 2 or not np.diff(self.edges()).all():
            raise ValueError(f"{self.mels} mel bins are narrower than those of an FFT of {self.fft} points")

    def edges(self) -> NDArray[np.int64]:
        """FFT bins of the mel filters, int64 [mels + 2]: filter m begins, peaks and ends at entries m, m + 1 and m + 2."""
        to_mel = 2595.0 * np.log10(1.0 + np.array([self.low_hz, self.high_hz]) / 700.0)
        edges_hz = 700.0 * (10.0 ** (np.linspace(to_mel[0], to_mel[1], self.mels + 2) / 2595.0) - 1.0)
        return np.rint(edges_hz * self.fft / self.sample_rate).astype(np.int64)
