"""People with voices and faces, small enough for tests: every person's voice and pictures carry what makes their face."""

import numpy as np

from tests.stand_ins.sphere import sphere
from tests.training.seeds import varied
from voxface.training.data.pairs import Pairs, Person, Split, joined


def small_pairs(people: int = 8, seed: int = 0, frames: int = 120, size: int = 64) -> Pairs:
    """`people` persons of as many speakers, women and men in turns: half train, a quarter validation, a quarter test.

    Each has three recordings (the first twice: clean and noisy) and two pictures; the coefficients are those of
    `sphere`, two of them. The voice is a band of energy that moves with the first coefficient, the picture a colour.
    VOXFACE_TEST_SEED moves the seed.
    """
    seed = varied(seed)
    rng = np.random.default_rng(seed)
    model = sphere()
    sexes = np.arange(people) % 2
    coefficients = (model.sex_means[sexes] + rng.normal(0, 0.5, (people, 2))).astype(np.float32)
    splits: list[Split] = [
        "train" if i < people // 2 else "validation" if i < 3 * people // 4 else "test" for i in range(people)
    ]
    utterances, who, recording, clean = [], [], [], []
    for i in range(people):
        for take in range(4):
            centre = 32 + 8 * coefficients[i, 0]
            band = np.exp(-(((np.arange(64) - centre) / 6) ** 2))
            loud = rng.random((frames + 10 * take, 1))
            noise = 0.3 if take == 3 else 0.1
            utterances.append((8 * band * loud + noise * rng.normal(size=(len(loud), 64))).astype(np.float32))
            who.append(i)
            recording.append(3 * i + take % 3)
            clean.append(take < 3)
    colours = 128 + 40 * coefficients[:, [0, 1, 0]]
    pictures = np.clip(
        np.repeat(colours, 2, axis=0)[:, None, None] + rng.normal(0, 12, (2 * people, size, size, 3)), 0, 255
    ).astype(np.uint8)
    joint, offsets = joined(utterances)
    return Pairs(
        kind="synthetic",
        about={"seed": seed, "name": "small"},
        people=tuple(Person(f"p{i}", f"s{i}", "M" if sexes[i] else "F", splits[i]) for i in range(people)),
        frames=joint,
        offsets=offsets,
        utterance_person=np.array(who, np.int32),
        utterance_recording=np.array(recording, np.int32),
        utterance_clean=np.array(clean),
        pictures=pictures,
        picture_person=np.repeat(np.arange(people), 2).astype(np.int32),
        coefficients=coefficients,
        expected=coefficients.copy(),
        cues=np.stack([200 - 80 * sexes, 14 + 3 * sexes], axis=1).astype(np.float32),
        morphable=model,
        digest=f"small-{people}-{seed}-{frames}-{size}",
    )
