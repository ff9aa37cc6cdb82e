"""What sessions will cost, measured before the first one is let in: a synthetic voice through sessions of each mode."""

import time
from typing import Final

import numpy as np

from voxface.runtime.config.live import MODES, LiveConfig, Mode
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.events import FaceEstimated
from voxface.runtime.live.session import LiveSession
from voxface.runtime.profile.synthetic_voice import synthetic_voice
from voxface.serve.state.load_meter import FirstCosts

SECONDS: Final = 5.0  # of the voice
HOP: Final = SAMPLE_RATE // 4
USUAL_UPDATE_S: Final = 0.01  # where a bundle takes the synthetic voice for no speech


def first_costs(estimator: FaceEstimator) -> FirstCosts:
    """Measures for about half a second; the engines are warm afterwards."""
    estimator.warm_up()
    voice = synthetic_voice(SECONDS)
    listening: list[float] = []
    updates: dict[Mode, float] = {}
    for mode in MODES:
        config = LiveConfig(hop=HOP, mode=mode, detect_speaker_change=True, image_reuse_distance=None)
        session = LiveSession(estimator, config, features=estimator.bundle.front_end, vad=estimator.bundle.vad)
        faces: list[float] = []
        step = SAMPLE_RATE // 20
        for at in range(0, len(voice), step):
            began = time.perf_counter()
            events = session.feed(voice[at : at + step])
            took = time.perf_counter() - began
            (faces if any(isinstance(event, FaceEstimated) for event in events) else listening).append(took)
        # The mean, since admission is about sums; the first of each mode warms up what was not yet.
        updates[mode] = float(np.mean(faces[1:])) if len(faces) > 3 else USUAL_UPDATE_S
    return FirstCosts(float(np.mean(listening)) * SAMPLE_RATE / step, updates)
