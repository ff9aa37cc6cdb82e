"""Weights of others, saved in every way that people save them, against what PyTorch itself reads; files that are no weights."""

import argparse
import collections
import io
import os
import pickle
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import nn  # noqa: E402

from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.foreign.state_dicts import read_state_dict  # noqa: E402

pytestmark = pytest.mark.train


def read(path: Path, name: str = "weight") -> dict[str, Any]:
    return read_state_dict(path, "network of the test", lambda state: name in state)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.Sequential(nn.Linear(3, 2, bias=False)))


STATE = network().state_dict()


def same(found: dict[str, Any], wanted: dict[str, Any] = STATE) -> None:
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype, name
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, equal_nan=True)


def packed_again(path: Path) -> None:
    """As somebody does who unpacks a checkpoint and packs it with another program."""
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in reversed(old.namelist()):
            new.writestr(name, old.read(name))


def save_without_checksums(state: Any, path: Path) -> None:
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(state, path)
    finally:
        torch.serialization.set_crc32_options(True)


def save_zipped_again(state: Any, path: Path) -> None:
    torch.save(state, path)
    packed_again(path)


def save_safetensors(state: Any, path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: state[name] for name in sorted(state)}, path)


WAYS: dict[str, Callable[[Any, Path], Any]] = {
    **{f"torch.save, protocol {p}": (lambda s, f, p=p: torch.save(s, f, pickle_protocol=p)) for p in (2, 3, 4, 5)},
    **{
        f"before 1.6, protocol {p}": (
            lambda s, f, p=p: torch.save(s, f, pickle_protocol=p, _use_new_zipfile_serialization=False)
        )
        for p in (2, 4)
    },
    **{f"pickle.dump, protocol {p}": (lambda s, f, p=p: f.write_bytes(pickle.dumps(s, p))) for p in range(6)},
    "arrays, pickle.dump": lambda s, f: f.write_bytes(pickle.dumps({n: v.numpy() for n, v in s.items()})),
    "arrays in torch.save": lambda s, f: torch.save({n: v.numpy() for n, v in s.items()}, f),
    "without checksums": save_without_checksums,
    "packed again": save_zipped_again,
    "whole network": lambda _, f: torch.save(network(), f),
    "whole network before 1.6": lambda _, f: torch.save(network(), f, _use_new_zipfile_serialization=False),
    "parameters": lambda s, f: torch.save(
        {n: nn.Parameter(v) if v.is_floating_point() else v for n, v in s.items()}, f
    ),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_every_way_of_saving(tmp_path: Path, way: str) -> None:
    path = tmp_path / "x.pth"
    WAYS[way](STATE, path)
    same(read(path, "0.weight"))


def test_safetensors(tmp_path: Path) -> None:
    save_safetensors(STATE, tmp_path / "x.pth")  # told by its contents, not by its name
    found = read(tmp_path / "x.pth", "0.weight")
    same({name: found[name] for name in STATE})


TYPES = (
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.int16, torch.int32,
    torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint16,
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_tensors_are_those_that_pytorch_reads(tmp_path: Path, data: st.DataObject) -> None:
    """Types, views of one storage, strides, offsets, empty tensors and single numbers."""
    dtype = data.draw(st.sampled_from(TYPES))
    count = data.draw(st.integers(1, 60))
    storage = (torch.rand(count) * 9).to(dtype)
    state: dict[str, Any] = {"weight": storage}
    for k in range(data.draw(st.integers(0, 4))):
        begin = data.draw(st.integers(0, count - 1))
        view = storage[begin :: data.draw(st.integers(1, 3))]
        if len(view) % 2 == 0 and data.draw(st.booleans()):
            view = view.reshape(2, -1).T
        state[f"view{k}"] = view[:, None] if data.draw(st.booleans()) else view
    state["empty"], state["number"] = torch.empty((3, 0), dtype=dtype), storage[0]
    path = tmp_path / "x.pth"
    old = data.draw(st.booleans()) and dtype in TYPES[:11]
    protocol = data.draw(st.integers(2, 5))
    torch.save(state, path, pickle_protocol=protocol, _use_new_zipfile_serialization=not old)
    same(read(path), torch.load(path, weights_only=False))


@pytest.mark.parametrize(
    "prefix",
    [
        "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module.", "_forward_module.module.",
        "_fsdp_wrapped_module._orig_mod.",
    ],
)  # fmt: skip
def test_prefixes_of_wrappers(tmp_path: Path, prefix: str) -> None:
    torch.save({"state_dict": {prefix + name: value for name, value in STATE.items()}}, tmp_path / "x.pth")
    same(read(tmp_path / "x.pth", "0.weight"))


def test_wrappers_of_parts_and_averaged_models(tmp_path: Path) -> None:
    torch.save({f"2.{'_orig_mod.' * (k > 0)}{k}.weight": torch.ones(k) for k in range(3)}, tmp_path / "part.pth")
    assert list(read(tmp_path / "part.pth")) == ["2.0.weight", "2.1.weight", "2.2.weight"]
    averaged = torch.optim.swa_utils.AveragedModel(torch.compile(network(), backend="eager"))
    torch.save(averaged.state_dict(), tmp_path / "average.pth")
    same(read(tmp_path / "average.pth", "0.weight"))
    torch.save({"module.a": torch.ones(2), "a": torch.ones(2)}, tmp_path / "twice.pth")
    with pytest.raises(InputError, match=r"twice\.pth: holds a twice, under other prefixes"):
        read(tmp_path / "twice.pth")


class Config:
    """A class that voxface does not have."""

    def __init__(self) -> None:
        self.rate, self.layers = 0.1, {"a", "b"}


BESIDE: dict[str, Any] = {
    "epoch": 3,
    "args": argparse.Namespace(lr=0.1, out=Path("runs")),
    "loss": np.float64(0.5),
    "history": np.arange(5),
    "size": torch.Size([2, 3]),
    "meters": collections.defaultdict(list, a=[1.0]),
    "config": Config(),
    "sets": (frozenset({1}), {2, 3}, bytearray(b"x"), 1j, 2**80, float("nan")),
    "optimizer": torch.optim.Adam(network().parameters()).state_dict()
    | {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.ones(6, 4, 3)}}},
    "random": torch.get_rng_state().tolist()[:9],
}


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "model", "net", "generator", "G", "ema", "params"])
def test_whatever_lies_beside_the_weights(tmp_path: Path, key: str) -> None:
    for protocol in (2, 4):
        torch.save({**BESIDE, key: STATE}, tmp_path / "x.pth", pickle_protocol=protocol)
        same(read(tmp_path / "x.pth", "0.weight"))
    torch.save((3, {key: {"weights": STATE}}), tmp_path / "deep.pth")
    same(read(tmp_path / "deep.pth", "0.weight"))


