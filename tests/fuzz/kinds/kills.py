"""Commands that write, ended at random moments by SIGKILL, SIGINT, SIGTERM or SIGHUP.

Afterwards nothing that was there before is lost or half-written, nothing unfinished has the name of a result, and the same
command, run again, ends well and gives what it gives undisturbed.
"""

import hashlib
import json
import shutil
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from tests.fuzz.commands import Commands, Outcome
from tests.fuzz.writing_commands import OLD_TRAINING, SMALL, VERBS, Verb, make_inputs
from voxface.runtime.live.recording import Recording

FULL: Final = 320
QUICK: Final = 8
NEEDS: Final = ("torch", "lightning_fabric", "onnx", "open3d", "soundfile")
MOST_MB: Final = 1500.0
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Listing = Mapping[str, str]  # path -> SHA-256, of files that are not hidden


class Fuzzer:
    """The cases of one seed."""

    def __init__(self, folder: Path, quick: Commands, heavy: Commands) -> None:
        self.folder, self.quick, self.heavy = folder, quick, heavy
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        make_inputs(self.inputs, quick)
        (folder / "old").mkdir()
        assert heavy.run(*OLD_TRAINING(folder / "old", self.inputs), seconds=300).exit_code == 0
        (folder / "old" / "out").rename(self.inputs / "old-training")
        self._undisturbed: dict[str, tuple[Listing, float]] = {}

    def undisturbed(self, verb: Verb) -> tuple[Listing, float]:
        """What the command gives, and how long it takes."""
        if verb.name not in self._undisturbed:
            place = self.folder / f"whole {len(self._undisturbed)}"
            place.mkdir()
            verb.before(place, self.inputs)
            done = self._run(verb, place)
            assert done.exit_code == 0, f"{verb.name}: {done.stderr}"
            self._undisturbed[verb.name] = listing(place), done.seconds
        return self._undisturbed[verb.name]

    def case(self, verb: Verb, number: int, rng: np.random.Generator) -> list[str]:
        """Findings of one case."""
        whole, seconds = self.undisturbed(verb)
        place = self.folder / f"case {number}"
        place.mkdir()
        verb.before(place, self.inputs)
        old = listing(place)
        found: list[str] = []
        for _ in range(int(rng.integers(1, 4)) if verb.grows and verb.torch else 1):
            number_of = signal.SIGKILL if rng.random() < 0.75 else SIGNALS[int(rng.integers(len(SIGNALS)))]
            early = 0.0 if rng.random() < 0.6 else 0.6
            moment = seconds * float(rng.uniform(early, 1.05))
            ended = self._run(verb, place, kill_after=moment, kill_with=number_of)
            found += [
                f"after {signal.Signals(number_of).name} at {moment:.3f} of {seconds:.3f} s: {what}"
                for what in self._after(verb, place, ended, number_of, old, whole)
            ]
        if verb.name != "live":
            if not (verb.once and (place / "out").exists()):
                again = self._run(verb, place)
                found += [f"run again: {what}: {again.stderr.strip()[-300:]}" for what in _problems(again, (0,))]
            found += [f"run again: {what}" for what in verb.check(place)]
            found += [
                f"run again: {name} is not what it is undisturbed" for name in _unlike(verb, listing(place), whole)
            ]
        else:
            found += self._replay(verb, place)
        if not found:
            shutil.rmtree(place)
        return found

    def _run(self, verb: Verb, place: Path, **kill: float) -> Outcome:
        commands = self.heavy if verb.torch else self.quick
        words = verb.words(place, self.inputs)
        done = commands.run(*words, folder=place, seconds=300, **kill)  # type: ignore[arg-type]
        if done.exit_code == 2 and "--force" in done.stderr:  # asks before it replaces what is there
            done = commands.run(*words, "--force", folder=place, seconds=300, **kill)  # type: ignore[arg-type]
        return done

    def _after(self, verb: Verb, place: Path, ended: Outcome, number: int, old: Listing, whole: Listing) -> list[str]:
        """Findings about what a command that was ended has left."""
        found: list[str] = []
        if number == signal.SIGKILL:
            if not ended.signal and ended.exit_code != 0:
                found.append(f"exit code {ended.exit_code}: {ended.stderr.strip()[-300:]}")
        elif ended.signal != number:  # heard, and not while modules were still loaded
            codes = (0, verb.signals.get(number, 128 + number), 128 + number)
            found += [f"{what}: {ended.stderr.strip()[-300:]}" for what in _problems(ended, codes)]
            closed = verb.name == "live" and ended.exit_code in (0, 129) and (place / "out").exists()
            if closed and not Recording(place / "out").complete:
                found.append("the recording was not closed")
            if "stopped after " in ended.stderr:
                steps = int(ended.stderr.rpartition("stopped after ")[2].split()[0])
                if not (place / "out" / "checkpoints" / f"step-{steps:09d}").is_dir():
                    found.append(f"no checkpoint of step {steps}")
        found += verb.check(place)
        now = listing(place)
        for name in now.keys() | old.keys():
            if name in verb.volatile or Path(name).name in verb.volatile or verb.grows:
                continue
            if name not in now:
                found += [f"{name} is gone"] if name in whole else []
            elif now[name] not in (old.get(name), whole.get(name)):
                found.append(f"{name} is neither the old one nor the new one")
        return found

    def _replay(self, verb: Verb, place: Path) -> list[str]:
        """Findings of the replay of a recording; where a kill came before anything was heard, the folder can be used again."""
        if not (place / "out" / "recording.json").exists():
            again = self._run(verb, place)
            return [f"recorded again: {what}: {again.stderr[-300:]}" for what in _problems(again, (0,))]
        played = self.quick.run("live", "--replay", place / "out", "--bundle", SMALL, "--json")
        found = [f"replayed: {what}: {played.stderr[-300:]}" for what in _problems(played, (0, 4))]
        if not found and json.loads(played.stdout)["replay"]["identical"] is not True:
            found.append("the replay differs")
        return found


