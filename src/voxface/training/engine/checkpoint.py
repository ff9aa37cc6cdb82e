"""Checkpoints of a run that is under way: folders `checkpoints/step-000001500` with tensors and a description.

A checkpoint is written under a temporary name and then renamed. Its `state.json` holds the SHA-256 of every other file and of
itself, so that a folder damaged by a power failure or a bad disk, or edited, is not taken for a checkpoint; one of a version
that wrote none of itself is read as well. (Finished networks: `trained_networks`.)
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from voxface.runtime.errors import InputError
from voxface.runtime.files.sealed_json import is_intact, sealed

CHECKPOINTS: Final = "checkpoints"
STATE: Final = "state.json"


def newest_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint in `folder`, or None where there is none."""
    return max((path for path in folder.glob("step-*") if (path / STATE).is_file()), default=None)


def steps_done(run: Path) -> int:
    """The number of steps that the last checkpoint of a run's folder has; 0 where there is none.

    Raises:
        InputError: the checkpoint is damaged.
    """
    last = newest_checkpoint(run / CHECKPOINTS)
    return 0 if last is None else int(read_state(last)["step"])


def write_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Writes a checkpoint and deletes all but the last `keep`; returns its folder.

    Args:
        folder: of all checkpoints of the run.
        step: number of steps done.
        tensors: the tensors of each file, by its name without suffix.
        state: JSON values for `state.json`.
        keep: how many checkpoints stay.

    Raises:
        InputError: it cannot be written; older checkpoints are as before.
    """
    from safetensors.torch import save

    place = folder / _name(step)
    part = folder / f".{place.name}.part"
    try:
        folder.mkdir(exist_ok=True)
        for left in folder.glob(".*.part"):  # left by a process that was killed
            shutil.rmtree(left)
        part.mkdir()
        files = {}
        for name, values in tensors.items():
            # Copies, because safetensors allows no two names to share memory.
            data = save({key: value.detach().cpu().contiguous().clone() for key, value in values.items()})
            files[f"{name}.safetensors"] = hashlib.sha256(data).hexdigest()
            _write(part / f"{name}.safetensors", data)
        document = sealed({"step": step, **state, "files": files})
        _write(part / STATE, (json.dumps(document, indent=1) + "\n").encode())
        if place.exists():
            _remove(place)
        part.rename(place)
        for old in sorted(folder.glob("step-*"))[:-keep]:
            _remove(old)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise InputError(
            f"{place}: cannot be written ({error.strerror or error}); make room and go on with --resume from the "
            "checkpoint before"
        ) from error
    return place


def read_state(place: Path) -> dict[str, Any]:
    """The `state` that `write_checkpoint` got, with `step` and the files' SHA-256.

    Raises:
        InputError: the checkpoint is damaged.
    """
    try:
        state: dict[str, Any] = json.loads((place / STATE).read_text())
        if type(state["step"]) is not int or not isinstance(state["files"], dict):
            raise ValueError("it is no checkpoint's")
        if not is_intact(state):
            raise ValueError("is not what was written")
        if place.name != _name(state["step"]):
            raise ValueError(f"is of step {state['step']}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise unusable_checkpoint(place, f"{STATE}: {error}") from error
    return state


def read_tensors(place: Path, state: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """The tensors of one file, on the CPU.

    Raises:
        InputError: the checkpoint is damaged or has no such file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    file = f"{name}.safetensors"
    try:
        data = (place / file).read_bytes()
        if hashlib.sha256(data).hexdigest() != state["files"].get(file):
            raise ValueError("is not what was written")
        tensors: dict[str, Tensor] = load(data)
    except (OSError, ValueError, SafetensorError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise unusable_checkpoint(place, f"{file}: {why}") from error
    return tensors


def unusable_checkpoint(place: Path, why: str) -> InputError:
    """Error, in one line, about a checkpoint from which no run can be resumed."""
    return InputError(
        f"{place}: this checkpoint cannot be used ({' '.join(why.split())}); "
        "delete it to go on from the one before, or begin anew in another --out"
    )


def _name(step: int) -> str:
    return f"step-{step:09d}"


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _remove(place: Path) -> None:
    """Deletes a checkpoint; it is renamed first, so that a kill leaves no incomplete one under its name."""
    part = place.with_name(f".{place.name}.old.part")
    place.rename(part)
    shutil.rmtree(part)
