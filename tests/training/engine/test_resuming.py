"""Runs that are killed, interrupted or finished, and go on to the numbers of one that nothing happened to."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("lightning_fabric", reason="Lightning Fabric comes with voxface[train]")


from tests.stand_ins.killed_trainings import CONFIG, Killed, checkpoints, die_at, killed, result, run_in  # noqa: E402
from tests.stand_ins.small_training import QUICK, train  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


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


def test_mixed_precision_goes_on_to_the_same_numbers(tmp_path: Path, whole: tuple[bytes, bytes]) -> None:
    config = dataclasses.replace(CONFIG, run=dataclasses.replace(QUICK, precision="bf16-mixed"))
    expected = result(tmp_path / "whole", train(tmp_path / "whole", config))
    assert expected[0] != whole[0]
    with pytest.raises(Killed):
        train(tmp_path / "killed", config, meanwhile=die_at(6))
    assert result(tmp_path / "killed", train(tmp_path / "killed", config, resume=True)) == expected
