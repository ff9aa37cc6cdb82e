"""The commands that write, each small enough to be ended hundreds of times, with what they read and what was there before."""

import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from tests.conftest import ROOT, SAMPLES
from tests.fuzz.commands import Commands
from tests.fuzz.written_results import (
    check_bundle,
    check_faces,
    check_pairs,
    check_profile,
    check_recording,
    check_run,
    check_training,
    check_voices,
)
from voxface.runtime.bundle.bundle import Bundle

SMALL: Final = ROOT / "tests" / "stored" / "small.voxface"
NETWORKS: Final = ROOT / "tests" / "stored" / "networks"


@dataclass(frozen=True)
class Verb:
    """A command that writes `out` in its folder.

    Attributes:
        name: for findings.
        weight: how many of a hundred cases it gets.
        words: the command line, of the folder of the case and that of the inputs.
        before: puts what is there before into the folder of the case.
        check: findings about what is there afterwards, of the folder.
        volatile: names of files that hold times, so that no two are the same.
        grows: whether unfinished work is kept in `out`, to go on with.
        once: whether it refuses an `out` that is there.
        signals: exit codes after a signal that the command hears; None: 128 + its number.
        torch: whether it needs PyTorch.
        slow: whether it is left out where there are few cases.
    """

    name: str
    weight: int
    words: Callable[[Path, Path], list[object]]
    check: Callable[[Path], list[str]]
    before: Callable[[Path, Path], None] = lambda _folder, _inputs: None
    volatile: tuple[str, ...] = ()
    grows: bool = False
    once: bool = False
    signals: Mapping[int, int] = field(default_factory=dict)
    torch: bool = False
    slow: bool = False


def _trained(kind: str, steps: int, every: int, *more: object) -> Callable[[Path, Path], list[object]]:
    def words(folder: Path, inputs: Path) -> list[object]:
        return [
            "train", kind, "--data", inputs / "pairs", "--out", folder / "out", "--steps", steps, "--batch", 4, "--accelerator",
            "cpu", "--set", "crop=64,96", "--checkpoint-every", every, "--set", "run.log_every=1", "--resume",
            *(inputs / word if word == "encoder" else word for word in more),
        ]  # fmt: skip

    return words


OLD_TRAINING: Final = _trained("mesh", 12, 4, "--set", "hidden=8", "--set", "bank=1", "--encoder", "encoder")


def _calibrated(name: str) -> Callable[[Path, Path], list[object]]:
    return lambda folder, inputs: [
        "calibrate", inputs / "small", "--audio", inputs / "clips", "--precision", "fp16", "--out", folder / name,
    ]  # fmt: skip


def _faces_of(folder: Path, inputs: Path) -> list[object]:
    return ["--faces", inputs / "head.npz", "--population", inputs / "population.npz", "--out", folder / "out"]


def _old_bundle(name: str) -> Callable[[Path, Path], None]:
    def before(folder: Path, _: Path) -> None:
        old = Bundle.open(SMALL).replacing(name="old")
        old.write(folder / name)

    return before


def _old_run(folder: Path, inputs: Path) -> None:
    shutil.copytree(inputs / "old-run", folder / "out")


def _old_profile(folder: Path, inputs: Path) -> None:
    shutil.copy(inputs / "old.json", folder / "out.json")


def _old_training(folder: Path, inputs: Path) -> None:
    shutil.copytree(inputs / "old-training", folder / "out")


