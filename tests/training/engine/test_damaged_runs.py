"""Checkpoints and learning curves that were cut, edited or mixed up: each is named, and what is whole serves."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")

from torch import nn  # noqa: E402

from tests.stand_ins.killed_trainings import CONFIG, contents, killed, result, run_in  # noqa: E402
from tests.stand_ins.small_training import train  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.engine.learning_curve import Curve  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("harm", "name"),
    [
        (cut, "painter.safetensors"),
        (flip, "painter.safetensors"),
        (flip, "optimiser-makers.safetensors"),
        (Path.unlink, "optimiser-makers.safetensors"),
        (cut, "state.json"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_serves(
    tmp_path: Path, whole: tuple[bytes, bytes], harm: Any, name: str
) -> None:
    killed(tmp_path)
    newest = tmp_path / "checkpoints" / "step-000000008"
    harm(newest / name)
    before = contents(tmp_path)
    with pytest.raises(
        InputError, match=r"step-000000008: this checkpoint cannot be used .*delete it to go on"
    ) as caught:
        train(tmp_path, CONFIG, resume=True)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


def edited(change: Any) -> Any:
    """Changes the document in a file, which stays good JSON."""

    def harm(file: Path) -> None:
        document = json.loads(file.read_text())
        change(document)
        file.write_text(json.dumps(document))

    return harm


def unsealed(change: Any) -> Any:
    """The same in a file of a version that sealed none."""
    return edited(lambda document: (document.pop("seal"), change(document)))


def no_point(text: bytes) -> Any:
    def harm(file: Path) -> None:
        lines = file.read_bytes().splitlines(keepends=True)
        file.write_bytes(b"".join([*lines[:2], text, *lines[2:]]))

    return harm


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (edited(lambda d: d["optimisers"]["makers"][0].update(lr=0.5)), "is not what was written"),
        (edited(lambda d: d.update(step=4)), "is not what was written"),
        (edited(lambda d: d["files"].update({"voice.safetensors": "0" * 64})), "is not what was written"),
        (edited(lambda d: d.update(threads=3)), "is not what was written"),
        (edited(lambda d: d.update(seal="0" * 64)), "is not what was written"),
        (unsealed(lambda d: d.update(step=4)), "is of step 4"),
        (unsealed(lambda d: d.update(step=True)), "no checkpoint's"),
        (lambda file: file.write_text("[" * 100_000), "state.json"),
        (lambda file: file.write_bytes(b"\xff\xfe\x00"), "state.json"),
    ],
)
def test_an_edited_state_is_named(tmp_path: Path, harm: Any, told: str) -> None:
    killed(tmp_path)
    harm(tmp_path / "checkpoints" / "step-000000008" / "state.json")
    with pytest.raises(InputError, match=rf"step-000000008: this checkpoint cannot be used \(.*{told}") as caught:
        train(tmp_path, CONFIG, resume=True)
    assert "\n" not in str(caught.value)


def test_a_state_of_a_version_that_did_not_seal_it(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path)
    unsealed(lambda _: None)(tmp_path / "checkpoints" / "step-000000008" / "state.json")
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


@pytest.mark.parametrize(
    "text",
    [
        b"\n", b"garbage\n", b"{}\n", b"5\n", b'{"step": "1"}\n', b'{"step": true}\n', b'{"step": -1}\n', b"\0\0\0\n",
        b'{"step": 2, "jud\n', b"\xff\xfe\n", b"[" * 100_000 + b"\n", b'{"step": NaN}\n',
    ],
)  # fmt: skip
def test_garbage_in_the_curve_is_named_and_stays(tmp_path: Path, text: bytes) -> None:
    killed(tmp_path)
    no_point(text)(tmp_path / "curve.jsonl")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"curve\.jsonl: line 3 is no point of a learning curve, so") as caught:
        train(tmp_path, CONFIG, resume=True)
    assert "\n" not in str(caught.value)
    assert contents(tmp_path) == before


@given(share=st.floats(0, 1), tail=st.sampled_from([b"", b"\0" * 40, b'{"step": 7', b"\xff"]))
@settings(max_examples=12, deadline=None)
def test_a_curve_cut_anywhere_is_gone_on_with(
    tmp_path_factory: pytest.TempPathFactory, share: float, tail: bytes
) -> None:
    """A kill, or a power failure, leaves any beginning of the file, and after it half a point or zeros."""
    folder = tmp_path_factory.mktemp("cut")
    data = b"".join(b'{"step": %d, "a": 0.25}\n' % step for step in range(9))
    at = round(share * len(data))
    (folder / "curve.jsonl").write_bytes(data[:at] + tail)
    said: list[str] = []
    Curve(folder, 8, said.append)
    whole_lines = min(8, data[:at].count(b"\n"))
    assert (folder / "curve.jsonl").read_bytes() == b"".join(data.splitlines(keepends=True)[:whole_lines])
    left = data[:at].rpartition(b"\n")[2] + tail
    assert said == ([f"{folder / 'curve.jsonl'}: its last line was cut off and is left out"] if left else [])


def test_a_checkpoint_of_other_networks(tmp_path: Path) -> None:
    for width, resume in ((3, False), (4, True)):
        run = run_in(tmp_path, resume=resume)
        run.network("line", nn.Linear(2, width))
        if not resume:
            assert list(run.steps(2)) == [0, 1]
        else:
            with pytest.raises(InputError, match=r"cannot be used .*size mismatch for weight") as caught:
                list(run.steps(4))
            assert "\n" not in str(caught.value)
