"""A folder of sound files, on several processes: a folder of results for each file, and a table.

    python examples/05_batch_of_files.py [recordings/] [--out FOLDER] [--processes 2]

Estimates come back without their morphable model (7 MB), which is the same for all.
"""

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import voxface


@cache
def loaded() -> voxface.VoiceToFace:
    """One for each process; one thread each, since the processes share the cores."""
    return voxface.VoiceToFace(threads=1)


def estimate(file: Path, out: Path) -> voxface.Estimate | voxface.VoxfaceError:
    """The estimate of one file, saved below `out`; or why there is none, which must not end the others."""
    try:
        _, estimate = loaded().estimate_file(file)
        estimate.save(out / file.stem)
    except voxface.VoxfaceError as error:
        return error
    return estimate


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent)
    parser.add_argument("--out", type=Path, help="folder for the results (a temporary one)")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="voxface-"))
    files = sorted(path for path in options.folder.iterdir() if path.suffix in (".wav", ".flac", ".ogg", ".mp3"))
    failed = 0
    with ProcessPoolExecutor(options.processes) as processes:
        for file, found in zip(files, processes.map(estimate, files, [out] * len(files)), strict=True):
            if isinstance(found, voxface.VoxfaceError):
                failed = failed or found.exit_code
                print(found, file=sys.stderr)
                continue
            width = found.measurements_mm["face_width"]
            print(f"{file.name}: face width {width:.1f} mm, confidence {found.confidence:.2f} -> {out / file.stem}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
