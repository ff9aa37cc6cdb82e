"""Checkpoints of a running training: folders `step-000001500` of tensors and a description, whole or not at all.

Each is written beside its place and renamed to it; `state.json` in it knows the SHA-256 of every other file, so that what a
power failure or a bad disk left behind is not taken for a checkpoint.
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

STATE: Final = "state.json"


def newest(folder: Path) -> Path | None:
    """The last checkpoint in `folder`, or None."""
    return max((path for path in folder.glob("step-*") if (path / STATE).is_file()), default=None)


def write_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any], keep: int
) -> Path:
    """Writes a checkpoint and takes away all but the last `keep`.

    Args:
        step: steps done.
        tensors: of each file, named without suffix.
        state: JSON values.

    Raises:
        InputError: it cannot be written; the older ones are as they were.
    """
    from safetensors.torch import save

    place = folder / f"step-{step:09d}"
    part = folder / f".{place.name}.part"
    try:
        folder.mkdir(exist_ok=True)
        for left in folder.glob(".*.part"):  # by a process that was killed
            shutil.rmtree(left)
        part.mkdir()
        files = {}
        for name, values in tensors.items():
            # Copies, since safetensors wants no two names to share memory.
            data = save({key: value.detach().cpu().contiguous().clone() for key, value in values.items()})
            files[f"{name}.safetensors"] = hashlib.sha256(data).hexdigest()
            _write(part / f"{name}.safetensors", data)
        document = {"step": step, **state, "files": files}
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
    """What `write_checkpoint` was told, and `step`.

    Raises:
        InputError: the checkpoint is damaged.
    """
    try:
        state: dict[str, Any] = json.loads((place / STATE).read_text())
        if not isinstance(state["step"], int) or not isinstance(state["files"], dict):
            raise ValueError("it is no checkpoint's")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(place, f"{STATE}: {error}") from error
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
        raise unusable(place, f"{file}: {why}") from error
    return tensors


def unusable(place: Path, why: str) -> InputError:
    """The error of a checkpoint that cannot be gone on from, in one line."""
    return InputError(
        f"{place}: this checkpoint cannot be used ({' '.join(why.split())}); "
        "delete it to go on from the one before, or begin anew in another --out"
    )


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _remove(place: Path) -> None:
    """Takes a checkpoint away: first its name, so that a kill leaves no half of one."""
    part = place.with_name(f".{place.name}.old.part")
    place.rename(part)
    shutil.rmtree(part)
