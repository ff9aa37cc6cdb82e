"""The three graphs of a bundle in a row, whoever runs them, and their answers on clips."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voxface.calibration.clips import Clip
from voxface.calibration.task_error import Answer, TaskError
from voxface.runtime.face.morphable_model import MorphableModel


class Runner(Protocol):
    """Anything that runs a graph: an engine, or the half-precision emulator."""

    def run(self, feeds: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output for these inputs."""
        ...


def answers(runners: Mapping[str, Runner], clips: Sequence[Clip]) -> list[Answer]:
    """What the graphs "encoder", "face" and "mesh" say of each clip."""
    return [_answer(runners, runners["encoder"].run({"log_mel": clip.log_mel})["embedding"]) for clip in clips]


class Bench:
    """Measures lowered graphs against FP32 answers on a few clips; a graph that is not lowered is not run again."""

    def __init__(self, reference: Mapping[str, Runner], clips: Sequence[Clip], morphable: MorphableModel) -> None:
        """`reference` runs the FP32 graphs."""
        self._reference, self._clips, self._morphable = dict(reference), clips, morphable
        self._answers = answers(reference, clips)

    @property
    def reference(self) -> list[Answer]:
        """The FP32 answers."""
        return self._answers

    def errors(self, lowered: Mapping[str, Runner]) -> list[TaskError]:
        """The error of each clip with the graphs in `lowered` in the places of the FP32 ones."""
        runners = self._reference | dict(lowered)
        errors = []
        for clip, right in zip(self._clips, self._answers, strict=True):
            if "encoder" in lowered:
                got = _answer(runners, runners["encoder"].run({"log_mel": clip.log_mel})["embedding"])
            else:
                got = _answer(lowered, right.embedding[None], right)
            errors.append(TaskError.between(got, right, self._morphable))
        return errors


def _answer(runners: Mapping[str, Runner], embedding: NDArray[np.float32], known: Answer | None = None) -> Answer:
    """Decodes an embedding [1, E]; a graph that is not among the runners says what it said in `known`."""
    image = runners["face"].run({"embedding": embedding})["image"][0] if "face" in runners else None
    mesh = runners["mesh"].run({"embedding": embedding})["coefficients"][0] if "mesh" in runners else None
    if image is None or mesh is None:
        assert known is not None
        image = known.image if image is None else image
        mesh = known.coefficients if mesh is None else mesh
    return Answer(embedding[0], image, mesh)
