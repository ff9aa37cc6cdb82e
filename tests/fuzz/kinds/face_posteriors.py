"""Face posteriors in bundles whose hashes are right: odd numbers, shapes and types, many rows, damaged archives."""

import io
import random
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from tests.fuzz.commands import Commands
from tests.fuzz.kinds.archives import spoilt_npz
from tests.fuzz.kinds.manifests import SLACK_MB, SMALL, TIMES, command_lines
from tests.stand_ins.face_posterior import small_weights, with_posterior
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import write_face_posterior
from voxface.runtime.bundle.writer import write_zip
from voxface.runtime.config.face_posterior import MOST_ERRORS, MOST_ROWS

FULL = 500
QUICK = 30
NEEDS: tuple[str, ...] = ()
Arrays = dict[str, NDArray[Any]]
TYPES: Final = ("<f2", "<f4", ">f8", "<f8", "<i1", "<u8", "<i8", "?", "<c16", "<U3", "<M8[s]", "V4")
NUMBERS: Final = (np.nan, np.inf, -np.inf, 1e300, -1e300, 1e3, 999.0, 1e-300, 2.0, -1.0, 2.0**63)
SIGNALLING: Final = 0x7FF0_0000_0000_0001  # a NaN in double precision about which numpy warns


def _number(arrays: Arrays, rng: random.Random) -> str:
    name = rng.choice(list(arrays))
    wide = arrays[name].astype(np.float64)
    if rng.random() < 0.2:
        wide.view(np.uint64)[...] = SIGNALLING
    elif wide.size:
        wide.flat[rng.randrange(wide.size)] = rng.choice(NUMBERS)
    arrays[name] = wide if arrays[name].dtype.kind == "f" else wide.astype(rng.choice((np.int64, np.uint64, np.int8)))
    return f"a number of {name}"


def _type(arrays: Arrays, rng: random.Random) -> str:
    name, code = rng.choice(list(arrays)), rng.choice(TYPES)
    arrays[name] = np.zeros(arrays[name].shape, code)
    return f"{name} is {code}"


def _shape(arrays: Arrays, rng: random.Random) -> str:
    name = rng.choice(list(arrays))
    shape = rng.choice(((), (0,), (2,), (2, 0, 2), (2, 2, 0), (3, 2, 2), (2, 2, 3), (1, 2), (2, 2, 2, 1), (0, 2)))
    arrays[name] = np.ones(shape, arrays[name].dtype)
    return f"{name} has shape {shape}"


def _many(arrays: Arrays, rng: random.Random) -> str:
    """As many rows as are allowed, or one more."""
    more = rng.randrange(2)
    if rng.random() < 0.5:
        arrays[rng.choice(("unexplained", "population"))] = np.full((2, MOST_ROWS + more, 2), 999, np.float32)
        return f"{MOST_ROWS + more} rows of a factor"
    rows = MOST_ERRORS + more
    speakers = np.arange(rows) if rng.random() < 0.5 else np.zeros(rows, np.int64)
    arrays |= {"errors": np.full((rows, 2), 1e-3, np.float32), "error_speaker": speakers}
    arrays["error_sex"] = np.zeros(rows, np.uint8)
    return f"{rows} errors of {speakers[-1] + 1} speakers"


CHANGES: Final = (_number, _number, _type, _shape, _shape, _many)


def fuzz(count: int, seed: int, folder: Path) -> list[str]:
    """Gives the small bundle another wrong posterior in each case."""
    small, honest = Bundle.open(SMALL), write_face_posterior(small_weights())
    path = folder / "hostile.voxface"

    def put(data: bytes) -> None:
        bundle = with_posterior(small, data)
        path.unlink(missing_ok=True)
        write_zip(path, bundle.manifest, bundle.files)

    lines = command_lines(path, SAMPLES[0], folder)
    lines["run"] += ["--samples", 2]
    found: list[str] = []
    with Commands(folder) as commands:
        put(honest)
        allowed = {verb: TIMES * commands.run(*lines[verb]).peak_mb + SLACK_MB for verb in ("verify", "run")}
        for number in range(count):
            rng = random.Random(f"{seed} {number}")
            if rng.random() < 0.3:
                told, data = "damaged", spoilt_npz(honest, rng)
            else:
                weights = small_weights()
                arrays = {name: getattr(weights, name) for name in vars(weights)}
                told = ", ".join(rng.choice(CHANGES)(arrays, rng) for _ in range(rng.choice((1, 1, 2))))
                file = io.BytesIO()
                np.savez(file, **arrays)  # type: ignore[arg-type]
                data = file.getvalue()
            put(data)
            for verb in ("verify", "run"):
                outcome = commands.run(*lines[verb], seconds=60.0)
                problems = outcome.problems(
                    most_mb=allowed[verb] + 20 * len(data) / 1e6,
                    json_document=outcome.exit_code == 0 and verb == "run",
                    codes=(0, 6),
                )
                if "Warning" in outcome.stderr:
                    problems.append(f"a warning: {outcome.stderr.strip().splitlines()[0]}")
                found += [f"case {number}, {verb}, {told}: {problem}" for problem in problems]
    return found
