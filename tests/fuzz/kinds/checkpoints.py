"""Checkpoints of others, damaged and odd: `bundle import --wen2019`, `train … --encoder` and `--expert`.

Nothing of them may be run: each pickle that tries would leave a mark. A command ends within a minute with at most 1,200 MB (of
which 360 MB are there before it begins), and with one line where it fails. A sound checkpoint is read however it was saved.
"""

import io
import os
import pickle
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.fuzz.commands import Commands, Outcome
from tests.fuzz.damage import damaged, nested_pickle, no_file, odd_pickle, rezipped

FULL, QUICK = 600, 40
NEEDS = ("torch", "safetensors", "onnxscript")
MOST_MB, SECONDS = 1200.0, 60.0
_PRELOADED = ("torch", "safetensors.torch", "voxface.importers.wen2019", "voxface.training.trainers.joint")


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """The findings of `count` cases made from `seed`."""
    import torch

    torch.set_num_threads(1)
    good = _good(folder)
    findings: list[str] = []
    with Commands(folder, _PRELOADED) as commands:
        for case in range(count):
            rng = random.Random(f"{seed} {case}")
            target = rng.choices(("voice", "generator", "encoder", "expert"), (5, 2, 2, 2))[0]
            file, sound = _file(rng, folder, target)
            outcome = commands.run(*_words(target, file, folder, good), seconds=SECONDS, folder=folder)
            problems = outcome.problems(most_mb=MOST_MB, codes=(2, 3))
            if not outcome.hung and len(outcome.stderr.strip().splitlines()) != 1:
                problems.append(f"{len(outcome.stderr.strip().splitlines())} lines: {outcome.stderr[:200]!r}")
            if sound and not _was_read(outcome):
                problems.append(f"refused though it is sound: {outcome.stderr.strip()}")
            if (folder / "mark").exists():
                problems.append("it ran what the file asked for")
                (folder / "mark").unlink()
            findings += [f"{case} ({target}, {file.name}): {problem}" for problem in problems]
    return findings


def _good(folder: Path) -> Path:
    """A voice encoder of default widths, for commands that read it before the file that is tried."""
    from safetensors.torch import save_file

    from voxface.training.models import VoiceEncoder

    save_file(VoiceEncoder().state_dict(), folder / "good.safetensors")
    return folder / "good.safetensors"


def _words(target: str, file: Path, folder: Path, good: Path) -> list[object]:
    """A command that reads the file and then fails, because what it needs next is not there."""
    nowhere, out = folder / "nowhere.pth", folder / "out"
    if target == "voice":
        return ["bundle", "import", "--wen2019", file, nowhere, "--out", out]
    if target == "generator":
        return ["bundle", "import", "--wen2019", folder / "voice.pth", file, "--out", out]
    if target == "encoder":
        return ["train", "mesh", "--data", nowhere, "--encoder", file, "--out", out]
    return ["train", "joint", "--data", nowhere, "--encoder", good, "--expert", file, "--out", out]


def _was_read(outcome: Outcome) -> bool:
    """Whether the message is about what is missing on purpose, or about two files that do not go together."""
    return any(
        text in outcome.stderr for text in ("nowhere.pth: no such file", "no pairs here", "were not trained together")
    )


def _file(rng: random.Random, folder: Path, target: str) -> tuple[Path, bool]:
    """A file, and whether it is a sound one of its kind."""
    import torch

    state = _state(target)
    if target == "generator":
        torch.save(_state("voice", 24), folder / "voice.pth")
    path = folder / rng.choice(("x.pth", "x.pt", "x.ckpt", "x.bin"))
    kind = rng.randrange(10)
    if kind == 0:
        path.write_bytes(b"")
        return no_file(folder, path, rng), False
    value, sound = (_wrapped(state, rng), True) if rng.random() < 0.7 else (_odd_values(state, rng), False)
    data = _saved(value, rng, folder)
    if kind in (1, 2):
        path.write_bytes(data)
        return path, sound
    if data.startswith(b"PK") and kind < 7:
        change: Callable[[bytes], bytes] = rng.choice(
            (lambda d: damaged(d, rng), lambda d: odd_pickle(rng), lambda d: nested_pickle(rng))
        )
        data = rezipped(data, change, rng, only=rng.choice(("data.pkl", "data.pkl", "", "byteorder")))
    elif kind == 7:
        data = rng.choice((odd_pickle, nested_pickle))(rng)
    else:
        data = damaged(data, rng)
    path.write_bytes(data)
    return path, False


