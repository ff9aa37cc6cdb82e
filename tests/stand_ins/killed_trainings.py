"""Small trainings that are killed in a step or are to do nothing, and what is left of them in their folders."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from tests.stand_ins.small_training import QUICK, SmallConfig, train
from voxface.training.engine.run import Run

CONFIG = SmallConfig()


def weights(networks: dict[str, nn.Module]) -> bytes:
    tensors = [v for name in sorted(networks) for v in networks[name].state_dict().values()]
    return b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)


def result(folder: Path, networks: dict[str, nn.Module]) -> tuple[bytes, bytes]:
    return (folder / "curve.jsonl").read_bytes(), weights(networks)


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Killed(Exception):
    """Nothing in a run knows this one."""


def die_at(step: int) -> Any:
    def meanwhile(now: int) -> None:
        if now == step:
            raise Killed

    return meanwhile


def killed(folder: Path, step: int = 10) -> None:
    """Leaves a run that ended in the middle of a step."""
    with pytest.raises(Killed):
        train(folder, CONFIG, meanwhile=die_at(step))


@dataclasses.dataclass(frozen=True)
class Nothing:
    """No hyper-parameters."""


def run_in(folder: Path, *, resume: bool = False, say: Any = lambda _: None, **changes: Any) -> Run:
    return Run(folder, Nothing(), dataclasses.replace(QUICK, **changes), resume=resume, say=say)
