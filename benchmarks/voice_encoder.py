"""How well voice encoders tell people apart, and what else an embedding tells: sex, age, child or adult.

    VOXFACE_SHARED=… python -m benchmarks.voice_encoder --voices VOICES [--encoder RUN] [--before BUNDLE] [--teacher FILE]

*Encoders*: that of the default bundle or of a training run, that of an earlier bundle, and the teacher that it learnt from.
*Verification* is of a speaker's recordings, or of the two halves of the recording where there is one only, all against all
other speakers of the set: the 52 LibriSpeech speakers and the speakers of 59 languages and of other sets who were never learnt
from (`voxface.training.voices.listing.split_of`); "librispeech halves" takes the halves of every recording, half as long.
*Telephone* is the same speech at 300 to 3,400 Hz, and coded. *Sex, age and child* are linear probes on embeddings of training
voices, of whole recordings; the trivial answers are the commoner sex, the mean age and chance. Intervals are of 95 %, by
bootstrap over speakers.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.features.normalisation import network_input
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.training.data.voice_augmentation import AugmentConfig
from voxface.training.engine.trained_networks import load_network
from voxface.training.evaluation.hearing.linear_probe import ridge_probe, side_probe
from voxface.training.evaluation.hearing.speaker_trials import pair_rates
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.measures.verification import auc
from voxface.training.evaluation.result import Measured
from voxface.training.models import VoiceEncoder
from voxface.training.voices.listing import voices
from voxface.training.voices.rendering import RenderingConfig, render
from voxface.training.voices.renderings import Renderings
from voxface.training.voices.teacher import load_teacher

Float32 = NDArray[np.float32]
Embed = Callable[[Renderings, int, int, int], Float32]
"""Unit vector of frames [begin, end) of a rendering."""
ROUNDS: Final = 300
LEAST_SPEAKERS: Final = 20  # of a language or set, for a row of its own
ADULT_SECONDS: Final = 5.0
CHILD: Final = 14  # years at most


def plain(number: Measured) -> list[float]:
    """[value, low, high], rounded."""
    return [round(float("nan") if side is None else side, 5) for side in (number.value, number.low, number.high)]


def embedder(encoder: VoiceEncoder) -> Embed:
    """Embeddings of a network in PyTorch."""

    def embed(renderings: Renderings, rendering: int, begin: int, end: int) -> Float32:
        frames = renderings.frames[renderings.start[rendering] :][begin:end].astype(np.float32)
        with torch.no_grad():
            row: Float32 = encoder(torch.from_numpy(network_input(frames, how=encoder.normalisation)))[0][0].numpy()
        return row

    return embed


def loaded(run: Path) -> VoiceEncoder:
    """The encoder of a training run."""
    encoder = load_network(run, "encoder")
    assert isinstance(encoder, VoiceEncoder)
    return encoder


def bundled(bundle: Bundle) -> Embed:
    """Embeddings of a bundle's encoder."""
    encoder = FaceEstimator(bundle, threads=1).encoder

    def embed(renderings: Renderings, rendering: int, begin: int, end: int) -> Float32:
        frames = renderings.frames[renderings.start[rendering] :][begin:end].astype(np.float32)
        return np.asarray(
            encoder.run({"log_mel": network_input(frames, how=bundle.front_end.normalisation)})["embedding"][0],
            np.float32,
        )

    return embed


def taught_by(renderings: Renderings) -> Embed:
    """Vectors of the teacher, centred on the mean of the training voices.

    Its pieces are those that were heard once, so that one near the middle of a recording belongs to both halves; where voices
    have one recording only, that favours it. `voxface eval speaker` lets it hear each half for itself.
    """
    centre = renderings.vectors.astype(np.float32).mean(0)

    def embed(of: Renderings, rendering: int, begin: int, end: int) -> Float32:
        row = of.targets(rendering, begin, end) - centre
        unit: Float32 = row / np.linalg.norm(row)
        return unit

    return embed


