"""The command line of a trainer that adds a trained part to a bundle: it writes another bundle, and nothing else."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.writer import check_target
from voxface.runtime.errors import VoxfaceError


def part_parser(trainer: str, what: str | None) -> argparse.ArgumentParser:
    """The parser of a trainer's own options, with those that all of them have.

    Args:
        trainer: name of its module.
        what: the docstring of its module; the first line describes it.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m voxface.training.trainers.{trainer}", description=(what or "").split("\n", maxsplit=1)[0]
    )
    parser.add_argument("--bundle", type=Path, help="bundle to start from (the default bundle)")
    parser.add_argument("--out", type=Path, required=True, help="bundle to write: NAME.voxface, or a folder")
    parser.add_argument("--force", action="store_true", help="replace a bundle that is there already")
    return parser


def write_part(options: argparse.Namespace, train: Callable[[Bundle], tuple[Bundle, str]]) -> int:
    """Writes the bundle that `train` makes of the one to start from; returns the exit code.

    Args:
        train: gives the bundle with its part, and what to say of it.
    """
    try:
        bundle = Bundle.open(options.bundle)
        check_target(options.out, bundle.path, force=options.force)
        made, said = train(bundle)
        made.write(options.out)
    except VoxfaceError as error:
        print(f"voxface: error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{options.out}: {said}")
    return 0
