"""The command line of a benchmark."""

import argparse


def parser(what: str | None) -> argparse.ArgumentParser:
    """The parser of a benchmark.

    Args:
        what: the docstring of its module; the first line describes it.
    """
    return argparse.ArgumentParser(description=(what or "").split("\n", maxsplit=1)[0], allow_abbrev=False)


def no_options(what: str | None) -> None:
    """Reads the command line of a benchmark that has no options but `--help`; anything else ends the program with code 2."""
    parser(what).parse_args()