def verification(
    renderings: Renderings, embed: Embed, chosen: Sequence[int], *, always_halves: bool = False
) -> dict[str, Any]:
    """Equal error rate and area under the ROC of some renderings, or of halves of those of speakers who have no other."""
    rows, speakers = [], []
    names = [person(renderings, r)["speaker"].removeprefix("ls") for r in chosen]
    several = set() if always_halves else {name for name, count in Counter(names).items() if count > 1}
    for r, name in zip(chosen, names, strict=True):
        length = int(renderings.length[r])
        middle = length if name in several else length // 2
        for begin, end in ((0, middle), (middle, length)):
            if begin < end:
                rows.append(embed(renderings, int(r), begin, end))
                speakers.append(name)
    rates = pair_rates(np.stack(rows), speakers, rounds=ROUNDS)
    found: dict[str, Any] = {"speakers": len(set(speakers)), "recordings": len(speakers)}
    return found | {"eer": plain(rates.eer), "auc": plain(rates.auc)}


def person(renderings: Renderings, rendering: Any) -> Mapping[str, Any]:
    """The attributes of a rendering's voice."""
    voice: Mapping[str, Any] = renderings.about["voices"][int(renderings.voice[int(rendering)])]
    return voice


def whole(renderings: Renderings, embed: Embed, chosen: Sequence[int]) -> Float32:
    """Embeddings [N, E] of whole renderings."""
    return np.stack([embed(renderings, int(r), 0, int(renderings.length[r])) for r in chosen])


def labels_told(
    train: tuple[Renderings, Sequence[int]], test: tuple[Renderings, Sequence[int]], embed: Embed
) -> dict[str, Any]:
    """Sex, age and child or adult, by linear probes."""
    rows = {name: whole(of, embed, chosen) for name, (of, chosen) in (("train", train), ("test", test))}
    people = {name: [person(of, r) for r in chosen] for name, (of, chosen) in (("train", train), ("test", test))}
    seconds = np.array([test[0].length[r] / 100 for r in test[1]])
    middle = {name: np.array([np.mean(p["age"]) if p["age"] else np.nan for p in of]) for name, of in people.items()}
    child = {name: ages <= CHILD for name, ages in middle.items()}
    sex = {name: np.array([{"F": -1.0, "M": 1.0}.get(p["sex"], np.nan) for p in of]) for name, of in people.items()}
    speakers = np.array([p["speaker"] for p in people["test"]])
    found: dict[str, Any] = {}

    # Sex, of adults with enough speech; women and men count alike in the probe, though there are more men.
    of = np.isfinite(sex["train"]) & ~child["train"]
    told = side_probe(rows["train"][of], sex["train"][of] > 0)
    asked = np.isfinite(sex["test"]) & ~child["test"] & (seconds >= ADULT_SECONDS)
    right = told(rows["test"][asked]) == (sex["test"][asked] > 0)
    men = float(np.mean(sex["test"][asked] > 0))
    found["sex"] = share(right, speakers[asked]) | {"commoner": round(max(men, 1 - men), 4)}

    # Age in years, of whom it is known to a decade.
    known = np.isfinite(middle["train"])
    guess = ridge_probe(rows["train"][known], middle["train"][known])
    asked = np.isfinite(middle["test"])
    error = np.abs(guess(rows["test"][asked]) - middle["test"][asked])
    trivial = np.abs(middle["train"][known].mean() - middle["test"][asked])
    found["age"] = {
        "speakers": int(asked.sum()),
        "mean_absolute_error": of_speakers(error, speakers[asked]),
        "mean_age": of_speakers(trivial, speakers[asked]),
        "gain": of_speakers(trivial - error, speakers[asked]),
    }

    if child["test"][asked].any():
        childlike = ridge_probe(rows["train"][known], child["train"][known].astype(np.float64))
        score, is_child = childlike(rows["test"][asked]), child["test"][asked]
        low, high = bootstrap(
            lambda at: (
                auc(score[at][is_child[at]], score[at][~is_child[at]]) if 0 < is_child[at].sum() < len(at) else np.nan
            ),
            speakers[asked],
            rng=np.random.default_rng(3),
            rounds=ROUNDS,
        )
        value = auc(score[is_child], score[~is_child])
        found["child"] = {"children": int(is_child.sum()), "auc": plain(Measured(value, low, high))}
    return found


def share(right: NDArray[np.bool_], speakers: NDArray[Any]) -> dict[str, Any]:
    """A share with its interval."""
    return {"speakers": len(set(speakers.tolist())), "share": of_speakers(right.astype(np.float64), speakers)}