VERBS: Final = (
    Verb("run", 9, lambda f, i: ["run", i / "a.wav", i / "b.wav", "--out", f / "out", "--bundle", SMALL, "--json"], check_run,
         volatile=("report.json", "report.html")),
    Verb("run again", 9, lambda f, i: ["run", i / "a.wav", i / "b.wav", "--out", f / "out", "--bundle", SMALL], check_run,
         _old_run, volatile=("report.json", "report.html")),
    Verb("live", 16, lambda f, i: ["live", "--source", i / "a.wav", "--record", f / "out", "--bundle", SMALL], check_recording,
         volatile=("recording.json", "events.jsonl"), grows=True, signals={signal.SIGINT: 0, signal.SIGTERM: 0}),
    Verb("profile", 8, lambda f, i: ["profile", "--seconds", 0.2, "--window", 1, "--updates-per-second", 20, "--save",
                                     f / "out.json", "--bundle", SMALL], check_profile, _old_profile, volatile=("out.json",)),
    Verb("calibrate to a zip", 7, _calibrated("out.voxface"), check_bundle("out.voxface"), _old_bundle("out.voxface"),
         torch=True),
    Verb("calibrate to a folder", 7, _calibrated("out"), check_bundle("out"), _old_bundle("out"), torch=True),
    Verb("import to a folder", 5, lambda f, i: ["bundle", "import", "--face-model", i / "ict", "--out", f / "out"],
         check_bundle("out"), _old_bundle("out"), torch=True, slow=True),
    Verb("export", 2, lambda f, _: ["export", NETWORKS, "--out", f / "out.voxface"], check_bundle("out.voxface"),
         _old_bundle("out.voxface"), torch=True, slow=True),
    Verb("train mesh", 10, _trained("mesh", 30, 5, "--set", "hidden=8", "--set", "bank=1", "--encoder", "encoder"),
         check_training, grows=True, torch=True),
    Verb("train mesh on", 8, _trained("mesh", 30, 7, "--set", "hidden=8", "--set", "bank=1", "--encoder", "encoder"),
         check_training, _old_training, grows=True, torch=True),
    Verb("train voice-encoder", 6, _trained("voice-encoder", 6, 2), check_training, grows=True, torch=True, slow=True),
    Verb("data synth", 7, lambda f, i: ["data", "synth", "--people", 4, "--seconds", 2, "--utterances", 1, "--pictures", 1,
                                        "--workers", 1, *_faces_of(f, i)], check_pairs, once=True, torch=True),
    Verb("data prepare", 3, lambda f, i: ["data", "prepare", "--speech", i / "speech", "--pictures", 1, "--workers", 1,
                                          *_faces_of(f, i)], check_pairs, once=True, torch=True, slow=True),
    Verb("data voices", 4, lambda f, i: ["data", "voices", "--speech", i / "recordings", "--teacher", i / "pretrained.pt",
                                         "--speeds", 1, "--workers", 1, "--out", f / "out"], check_voices, once=True,
         torch=True),
    Verb("data synth of faces", 3, lambda f, i: ["data", "synth", "--count", 4, *_faces_of(f, i)], check_faces, once=True,
         torch=True, slow=True),
)  # fmt: skip


def make_inputs(folder: Path, commands: Commands) -> None:
    """Everything that the commands read, and the results that were there before."""
    import soundfile
    import torch

    from tests.stand_ins.face_model_files import face, write_ict
    from tests.stand_ins.small_bundle import small_bundle
    from tests.stand_ins.small_head import small_head, small_population
    from tests.stand_ins.small_pairs import small_pairs
    from tests.stand_ins.small_voices import speech_folder
    from voxface.training.engine.trained_networks import save_networks
    from voxface.training.faces.population import FacePopulation
    from voxface.training.models import VoiceEncoder
    from voxface.training.voices.resemblyzer import Resemblyzer

    voices = [soundfile.read(sample, dtype="int16") for sample in SAMPLES]
    for name, (samples, rate) in zip("ab", voices, strict=True):
        soundfile.write(folder / f"{name}.wav", samples[: 3 * rate], rate)
    (folder / "clips").mkdir()
    for number in range(4):
        samples, rate = voices[number % 2]
        soundfile.write(folder / "clips" / f"{number}.flac", samples[number * rate : (number + 3) * rate], rate)
    for speaker, sample in zip(("ann", "bob"), SAMPLES, strict=True):
        (folder / "speech" / speaker).mkdir(parents=True)
        shutil.copy(sample, folder / "speech" / speaker / "one.flac")
    (folder / "speech" / "speakers.csv").write_text("speaker_id,sex\nann,F\nbob,M\n")
    speech_folder(folder / "recordings", speakers=4)
    state = Resemblyzer().state_dict()
    torch.save(
        {"model_state": {name: value for name, value in state.items() if name != "filters"}}, folder / "pretrained.pt"
    )
    pairs = small_pairs()
    spread = np.stack([np.eye(2, dtype=np.float32) / 4] * 2)
    replace(pairs, population=FacePopulation(pairs.morphable.sex_means, spread)).save(folder / "pairs")
    widths = {"channels": (8, 8, 8, 16)}
    torch.manual_seed(0)
    save_networks(folder / "encoder", {"encoder": VoiceEncoder(**widths)}, {"encoder": widths}, {})  # type: ignore[arg-type]
    head = small_head()
    head.save(folder / "head.npz")
    small_population(head).save(folder / "population.npz")
    small_bundle(folder / "small")
    write_ict(folder / "ict", face())
    swapped = folder / "swapped"
    swapped.mkdir()
    for name, other in (("a", "b"), ("b", "a")):
        shutil.copy(folder / f"{other}.wav", swapped / f"{name}.wav")
    for words in (
        ["run", swapped / "a.wav", swapped / "b.wav", "--out", folder / "old-run", "--bundle", SMALL],
        [
            "profile",
            "--seconds",
            0.2,
            "--window",
            1,
            "--updates-per-second",
            20,
            "--save",
            folder / "old.json",
            "--bundle",
            SMALL,
        ],
    ):
        assert commands.run(*words).exit_code == 0