def _unlike(verb: Verb, now: Listing, whole: Listing) -> list[str]:
    """Names of files that are missing, too many, or other ones than undisturbed."""
    if verb.grows:  # pictures and boards of the learning curve are not promised
        kept = ("out/curve.jsonl", "out/mesh.safetensors", "out/encoder.safetensors", "out/morphable.npz")
        return [name for name in kept if now.get(name) != whole.get(name)]
    return sorted(
        name
        for name in now.keys() | whole.keys()
        if name not in now or name not in whole or (now[name] != whole[name] and Path(name).name not in verb.volatile)
    )


def _problems(ended: Outcome, codes: Sequence[int]) -> list[str]:
    return ended.problems(most_mb=MOST_MB, codes=codes)


def listing(folder: Path) -> Listing:
    """The files of a folder that a user sees."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """Runs the cases."""
    verbs = [verb for verb in VERBS if count >= 50 or not verb.slow]
    findings = []
    with ExitStack() as stack:
        streams = [folder / name for name in ("quick", "heavy")]
        for place in streams:
            place.mkdir()
        quick = stack.enter_context(Commands(streams[0], ("onnxruntime", "soundfile")))
        heavy = stack.enter_context(
            Commands(streams[1], ("onnxruntime", "soundfile", "torch", "lightning_fabric", "onnx"))
        )
        fuzzer = Fuzzer(folder, quick, heavy)
        chances = np.array([verb.weight for verb in verbs], float)
        for number in range(count):
            rng = np.random.default_rng([seed, number])
            # The first cases take each command once, so that a few cases are of many kinds.
            verb = (
                verbs[number] if number < len(verbs) else verbs[int(rng.choice(len(verbs), p=chances / chances.sum()))]
            )
            findings += [f"case {number}, {verb.name}: {what}" for what in fuzzer.case(verb, number, rng)]
    return findings