def test_several_networks_in_a_file(tmp_path: Path) -> None:
    other = {"head.weight": torch.ones(3)}
    torch.save({"critic": other, "encoder": STATE}, tmp_path / "x.pth")
    same(read(tmp_path / "x.pth", "0.weight"))
    torch.save({"model": STATE, "ema": dict(STATE), "critic": other}, tmp_path / "two.pth")
    with pytest.raises(InputError, match="more than one network of the test: 'model', 'ema'; save the one"):
        read(tmp_path / "two.pth", "0.weight")
    with pytest.raises(InputError, match="holds weights in 'model', 'ema', 'critic', and none of them is one"):
        read(tmp_path / "two.pth", "elsewhere")


class Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("way", ["torch.save, protocol 2", "before 1.6, protocol 4", "pickle.dump, protocol 5"])
def test_what_could_run_is_refused_by_name(tmp_path: Path, way: str) -> None:
    mark = tmp_path / "mark"
    for name, call in {
        r"posix\.mkdir": Runs(os.mkdir, str(mark)),
        r"builtins\.exec|__builtin__\.exec": Runs(exec, f"open({str(mark)!r}, 'w')"),
        r"pathlib\.Path\.touch|pathlib": Runs(Path.touch, mark),
        r"subprocess\.run|commands\.run": Runs(__import__("subprocess").run, ["touch", str(mark)]),
    }.items():
        path = tmp_path / "x.pth"
        WAYS[way]({"state_dict": STATE, "more": [call]}, path)
        if "pathlib" in name and b"touch" in path.read_bytes() and b"Path.touch" not in path.read_bytes():
            continue  # old protocols ask for getattr(Path, "touch"), which is not called either
        with pytest.raises(
            InputError, match=rf"x\.pth: asks to run ({name}), which no network needs; nothing of it was run"
        ):
            read(path)
    assert not mark.exists()


def archive(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, b"x")


