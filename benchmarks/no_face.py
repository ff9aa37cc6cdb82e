"""How often a live session makes a face of noise, silence and music, and of speech with and without noise, in 5 s windows.

    VOXFACE_SHARED=… python -m benchmarks.no_face

A window counts as having a face if any estimate is made in it. Each has a session of its own, so no window profits from earlier
sound. Real noises are played at their own level and at three others. Speech is of the speakers held out from the bundle's
training, as it is and at 10 dB above the real noises. The gate's threshold was set on training speakers in synthetic noise and
on synthetic music, and raised once after a first run of this benchmark (0.72 let 7 % of the music pass). The reported music has
seeds that neither of the two used, in the same ten styles.
"""

import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.features.speech import Speech
from voxface.runtime.live.events import FaceEstimated, NoFace, VoiceStarted
from voxface.runtime.live.session import LiveSession
from voxface.training.data.sound_clips import noisy, read, scaled, silence, synthetic_noise, window
from voxface.training.data.speech_corpus import librispeech
from voxface.training.data.synthetic_music import STYLES, music
from voxface.training.evaluation.intervals import wilson
from voxface.training.trainers.speaker_change_streams import StubEstimate

SECONDS: Final = 5


class NoDecoders:
    """An estimator without networks: the session decides before it whether there is a face."""

    speech_modulation = Bundle.open().speech_modulation
    speaker_change = None

    def estimate(self, speech: Speech, before: Any = None, image_reuse_distance: float = 0.0, *, timer: Any) -> Any:
        """A placeholder, which the benchmark counts."""
        return StubEstimate(np.ones((64, 8), np.float32))


def heard(samples: np.ndarray) -> tuple[float, list[str]]:
    """Seconds from the first voice of a window to its face, NaN for none; and the reasons given for no face."""
    session = LiveSession(NoDecoders())
    events = session.feed(samples) + session.finish()
    voice = next((e.start for e in events if isinstance(e, VoiceStarted)), 0)
    face = next((e.position for e in events if isinstance(e, FaceEstimated)), None)
    return np.nan if face is None else (face - voice) / SAMPLE_RATE, [e.reason for e in events if isinstance(e, NoFace)]


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
    rng = np.random.default_rng(6)
    size = SECONDS * SAMPLE_RATE
    noises = {path.stem: read(path) for path in sorted((shared / "noise").glob("*.wav"))}
    windows: dict[str, list[np.ndarray]] = {name: [] for name in ("noise", "synthetic noise", "silence", "music")}
    for noise in noises.values():
        for at in range(0, len(noise) - size + 1, size):
            part = noise[at : at + size]
            windows["noise"] += [part, *(scaled(part, level) for level in (-40, -25, -12))]
    for seed in range(1000, 1060):
        windows["synthetic noise"].append(scaled(np.resize(synthetic_noise(seed), size), rng.uniform(-45, -10)))
    windows["silence"] = [silence(seed) for seed in range(100, 140)]
    windows["music"] = [music(seed, SECONDS) for seed in range(7000, 7000 + 20 * len(STYLES))]
    speech = [r for r in librispeech(shared / "speech" / "librispeech") if r.held_out]
    clean = [window(read(r.path), SECONDS, rng) for r in speech]
    names = list(noises)
    parts = [window(noises[names[int(rng.integers(len(names)))]].astype(float), SECONDS, rng) for _ in clean]
    windows["speech"] = clean
    windows["speech at 10 dB"] = [noisy(voice, noise) for voice, noise in zip(clean, parts, strict=True)]
    rows: dict[str, Any] = {}
    for kind, sounds in windows.items():
        found = [heard(sound) for sound in sounds]
        waits = np.array([wait for wait, _ in found])
        faces = int(np.isfinite(waits).sum())
        rows[kind] = {
            "windows": len(found),
            "with_a_face": faces,
            "share": faces / len(found),
            "interval_95": list(wilson(faces, len(found))),
            "within_1_3_s_of_the_voice": int((waits <= 1.3).sum()),
            "reasons": dict(Counter(reason for _, reasons in found for reason in reasons).most_common()),
        }
    record("no_face", "python -m benchmarks.no_face", {"seconds": SECONDS, "kinds": rows})


if __name__ == "__main__":
    main()
