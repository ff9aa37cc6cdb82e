"""The settings of the voice activity detector."""

from dataclasses import dataclass

LONGEST_RING = 100  # frames, 1 to 3 s of sound


@dataclass(frozen=True)
class VadConfig:
    """Settings of the voice activity detector.

    Attributes:
        mode: WebRTC aggressiveness, 0 (keeps most) to 3.
        frame: samples of a frame: 160, 320 or 480, since WebRTC takes 10, 20 and 30 ms.
        ring: number of frames that must agree before a segment opens or closes.
    """

    mode: int = 2
    frame: int = 320
    ring: int = 2

    def __post_init__(self) -> None:
        if self.mode not in (0, 1, 2, 3):
            raise ValueError(f"VAD mode {self.mode} is not 0, 1, 2 or 3")
        if self.frame not in (160, 320, 480):
            raise ValueError(f"a VAD frame of {self.frame} samples is not 10, 20 or 30 ms at 16 kHz")
        if not 1 <= self.ring <= LONGEST_RING:
            raise ValueError(f"a ring of {self.ring} frames is not within 1 to {LONGEST_RING}")