def script(path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), path)


def tarred(path: Path) -> None:
    with tarfile.open(path, "w") as file:
        for name in ("sys_info", "pickle", "tensors", "storages"):
            file.addfile(tarfile.TarInfo(name))


BYTES = STATE["0.weight"].numpy().tobytes()[:9]
OTHERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "TorchScript": (script, "is a TorchScript archive .*torch.jit.load, save the network's state_dict"),
    "torch.export": (lambda p: archive(p, "a/archive_format", "a/models/model.json"), "archive of torch.export"),
    "npz": (lambda p: np.savez(p.open("wb"), a=np.ones(3)), r"is an \.npz archive of arrays"),
    "a zip about it": (lambda p: archive(p, "net.pth", "readme.txt"), r"a zip archive with net\.pth in it; unpack it"),
    "another zip": (lambda p: archive(p, "word/document.xml"), "none that torch.save writes .it holds word/document.xml"),
    "tar": (tarred, "before 0.2 .a tar archive"),
    "a web page": (lambda p: p.write_bytes(b"\n<!DOCTYPE html><html>quota exceeded"), "the file is a web page"),
    "a pointer": (lambda p: p.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid"), "a pointer of Git LFS"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08\0"), "packed with gzip"),
    "HDF5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)), "the file is an HDF5 file"),
    "AppleDouble": (lambda p: p.write_bytes(bytes.fromhex("0005160700020000")), "metadata of macOS"),
    "empty": (lambda p: p.write_bytes(b""), "the file is empty"),
    "zeros": (lambda p: p.write_bytes(bytes(4000)), "nothing but zeros"),
    "cut": (lambda p: (torch.save(STATE, p), p.write_bytes(p.read_bytes()[:-900])), "a damaged checkpoint of PyTorch"),
    "a flipped bit": (
        lambda p: (torch.save(STATE, p), p.write_bytes(p.read_bytes().replace(BYTES, bytes(9)))),
        "does not have its checksum",
    ),
    "cut, before 1.6": (
        lambda p: (torch.save(STATE, p, _use_new_zipfile_serialization=False), p.write_bytes(p.read_bytes()[:-90])),
        "a damaged checkpoint of PyTorch",
    ),
    "no weights": (lambda p: torch.save({"epoch": 3}, p), "holds no weights by name.*it holds 'epoch'"),
    "one tensor": (lambda p: torch.save(torch.ones(3), p), "holds no weights by name"),
    "an object": (lambda p: torch.save(argparse.Namespace(a=1), p), "what argparse.Namespace would make"),
    "sparse": (lambda p: torch.save({"weight": torch.eye(3).to_sparse()}, p), "weight is a sparse tensor"),
    "meta": (lambda p: torch.save({"weight": torch.ones(3, device="meta")}, p), "without numbers"),
}  # fmt: skip


@pytest.mark.parametrize("what", list(OTHERS))
def test_what_is_no_checkpoint_is_named(tmp_path: Path, what: str) -> None:
    make, message = OTHERS[what]
    path = tmp_path / "x.pth"
    make(path)
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_numbers_of_the_other_byte_order(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    values = torch.arange(5, dtype=torch.float64)
    torch.save({"weight": values}, path)
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("/byteorder"):
                content = b"big"
            elif name.endswith("/data/0"):
                content = values.numpy().astype(">f8").tobytes()
            new.writestr(name, content)
    torch.testing.assert_close(read(path)["weight"], values)


def test_sizes_that_the_file_does_not_hold(tmp_path: Path) -> None:
    """A view of one number as 10¹² of them, which PyTorch would save in a few bytes."""
    torch.save({"weight": torch.zeros(1).expand(1 << 20, 1 << 20)}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="a tensor of 1099511627776 numbers whose storage has 1"):
        read(tmp_path / "x.pth")


def test_pickles_without_an_end_to_walk_to(tmp_path: Path) -> None:
    """A tuple of the one before, twice, 200 times: 2²⁰⁰ to print or to hash."""
    for end in (b".", b"q\x00}h\x00K\x01s.", b"q\x00\x85}\x8c\x01ah\x00s."):
        (tmp_path / "x.pth").write_bytes(b"\x80\x04)" + b"2\x86" * 200 + end)
        began = time.monotonic()
        with pytest.raises(InputError):
            read(tmp_path / "x.pth")
        assert time.monotonic() - began < 5
