"""A picture judge that has hardly learnt, for tests of what is done with one."""

from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge

_judges: dict[str, PictureJudge] = {}


def quick_judge(inputs: Inputs) -> PictureJudge:
    """In place of `judges.picture_judge`; one for each data."""
    digest = inputs.pairs.digest
    if digest not in _judges:
        _judges[digest] = PictureJudge.train(inputs.pairs, JudgeConfig((4, 4, 4, 8, 8), 8, steps=3, batch=8))
    return _judges[digest]
