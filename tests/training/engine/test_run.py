"""Runs that are killed, interrupted, spoilt and shared among processes, and what is left of them."""

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")

from lightning_fabric.plugins import MixedPrecision  # noqa: E402
from torch import nn  # noqa: E402

from tests.conftest import ROOT  # noqa: E402
from tests.stand_ins.small_training import QUICK, Critic, Painter, SmallConfig, train, train_line  # noqa: E402
from voxface.runtime.errors import InputError, ProviderError, UsageError, VoxfaceError  # noqa: E402
from voxface.training.engine.learning_curve import Curve  # noqa: E402
from voxface.training.engine.optimiser_state import optimiser_state, restore_optimiser  # noqa: E402
from voxface.training.engine.prepared_batches import PreparedBatches  # noqa: E402
from voxface.training.engine.run import Run, RunConfig, TrainingError, bare  # noqa: E402
from voxface.training.models.frozen import Frozen  # noqa: E402

pytestmark = pytest.mark.train

CONFIG = SmallConfig()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """The last digits depend on how many there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Curve and weights of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    return result(folder, train(folder, CONFIG))


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


# -- going on ----------------------------------------------------------------------------------------------------------


def test_curve_has_every_step_and_checkpoints_are_the_last_two(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    said: list[str] = []
    assert result(tmp_path, train(tmp_path, CONFIG, say=said.append)) == whole
    points = [json.loads(line) for line in whole[0].splitlines()]
    assert [point["step"] for point in points] == list(range(12))
    assert all(list(point) == ["step", "judging", "penalty", "making"] for point in points)
    assert checkpoints(tmp_path) == ["step-000000008", "step-000000012"]
    assert (tmp_path / "samples" / "sheet-0000010.png").is_file()
    assert [line.split(":")[0] for line in said] == [f"step {step}" for step in range(12)]


@pytest.mark.parametrize("step", [1, 4, 7, 10])
def test_killed_in_a_step_goes_on_to_the_same_numbers(tmp_path: Path, whole: tuple[bytes, bytes], step: int) -> None:
    killed(tmp_path, step)
    resumed = step >= 4
    with (tmp_path / "curve.jsonl").open("a") as curve:
        curve.write('{"step": 11, "judg')
    (tmp_path / "checkpoints" / ".step-000000008.part").mkdir(parents=True)  # a kill while it wrote
    (tmp_path / "checkpoints" / ".step-000000008.part" / "voice.safetensors").write_bytes(b"half")
    said: list[str] = []
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True, say=said.append)) == whole
    # No more than an interval is done again, and what came before the first checkpoint.
    assert said[0] == (f"going on from step {step // 4 * 4}" if resumed else "step 0: " + said[0].split(": ", 1)[1])
    assert not resumed or said[1] == f"{tmp_path / 'curve.jsonl'}: its last line was cut off and is left out"
    assert checkpoints(tmp_path) == ["step-000000008", "step-000000012"]


def test_killed_again_and_again(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path, 5)
    for step in (4, 6, 9, 11, 11):
        with pytest.raises(Killed):
            train(tmp_path, CONFIG, resume=True, meanwhile=die_at(step))
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_step_saves_it_and_stops(
    tmp_path: Path, whole: tuple[bytes, bytes], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        train(
            tmp_path,
            CONFIG,
            say=said.append,
            meanwhile=lambda step: os.kill(os.getpid(), number) if step == 5 else None,
        )
    assert getattr(caught.value, "number", None) == number
    assert signal.getsignal(number) is before
    assert checkpoints(tmp_path) == ["step-000000004", "step-000000006"]
    assert said[-1] == "stopped after 6 of 12 steps; go on with --resume"
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        networks = train(tmp_path, CONFIG, meanwhile=lambda _: os.kill(os.getpid(), signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert result(tmp_path, networks) == whole


def test_the_third_signal_does_not_wait(tmp_path: Path) -> None:
    def impatient(step: int) -> None:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, CONFIG, meanwhile=impatient)
    assert not (tmp_path / "checkpoints").exists()


def test_a_finished_run_gives_its_networks_again_or_more_steps(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    short = dataclasses.replace(CONFIG, steps=6)
    done = result(tmp_path, train(tmp_path, short))
    said: list[str] = []
    assert result(tmp_path, train(tmp_path, short, resume=True, say=said.append)) == done
    assert said == ["going on from step 6", "nothing left to do: 6 steps were done before"]
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


def test_resuming_nothing_begins(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    assert result(tmp_path / "new", train(tmp_path / "new", CONFIG, resume=True)) == whole


def test_tensorboard_shows_every_step_once(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    killed(tmp_path)
    train(tmp_path, CONFIG, resume=True)
    shown = EventAccumulator(str(tmp_path / "tensorboard"))
    shown.Reload()
    found = {event.step: event.value for event in shown.Scalars("making")}
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [event.step for event in shown.Scalars("making")] == list(range(12))
    assert found == pytest.approx({point["step"]: point["making"] for point in points})
    assert [image.step for image in shown.Images("sheet")] == [9]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_run_is_not_begun_over(tmp_path: Path) -> None:
    train(tmp_path, dataclasses.replace(CONFIG, steps=2))
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="holds a run already; go on with --resume, or choose another --out"):
        train(tmp_path, CONFIG)
    assert contents(tmp_path) == before


def test_nor_one_that_has_no_checkpoint_yet(tmp_path: Path) -> None:
    killed(tmp_path, 2)
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="holds a run already"):
        train(tmp_path, CONFIG)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rate": 2e-3}, r"rate \(0\.001, now 0\.002\)"),
        ({"batch": 4, "rate": 1.0}, r"batch \(8, now 4\), rate \(0\.001, now 1\.0\)"),
        ({"run": dataclasses.replace(QUICK, seed=QUICK.seed + 1)}, rf"seed \({QUICK.seed}, now {QUICK.seed + 1}\)"),
        ({"run": dataclasses.replace(QUICK, precision="bf16-mixed")}, r"precision \(32-true, now bf16-mixed\)"),
        ({"people": 10}, r"people \(8, now 10\), data \(small-8-0-120-64, now small-10-0-120-64\)"),
    ],
)
def test_another_run_is_not_gone_on_with(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    train(tmp_path, dataclasses.replace(CONFIG, steps=4))
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=f"was begun with other settings: {told}; choose another --out"):
        train(tmp_path, dataclasses.replace(CONFIG, **change), resume=True)
    assert contents(tmp_path) == before


def test_what_does_not_change_the_numbers_may_change(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path)
    other = dataclasses.replace(QUICK, checkpoint_every=1, keep=3, sample_every=2)
    assert result(tmp_path, train(tmp_path, dataclasses.replace(CONFIG, run=other), resume=True)) == whole
    assert checkpoints(tmp_path) == ["step-000000010", "step-000000011", "step-000000012"]


def test_other_threads_are_told_of(tmp_path: Path) -> None:
    assert list(run_in(tmp_path).steps(1)) == [0]
    torch.set_num_threads(2)
    said: list[str] = []
    assert list(run_in(tmp_path, resume=True, say=said.append).steps(1)) == []
    torch.set_num_threads(1)
    assert said[:2] == ["going on from step 1", "with 2 threads, not 1 as before: last digits will be others"]


HOLDER = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path)
    before = contents(tmp_path)
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / ".lock")], stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UsageError, match="another process is training here; choose another --out"):
            train(tmp_path, CONFIG, resume=True)
        assert contents(tmp_path) == before
        other.communicate(b"\n")
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seed": -1}, "seed -1: at least 0"),
        ({"checkpoint_every": 0}, "checkpoint_every 0: at least 1"),
        ({"keep": 0}, "keep 0"),
        ({"log_every": 0}, "log_every 0"),
        ({"sample_every": -5}, "sample_every -5"),
        ({"devices": 0}, "devices 0"),
        ({"accelerator": "abacus"}, "accelerator 'abacus': one of auto, cpu, cuda"),
    ],
)
def test_settings_that_cannot_be(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        RunConfig(**wrong)


def test_unknown_precision(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--precision 8: one of 32-true, bf16-mixed, 16-mixed"):
        run_in(tmp_path / "run", precision="8")
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"--accelerator cuda --devices 1: .*not available") as caught:
        run_in(tmp_path / "run", accelerator="cuda")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(InputError, match="run: cannot be written"):
        run_in(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


# -- what breaks -------------------------------------------------------------------------------------------------------


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


def test_a_nan_stops_the_run_and_leaves_its_batch(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    with pytest.raises(TrainingError, match="step 6: judging is nan, making is nan; the batch is in ") as caught:
        train(tmp_path, CONFIG, bad_step=6)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    batch = np.load(tmp_path / "bad-batch-0000006-0.npz", allow_pickle=False)
    assert batch["voices"].shape == (8, 64, 64)
    assert np.isnan(batch["voices"]).all((1, 2)).tolist() == [True] + 7 * [False]
    assert batch["people"].shape == (8,)
    assert checkpoints(tmp_path) == ["step-000000004"]
    assert len((tmp_path / "curve.jsonl").read_text().splitlines()) == 6
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_losses_are_looked_at_in_every_step(tmp_path: Path, value: float) -> None:
    run = run_in(tmp_path, log_every=100)

    def training() -> None:
        for step in run.steps(5):
            run.log(step, {"a": torch.tensor(1.0), "b": torch.tensor(value if step == 3 else 0)})

    with pytest.raises(TrainingError, match=f"step 3: b is {value}"):
        training()
    assert (tmp_path / "curve.jsonl").read_text() == '{"step": 0, "a": 1.0, "b": 0.0}\n'


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path) -> None:
    run = run_in(tmp_path, checkpoint_every=2)
    network = run.network("line", nn.Linear(2, 2))

    def training() -> None:
        for step in run.steps(6):
            run.log(step, {"loss": 1.0}, {"x": torch.full((2,), step, dtype=torch.bfloat16)})
            if step == 3:
                network.weight.data[0, 0] = torch.inf

    told = r"step 3: the weights of line are not finite; the batch is in .*bad-batch-0000003-0\.npz"
    with pytest.raises(TrainingError, match=told):
        training()
    assert checkpoints(tmp_path) == ["step-000000002"]
    assert np.load(tmp_path / "bad-batch-0000003-0.npz")["x"].tolist() == [3, 3]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to let files grow beyond this, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_costs_no_checkpoint(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    killed(tmp_path, 5)
    kept = contents(tmp_path / "checkpoints")
    told = r"step-000000008: cannot be written \(File too large\); make room and go on with --resume"
    with files_no_larger_than(4000), pytest.raises(InputError, match=told):
        train(tmp_path, CONFIG, resume=True)
    assert contents(tmp_path / "checkpoints") == kept
    assert checkpoints(tmp_path) == ["step-000000004"]
    assert result(tmp_path, train(tmp_path, CONFIG, resume=True)) == whole


def test_a_curve_that_cannot_be_written(tmp_path: Path) -> None:
    run = run_in(tmp_path)

    def training() -> None:
        for step in run.steps(3):
            (tmp_path / "curve.jsonl").unlink()
            (tmp_path / "curve.jsonl").mkdir()
            run.log(step, {"loss": 1.0})

    with pytest.raises(InputError, match=r"curve\.jsonl: cannot be written"):
        training()


def test_a_sheet_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    said: list[str] = []
    run = run_in(tmp_path, say=said.append, sample_every=2)
    (tmp_path / "samples").write_text("in the way")
    wanted = []
    for step in run.steps(4):
        wanted.append(run.wants_sheet(step))
        if wanted[-1]:
            run.sheet(step, [[np.zeros((8, 8, 3), np.uint8)]])
    assert wanted == [False, True, False, True]
    assert [line.split(": ")[1].split(" (")[0] for line in said] == 2 * ["cannot be written"]


# -- the parts ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Nothing:
    """No hyper-parameters."""


def run_in(folder: Path, *, resume: bool = False, say: Any = lambda _: None, **changes: Any) -> Run:
    return Run(folder, Nothing(), dataclasses.replace(QUICK, **changes), resume=resume, say=say)


def test_randomness_follows_from_seed_and_step(tmp_path: Path) -> None:
    def draws(name: str, seed: int) -> list[tuple[float, float]]:
        run = run_in(tmp_path / name, seed=seed)
        return [(float(run.random(step).random()), float(torch.rand(()))) for step in run.steps(3)]

    first = draws("a", 0)
    assert draws("b", 0) == first
    every = np.array([*first, *draws("c", 1)]).ravel()
    assert len(set(every)) == 12


def test_a_validation_is_a_point_whenever_it_comes(tmp_path: Path) -> None:
    run = run_in(tmp_path, log_every=10)
    for step in run.steps(16):
        run.log(step, {"loss": 1.0} | ({"validation/auc": 0.5} if (step + 1) % 8 == 0 else {}))
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in points] == [0, 7, 10, 15]
    assert points[1]["validation/auc"] == 0.5


def test_curve_keeps_numbers_exactly(tmp_path: Path) -> None:
    run = run_in(tmp_path, log_every=2)
    loss = torch.tensor(0.1, requires_grad=True)
    for step in run.steps(4):
        run.log(step, {"loss": loss, "half": torch.tensor([0.1]).bfloat16(), "count": torch.tensor(7), "rate": 2e-4})
    points = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    expected = {"loss": float(np.float32(0.1)), "half": 0.10009765625, "count": 7.0, "rate": 2e-4}
    assert points == [{"step": 0, **expected}, {"step": 2, **expected}]


def test_names_are_unique_and_come_before_the_steps(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.network("a", nn.Linear(1, 1))
    with pytest.raises(ValueError, match="a: registered already"):
        run.network("a", nn.Linear(1, 1), trained=False)
    for _ in run.steps(1):
        with pytest.raises(ValueError, match="b: the run has begun"):
            run.network("b", nn.Linear(1, 1))


def test_batches_are_divided_evenly(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    assert run.share(7) == 7
    with pytest.raises(UsageError, match="batch 0: at least 1"):
        run.share(0)
    run._processes.number = 3
    assert run.share(12) == 4
    for batch in (2, 7):
        with pytest.raises(UsageError, match=f"a batch of {batch} cannot be divided among 3 processes"):
            run.share(batch)


@pytest.mark.parametrize(("making", "using", "told"), [(1.0, 3.0, "25.0 %"), (0.0, 1.0, "0.0 %")])
def test_the_share_of_waiting_for_data_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, making: float, using: float, told: str
) -> None:
    now, said = [0.0], list[str]()

    def make(step: int) -> int:
        now[0] += making
        return step

    monkeypatch.setattr("voxface.training.engine.run.time.perf_counter", lambda: now[0])
    monkeypatch.setattr(PreparedBatches.__init__, "__kwdefaults__", {"ahead": 0, "threads": 2, "clock": lambda: now[0]})
    run = Run(tmp_path / "run", CONFIG, QUICK, data="", resume=False, say=said.append)
    for step, batch in run.batches(4, make):
        assert step == batch
        now[0] += using
    assert said == [f"steps waited for data {told} of their time"]


def test_tensors_are_copies(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1]
    array.flags.writeable = False
    copy = run_in(tmp_path).tensor(array)
    copy += 1
    assert copy.tolist() == [[3, 2, 1], [6, 5, 4]]
    assert array.tolist() == [[2, 1, 0], [5, 4, 3]]


def test_bare_takes_off_what_the_run_has_put_on(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    module, frozen, average = nn.Linear(1, 1), Frozen(nn.Linear(1, 1)), nn.Linear(1, 1)
    assert bare(run.network("a", module)) is module
    assert bare(frozen) is frozen
    assert run.network("b", average, trained=False) is average
    assert bare(average) is average


def test_a_step_of_the_painter_leaves_the_critic_alone(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    painter, critic = run.network("painter", Painter()), run.network("critic", Critic())
    makers = run.optimiser("makers", torch.optim.Adam(painter.parameters()))
    judges = run.optimiser("judges", torch.optim.Adam(critic.parameters()))
    run.descend(critic(painter(torch.randn(3, 4)).detach()).mean(), judges)
    before = weights({"critic": bare(critic)}), [p.grad.clone() for p in critic.parameters()]
    painted = weights({"painter": bare(painter)})

    bare(critic).requires_grad_(False)
    run.descend(bare(critic)(painter(torch.randn(3, 4))).mean(), makers)
    bare(critic).requires_grad_(True)
    assert weights({"critic": bare(critic)}) == before[0]
    assert all(torch.equal(p.grad, was) for p, was in zip(critic.parameters(), before[1], strict=True))
    assert weights({"painter": bare(painter)}) != painted


def test_descend_clips_each_optimisers_gradients(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    a, b = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))
    one, two = (run.optimiser(name, torch.optim.SGD([p], 1.0)) for name, p in (("one", a), ("two", b)))
    run.descend((a * torch.tensor([3.0, 4.0])).sum() + 0.5 * b.sum(), one, two, clip=1.0)
    assert a.tolist() == pytest.approx([-0.6, -0.8], abs=1e-5)
    assert b.tolist() == [-0.5]  # its norm is small enough


def test_mixed_precision_goes_on_to_the_same_numbers(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    config = dataclasses.replace(CONFIG, run=dataclasses.replace(QUICK, precision="bf16-mixed"))
    expected = result(tmp_path / "whole", train(tmp_path / "whole", config))
    assert expected[0] != whole[0]
    with pytest.raises(Killed):
        train(tmp_path / "killed", config, meanwhile=die_at(6))
    assert result(tmp_path / "killed", train(tmp_path / "killed", config, resume=True)) == expected


def scaled_run(folder: Path, *, resume: bool = False) -> tuple[Run, list[nn.Parameter], list[Any]]:
    """A run of two parameters with a scale of gradients that doubles with every step, as 16-bit training has one."""
    run = run_in(folder, resume=resume)
    scaler = torch.amp.GradScaler("cpu", init_scale=16, growth_interval=1)
    run.fabric.strategy.precision = MixedPrecision("16-mixed", "cpu", scaler)
    networks = [run.network(name, nn.Linear(1, 1, bias=False)) for name in "ab"]
    parameters = [bare(network).weight for network in networks]
    optimisers = [run.optimiser(n, torch.optim.SGD([p], 0.5)) for n, p in zip("ab", parameters, strict=True)]
    return run, parameters, optimisers


@pytest.mark.parametrize("clip", [None, 100.0])
def test_scaled_gradients_of_two_optimisers(tmp_path: Path, clip: float | None) -> None:
    run, (a, b), optimisers = scaled_run(tmp_path)
    start = a.item(), b.item()
    for _ in run.steps(3):
        run.descend((3 * a + 5 * b).sum(), *optimisers, clip=clip)
    # Scales are powers of two, so nothing is rounded that would not be without them.
    assert a.item() == pytest.approx(start[0] - 3 * 0.5 * 3, abs=1e-6)
    assert b.item() == pytest.approx(start[1] - 3 * 0.5 * 5, abs=1e-6)


def test_the_scale_of_gradients_is_gone_on_with(tmp_path: Path) -> None:
    run, (a, b), optimisers = scaled_run(tmp_path)
    for _ in run.steps(3):
        run.descend((a + b).sum(), *optimisers)
    again, _, _ = scaled_run(tmp_path, resume=True)
    assert list(again.steps(3)) == []
    assert again.fabric.strategy.precision.state_dict() == run.fabric.strategy.precision.state_dict()
    assert again.fabric.strategy.precision.state_dict()["scale"] == 16 * 2**3


OPTIMISERS: dict[str, Any] = {
    "adam": lambda p: torch.optim.Adam(p, 1e-2, betas=(0.5, 0.999)),
    "amsgrad": lambda p: torch.optim.AdamW(p, 1e-2, amsgrad=True, weight_decay=0.1),
    "fused": lambda p: torch.optim.Adam(p, 1e-2, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, 1e-2),
    "momentum": lambda p: torch.optim.SGD(p, 1e-2, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 1e-2, momentum=0.5, centered=True),
    "adafactor": torch.optim.Adafactor,
    "rprop": torch.optim.Rprop,
}


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(OPTIMISERS)),
    shapes=st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=3),
    steps=st.integers(0, 3),
    idle=st.integers(0, 2),
)
def test_an_optimiser_goes_on_where_it_was(name: str, shapes: list[list[int]], steps: int, idle: int) -> None:
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(shape, generator=generator) for shape in shapes]

    def step(parameters: Sequence[nn.Parameter], optimiser: torch.optim.Optimizer, seed: int) -> None:
        drawn = torch.Generator().manual_seed(seed)
        for i, parameter in enumerate(parameters):  # one of them may have no gradient yet, and so no state
            gradient = torch.randn(parameter.shape, generator=drawn)
            parameter.grad = None if i == idle and seed == 0 else gradient
        optimiser.step()

    ours = [nn.Parameter(value.clone()) for value in start]
    first = OPTIMISERS[name](ours)
    for seed in range(steps):
        step(ours, first, seed)
    tensors, groups = optimiser_state(first)
    kept = json.loads(json.dumps(groups))
    theirs = [nn.Parameter(value.detach().clone()) for value in ours]
    second = OPTIMISERS[name](theirs)
    restore_optimiser(second, tensors, kept)
    assert second.state_dict()["param_groups"] == first.state_dict()["param_groups"]
    for state in second.state_dict()["state"].values():
        if "step" in state:
            assert state["step"].shape == ()
            assert state["step"].dtype == torch.float32
            assert state["step"].device.type == "cpu"
    for seed in range(steps, steps + 2):
        step(ours, first, seed)
        step(theirs, second, seed)
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_saved_state_is_a_copy() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.SGD([parameter], 1.0, momentum=0.9)
    parameter.grad = torch.ones(2)
    optimiser.step()
    tensors, groups = optimiser_state(optimiser)
    other = torch.optim.SGD([nn.Parameter(torch.zeros(2))], 1.0, momentum=0.9)
    restore_optimiser(other, tensors, groups)
    optimiser.step()
    assert tensors["0.momentum_buffer"].tolist() == [1, 1]
    assert next(iter(other.state.values()))["momentum_buffer"].tolist() == [1, 1]


def test_what_cannot_be_saved_of_an_optimiser() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    searching = torch.optim.LBFGS([parameter])
    parameter.grad = torch.ones(2)
    searching.step(parameter.sum)
    with pytest.raises(TypeError, match=r"LBFGS: .* is no tensor and cannot be saved"):
        optimiser_state(searching)
    with pytest.raises(TypeError, match="Adam: lr is a tensor; give a number"):
        optimiser_state(torch.optim.Adam([parameter], torch.tensor(0.1), capturable=True))


def test_the_state_of_another_optimiser() -> None:
    tensors, groups = optimiser_state(torch.optim.Adam([nn.Parameter(torch.zeros(2))]))
    with pytest.raises(ValueError, match="parameter group"):
        restore_optimiser(torch.optim.Adam([nn.Parameter(torch.zeros(2)) for _ in range(2)]), tensors, groups)


# -- several processes -------------------------------------------------------------------------------------------------

ALONE = [sys.executable]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@contextmanager
def started(launcher: Sequence[str], folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A training in processes of its own; whatever is left of them is killed in the end."""
    ours = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "RANK", "WORLD_SIZE", "NODE_RANK")}
    environment = ours | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen(
        [*launcher, "-m", "tests.stand_ins.small_training", str(folder), *options],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def points(folder: Path) -> int:
    curve = folder / "curve.jsonl"
    return curve.read_text().count("\n") if curve.exists() else 0


def wait_for(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while points(folder) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.01)


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    return out, err


@pytest.mark.slow
def test_sigkill_at_any_moment(tmp_path: Path) -> None:
    with started(ALONE, tmp_path / "whole") as undisturbed:
        with started(ALONE, tmp_path / "killed", "--pause", "0.02") as process:
            wait_for(tmp_path / "killed", int(np.random.default_rng().integers(1, 25)), process)
            with pytest.raises(UsageError, match="another process is training here"):
                train(tmp_path / "killed", CONFIG, resume=True)
            time.sleep(float(np.random.default_rng().random()) / 10)
            process.kill()
            process.wait()
        done = points(tmp_path / "killed")
        with started(ALONE, tmp_path / "killed", "--resume") as process:
            out, _ = ended(process)
        ended(undisturbed)
    first = int(out.split()[4]) if out.startswith("going on") else 0
    assert done - 4 <= first <= done
    for name in ("curve.jsonl", "voice.0", "painter.0", "critic.0", "average.0"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def check_same_everywhere(folder: Path) -> None:
    for name in ("voice", "painter", "critic", "average"):
        assert (folder / f"{name}.0").read_bytes() == (folder / f"{name}.1").read_bytes(), name
    losses = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    assert [point["step"] for point in losses] == list(range(12))
    assert np.isfinite([list(point.values()) for point in losses]).all()


@pytest.fixture(scope="module")
def whole_of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nothing happened to."""
    folder = tmp_path_factory.mktemp("two") / "whole"
    with started(TORCHRUN, folder, "--steps", "12") as process:
        ended(process)
    return folder


@pytest.mark.slow
def test_two_processes_of_torchrun(whole_of_two: Path) -> None:
    check_same_everywhere(whole_of_two)


@pytest.mark.slow
def test_two_processes_killed_go_on_to_the_same_numbers(tmp_path: Path, whole_of_two: Path) -> None:
    options = ("--steps", "12", "--devices", "2")
    with started(ALONE, tmp_path / "killed", *options, "--pause", "0.1") as process:
        wait_for(tmp_path / "killed", 6, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    with started(ALONE, tmp_path / "killed", *options, "--resume") as process:
        out, _ = ended(process)
    assert out.startswith("going on from step")
    check_same_everywhere(tmp_path / "killed")
    for name in ("curve.jsonl", "voice.0", "painter.0", "critic.0", "average.0"):
        assert (tmp_path / "killed" / name).read_bytes() == (whole_of_two / name).read_bytes(), name


@pytest.mark.slow
def test_sigterm_to_one_of_two_processes(tmp_path: Path) -> None:
    with started(ALONE, tmp_path, "--devices", "2", "--pause", "0.1") as process:
        wait_for(tmp_path, 3, process)
        process.terminate()  # the other has not heard it
        out, err = ended(process, 130)
    assert "go on with --resume" in out
    assert "Traceback" not in err
    assert checkpoints(tmp_path)[-1] == f"step-{points(tmp_path):09d}"


@pytest.mark.slow
def test_a_nan_in_one_process_ends_both(tmp_path: Path) -> None:
    with started(ALONE, tmp_path, "--devices", "2", "--bad-step", "6") as process:
        _, err = ended(process, 3)
    errors = [line for line in err.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "step 6: judging is nan" in errors[0]
    assert [path.name for path in tmp_path.glob("bad-batch*")] == ["bad-batch-0000006-0.npz"]
    assert checkpoints(tmp_path) == ["step-000000004"]


@pytest.mark.learns
@pytest.mark.slow
def test_two_halves_of_a_batch_are_the_whole(tmp_path: Path) -> None:
    with started(TORCHRUN, tmp_path / "halves", "--steps", "12", "--line") as process:
        expected = train_line(tmp_path / "whole", CONFIG)
        ended(process)
    from safetensors.torch import load_file

    start = train_line(tmp_path / "start", dataclasses.replace(CONFIG, steps=0))
    for rank in (0, 1):
        found = load_file(tmp_path / "halves" / f"line.{rank}")
        for name, value in expected.state_dict().items():
            assert found[name].numpy() == pytest.approx(value.numpy(), abs=1e-6)
            assert (value - start.state_dict()[name]).abs().max() > 1e-2  # it has learnt
    curves = [(tmp_path / name / "curve.jsonl").read_text().splitlines() for name in ("halves", "whole")]
    losses = [[json.loads(line)["loss"] for line in curve] for curve in curves]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_more_processes_than_the_cores_can_bear(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--devices 100000: at most \d+ processes on \d+ cores"):
        run_in(tmp_path / "run", devices=100_000)
    assert not (tmp_path / "run").exists()


def test_torchrun_and_devices_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="--devices 3: torchrun has started 2 processes; leave --devices out"):
        run_in(tmp_path / "run", devices=3)
    assert not (tmp_path / "run").exists()


def test_errors_are_voxface_errors() -> None:
    assert issubclass(TrainingError, VoxfaceError)
