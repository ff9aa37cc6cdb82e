"""Short and long clips of rendered voices, clean and degraded, as embeddings with what is known of the speakers' ages."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.age import CHILD_UP_TO, YOUNGEST
from voxface.training.voices.renderings import Renderings

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
SECONDS: Final = (1, 2, 4, 8)  # of speech in a clip, as far as a recording reaches
FRAMES: Final = 100  # of a second


@dataclass(frozen=True)
class AgeClips:
    """N clips.

    Attributes:
        embedding: float64 [N, E], the voice encoder's.
        teacher: float64 [N, S], the teacher's vectors, averaged over each clip.
        youngest, oldest: float64 [N], years; NaN where nothing is known of the age.
        seconds: float64 [N], of speech.
        speaker, corpus, split: texts [N].
    """

    embedding: Float64
    teacher: Float64
    youngest: Float64
    oldest: Float64
    seconds: Float64
    speaker: NDArray[np.str_]
    corpus: NDArray[np.str_]
    split: NDArray[np.str_]

    @property
    def child(self) -> NDArray[np.bool_]:
        """Which clips are of children: they are 14 years old at most."""
        return self.oldest <= CHILD_UP_TO

    @property
    def adult(self) -> NDArray[np.bool_]:
        """Which clips are of adults: they are at least 18. Whose decade is only known to be the teens is neither."""
        return self.youngest >= YOUNGEST

    @property
    def middle(self) -> Float64:
        """The middle of the ages that a speaker may have, float64 [N], years."""
        return (self.youngest + self.oldest + 1) / 2


def age_clips(rendered: Sequence[Renderings], encode: Callable[[Float32], Float32], seed: int = 0) -> AgeClips:
    """Clips of the voices as they were recorded, since a voice that is played faster or slower is of no known age.

    Training voices of unknown age are left out.

    Args:
        rendered: folders of voices, with vectors of one teacher.
        encode: gives the embedding float32 [E] of log-mel frames float32 [T, mels].
        seed: of the places of the clips in the recordings.
    """
    rows = []
    for number, voices in enumerate(rendered):
        for rendering in np.flatnonzero(voices.speed == 1).tolist():
            who = voices.about["voices"][int(voices.voice[rendering])]
            if who["age"] is None and who["split"] == "train":
                continue
            rng = np.random.default_rng([seed, number, rendering])
            length = int(voices.length[rendering])
            for frames in sorted({min(length, seconds * FRAMES) for seconds in SECONDS}):
                begin = int(rng.integers(length - frames + 1))
                at = int(voices.start[rendering]) + begin
                heard = np.asarray(voices.frames[at : at + frames], np.float32)
                age = who["age"] or (np.nan, np.nan)
                vectors = voices.targets(rendering, begin, begin + frames)
                about = (who["speaker"], who["corpus"], who["split"])
                rows.append((encode(heard), vectors, *age, frames / FRAMES, *about))
    columns = list(zip(*rows, strict=True)) or [()] * 8
    embedding, teacher, youngest, oldest, seconds = (np.asarray(column, np.float64) for column in columns[:5])
    speaker, corpus, split = (np.asarray(column, np.str_) for column in columns[5:])
    return AgeClips(embedding, teacher, youngest, oldest, seconds, speaker, corpus, split)
