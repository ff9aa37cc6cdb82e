"""The judge of pictures that several suites share: trained once for some data, settings and seed, and kept in the results."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.training.engine.phases import Done, not_told
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.leaks import check_apart
from voxface.training.evaluation.pictures.critics import Critics
from voxface.training.evaluation.pictures.face_readers import FaceReader
from voxface.training.evaluation.pictures.kept_networks import key_of, read_about, read_networks, write_networks
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge
from voxface.training.models.face_critic import Classifier, FaceEmbedding

FOLDER: Final = "judges"
F_C: Final = "F_c"
JUDGE: Final = "judge"
SAID: Final = {F_C: "F_c", JUDGE: "the judge"}  # in sentences
_QUICK: Final = 250  # steps


def judge_config(inputs: Inputs) -> JudgeConfig:
    """Settings of the judge: its defaults, with fewer steps where --quick is given."""
    return JudgeConfig(steps=inputs.fewer(JudgeConfig.steps, _QUICK), seed=inputs.seed)


def picture_judge(inputs: Inputs, config: JudgeConfig | None = None) -> PictureJudge:
    """The judge of these data: the one that the folder of results holds, or else a new one, which is then kept there.

    Data that were never saved have no digest; their judge is not kept.

    Raises:
        InputError: no pictures to train on, or a kept judge is damaged.
    """
    chosen = judge_config(inputs) if config is None else config
    return kept_judge(inputs.out / FOLDER, inputs, chosen, inputs.phase("the judge learns from real pictures"))


def readers(inputs: Inputs) -> dict[str, FaceReader]:
    """Networks that look at faces, by their names in the tables: F_c where --critics is given, and the judge.

    Raises:
        InputError: what `picture_judge` and `Critics.load` raise.
    """
    found: dict[str, FaceReader] = {}
    if inputs.critics is not None:
        found[F_C] = Critics.load(inputs.critics, inputs.pairs)
    found[JUDGE] = picture_judge(inputs)
    return found


def check_unknown(reader: FaceReader, people: NDArray[np.integer], inputs: Inputs, name: str) -> None:
    """Raises InputError where a network that looks at faces has learnt from people who are evaluated as strangers."""
    whole = inputs.pairs.people
    known = [whole[int(i)].name for i in reader.people if i >= 0]
    check_apart(known, [whole[int(i)].name for i in people], f"{name}, which looks at the faces")


def kept_judge(folder: Path, inputs: Inputs, config: JudgeConfig, done: Done = not_told) -> PictureJudge:
    """See `picture_judge`; `folder` is where it is kept."""
    pairs = inputs.pairs
    file = folder / key_of("judge", data=pairs.digest, config=asdict(config))
    if pairs.digest and file.exists():
        judge = load_judge(file)
        if len(judge.people) and int(judge.people.max()) >= len(pairs.people):
            raise InputError(f"{file}: a judge of other people; delete it, and it is made again")
        return judge
    judge = PictureJudge.train(pairs, config, progress=done)
    if pairs.digest:
        save_judge(file, judge, config)
    return judge


def save_judge(file: Path, judge: PictureJudge, config: JudgeConfig) -> None:
    """Writes a judge; `config` is what it was trained with.

    Raises:
        InputError: it cannot be written.
    """
    about: dict[str, Any] = {"config": asdict(config), "report": judge.report}
    arrays = {"people": torch.from_numpy(judge.people), "aside": torch.from_numpy(judge.aside)}
    write_networks(file, {"embedding": judge.embedding, "identity": judge.identity, "sex": judge.sex}, arrays, about)


def load_judge(file: Path) -> PictureJudge:
    """Reads a judge that `save_judge` wrote: the same numbers, bit for bit, for the same pictures.

    Raises:
        InputError: it is none, or is damaged.
    """
    about = read_about(file)
    try:
        config = about["config"]
        channels, width = tuple(int(c) for c in config["channels"]), int(config["embedding"])
        classes = int(about["report"]["people"])
        embedding = FaceEmbedding(channels, width)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{file}: not a judge of pictures ({error!r}); delete it, and it is made again") from error
    embedding.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as it was trained: the same bits
    networks = {"embedding": embedding, "identity": Classifier(classes, width), "sex": Classifier(2, width)}
    arrays = read_networks(file, networks)
    if not {"people", "aside"} <= arrays.keys() or len(arrays["people"]) != classes:
        raise InputError(f"{file}: not a judge of pictures; delete it, and it is made again")
    return PictureJudge(arrays["people"].numpy(), arrays["aside"].numpy(), **networks, report=about["report"])