def _state(target: str, embedding: int = 16) -> dict[str, Any]:
    import torch

    state: dict[str, Any] = {}
    if target in ("voice", "encoder"):
        widths = (64, 8, 12, 16, 20, embedding) if target == "voice" else (64, 256, 384, 576, 864, 64)
        for k in range(5):
            state[f"model.{3 * k}.weight"] = torch.full((widths[k + 1], widths[k], 3), 0.01)
            for name in ("weight", "bias", "running_mean", "running_var") if k < 4 else ():
                state[f"model.{3 * k + 1}.{name}"] = torch.ones(widths[k + 1])
            if k < 4:
                state[f"model.{3 * k + 1}.num_batches_tracked"] = torch.tensor(3)
        state["model.12.bias"] = torch.zeros(widths[-1])
    elif target == "generator":
        widths = (16, 8, 8, 6, 4, 4, 3)
        for k in range(6):
            size = 1 if k == 5 else 4
            state[f"model.{2 * k}.weight"] = torch.full((widths[k], widths[k + 1], size, size), 0.02)
            state[f"model.{2 * k}.bias"] = torch.zeros(widths[k + 1])
    else:
        from voxface.training.models import MobileNetV2

        state = {f"module.I2P.backbone.{name}": value for name, value in MobileNetV2().state_dict().items()}
        for name, outputs in (("ori", 12), ("shape", 40), ("exp", 10)):
            state[f"module.I2P.backbone.classifier_{name}.1.weight"] = torch.zeros(outputs, 1280)
            state[f"module.I2P.backbone.classifier_{name}.1.bias"] = torch.zeros(outputs)
        state |= {"module.param_mean": torch.zeros(62), "module.param_std": torch.ones(62)}
    return state


class _Marks:
    """Leaves a mark if a reader runs the pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("mark",)


class _Harmless:
    """A class that no reader has."""

    def __init__(self) -> None:
        self.rate, self.names = 0.1, {"a", "b"}


def _wrapped(state: dict[str, Any], rng: random.Random) -> Any:
    """The weights with prefixes, beside other things, in other types: all of it sound."""
    import argparse
    import collections

    import numpy as np
    import torch

    prefix = "".join(rng.choices(("", "module.", "_orig_mod.", "_forward_module."), k=rng.randrange(3)))
    cast = rng.choice((None, None, torch.float16, torch.bfloat16, torch.float64))
    value: Any = collections.OrderedDict() if rng.random() < 0.5 else {}
    for name, tensor in state.items():
        changed = tensor.to(cast) if cast is not None and tensor.is_floating_point() else tensor
        value[prefix + name] = (
            torch.nn.Parameter(changed) if rng.random() < 0.1 and changed.is_floating_point() else changed
        )
    if rng.random() < 0.6:
        others = {
            "epoch": 3, "args": argparse.Namespace(lr=0.1, path=Path("runs")), "loss": np.float64(0.5), "best": np.arange(3),
            "shape": torch.Size([2, 3]), "meters": collections.defaultdict(list, a=[1.0]), "config": _Harmless(),
            "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"params": [0]}]},
        }  # fmt: skip
        beside = {name: others[name] for name in rng.sample(sorted(others), rng.randrange(4))}
        key = rng.choice(("state_dict", "model_state_dict", "model", "net", "generator", "G", "ema"))
        value = {**beside, key: value} if rng.random() < 0.5 else {key: value, **beside}
    return value


def _odd_values(state: dict[str, Any], rng: random.Random) -> Any:
    """Weights of which some are of another kind, or something else altogether."""
    import torch

    odd = rng.choice(
        (
            _Marks(), None, "text", 3, [], torch.zeros(()), torch.zeros(0, 64, 3), torch.ones(8, 64, 3, dtype=torch.int64),
            torch.zeros(8, 64, 3, device="meta"), torch.full((8, 64, 3), float("nan")),
            torch.full((8, 64, 3), 1e300, dtype=torch.float64),
            torch.zeros(1).expand(8, 1 << 20, 64), torch.ones(8, 64, 3, dtype=torch.complex64), torch.eye(8).to_sparse(),
            _quantised(), torch.ones(8, 64, 3, dtype=torch.bool),
        )
    )  # fmt: skip
    names = sorted(state)
    changed = dict(state) | dict.fromkeys(rng.sample(names, rng.randint(1, 3)), odd)
    both = {"a": state, "b": dict(state)}
    return rng.choice((changed, changed, {"state_dict": changed}, odd, [odd, changed], both, {1: state}))


def _quantised() -> Any:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they will go some day
        return torch.quantize_per_tensor(torch.ones(8, 64, 3), 0.1, 0, torch.qint8)


def _saved(value: Any, rng: random.Random, folder: Path) -> bytes:
    """The value as one of the ways of saving gives it."""
    import torch
    from safetensors.torch import save

    how = rng.randrange(8)
    tensors = isinstance(value, dict) and all(
        isinstance(v, torch.Tensor) and v.layout == torch.strided for v in value.values()
    )
    if how == 0 and tensors and not any(v.is_quantized or v.is_meta for v in value.values()):
        return save({name: v.detach().clone().contiguous() for name, v in value.items() if v.is_contiguous()})
    out = io.BytesIO()
    try:
        if how == 1:
            pickle.dump(value, out, rng.randrange(2, 6))
        else:
            torch.save(value, out, pickle_protocol=rng.choice((2, 2, 3, 4, 5)), _use_new_zipfile_serialization=how != 2)
    except (
        RuntimeError,
        NotImplementedError,
        AttributeError,
        pickle.PicklingError,
    ):  # not every tensor can be saved in every way
        out = io.BytesIO()
        torch.save(value, out)
    return out.getvalue()