def of_speakers(values: NDArray[Any], speakers: NDArray[Any]) -> list[float]:
    """Mean, with its interval over speakers."""
    low, high = bootstrap(lambda at: float(values[at].mean()), speakers, rng=np.random.default_rng(7), rounds=ROUNDS)
    return plain(Measured(float(values.mean()), low, high))


def groups(renderings: Renderings) -> dict[str, list[int]]:
    """Clean renderings of test voices: LibriSpeech, all of the others, each of their sets, and each language with enough."""
    clean = heard_clean(renderings, "test")
    found = {"librispeech": [r for r in clean if person(renderings, r)["corpus"] == "librispeech"]}
    many = [r for r in clean if person(renderings, r)["corpus"] != "librispeech"]
    found["many"] = many
    for field, word in (("corpus", ""), ("language", "language ")):
        for name in sorted({str(person(renderings, r)[field]) for r in many}):
            own = [r for r in many if person(renderings, r)[field] == name]
            if name and len({person(renderings, r)["speaker"] for r in own}) >= LEAST_SPEAKERS:
                found[f"{word}{name}"] = own
    return {name: own for name, own in found.items() if len(own) > 1}


def heard_clean(renderings: Renderings, split: str) -> list[int]:
    """The clean renderings of a split's voices as they were recorded."""
    return [int(r) for r in renderings.of(split, clean=True) if renderings.speed[r] == 1]


def by_telephone(shared: Path, teacher: str, folder: Path, workers: int) -> Renderings:
    """All test voices as a telephone gives them: the degraded renderings."""
    quiet = AugmentConfig(noise=0.0, room=0.0, equaliser=0.0, gain_db=(0.0, 0.0))
    config = RenderingConfig(speeds=(1.0,), telephone=1.0, codec=0.0, augment=quiet)
    listed = voices(shared / "speech/librispeech") + voices(shared / "speech/many")
    test = [voice for voice in listed if voice.split == "test"]
    render(test, load_teacher(teacher), config, folder, workers=workers)
    return Renderings.load(folder)


def main() -> None:
    """Measures and writes benchmarks/results/voice_encoder.json."""
    line = parser(__doc__)
    line.add_argument("--encoder", type=Path, help="folder of a training run (the default bundle)")
    line.add_argument("--before", type=Path, help="an earlier bundle, to compare with")
    line.add_argument("--teacher", default="resemblyzer", help="see `voxface data voices` (%(default)s)")
    line.add_argument("--voices", type=Path, required=True, help="folder of `voxface data voices`, of the same speech")
    line.add_argument("--workers", type=int, default=2, help="processes (%(default)s)")
    line.add_argument("--dry", action="store_true", help="print the numbers and write no file")
    asked = line.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as room:
        clean = Renderings.load(asked.voices)
        shared = Path(os.environ.get("VOXFACE_SHARED", "../shared/data"))
        telephone = by_telephone(shared, asked.teacher, Path(room) / "telephone", asked.workers)
        ours = embedder(loaded(asked.encoder)) if asked.encoder else bundled(Bundle.open())
        encoders = {"ours": ours, "teacher": taught_by(clean)}
        if asked.before is not None:
            encoders["before"] = bundled(Bundle.open(asked.before))
        found: dict[str, Any] = {}
        train, test = (heard_clean(clean, split) for split in ("train", "test"))
        narrow = [int(r) for r in telephone.of("test", clean=False)]
        for name, embed in encoders.items():
            found[name] = {group: verification(clean, embed, own) for group, own in groups(clean).items()}
            found[name]["librispeech halves"] = verification(
                clean, embed, groups(clean)["librispeech"], always_halves=True
            )
            found[name]["told"] = labels_told((clean, train), (clean, test), embed)
            if name != "teacher":  # it has heard the clean sound only
                found[name]["telephone"] = verification(telephone, embed, narrow)
                found[name]["told by telephone"] = labels_told((clean, train), (telephone, narrow), embed)
            print(
                name,
                {g: (of.get("eer"), of.get("auc")) for g, of in found[name].items()},
                found[name]["told"],
                flush=True,
            )
    if not asked.dry:
        record(
            "voice_encoder",
            "python -m benchmarks.voice_encoder --voices artifacts/default/voices",
            found,
            ("numpy", "onnxruntime", "torch"),
        )


if __name__ == "__main__":
    main()
