"""A live session with a full window, for timing all the work that 0.1 s of sound causes."""

import time
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.live import LiveConfig, Mode
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.voice_to_face import VoiceToFace

HOP: Final = SAMPLE_RATE // 10
WINDOW_S: Final = 8
LONGEST_WAIT: Final = (
    2000  # hops without an estimate of the full window, after which a session is not going to give one
)


class FullWindow:
    """A live session that hears the same sound again and again, so that its window is full of speech."""

    def __init__(
        self,
        voice_to_face: VoiceToFace,
        sound: NDArray[np.int16],
        mode: Mode,
        seconds: int = WINDOW_S,
        image_reuse_distance: float | None = 0.0,
    ) -> None:
        """`image_reuse_distance`: None: the mode's."""
        # Networks with random weights hear a change of speaker anywhere; the watch, a few products, is off for all.
        config = LiveConfig(
            hop=HOP,
            window=seconds * SAMPLE_RATE,
            mode=mode,
            image_reuse_distance=image_reuse_distance,
            detect_speaker_change=False,
        )
        self._session = voice_to_face.live_session(config)
        self._sound, self._at = sound, 0
        hop = voice_to_face.bundle.front_end.hop
        self._frames = seconds * SAMPLE_RATE // hop
        for _ in range(2 * self._frames * hop // HOP):
            self.hop(filling=True)

    def update(self) -> dict[str, float]:
        """Feeds sound until an estimate of the full window has come, and returns what the last 0.1 s cost."""
        for _ in range(LONGEST_WAIT):
            found = self.hop()
            if found.pop("frames", 0) >= self._frames:
                return found
        raise RuntimeError("the session gives no estimates of the full window")

    def hop(self, *, filling: bool = False) -> dict[str, float]:
        """Feeds 0.1 s of sound; returns milliseconds by stage if that gave an estimate, else nothing."""
        samples = np.resize(np.roll(self._sound, -self._at), HOP)
        self._at = (self._at + HOP) % len(self._sound)
        began = time.perf_counter_ns()
        events = self._session.feed(samples, behind=filling)  # most estimates are left out while the window fills
        total = (time.perf_counter_ns() - began) / 1e6
        faces = [event.estimate for event in events if isinstance(event, FaceEstimated)]
        if len(faces) != 1:
            return {}
        stages = {name: ns / 1e6 for name, ns in faces[0].stages_ns.items()}
        return {**stages, "rest": total - sum(stages.values()), "total": total, "frames": faces[0].frames}
