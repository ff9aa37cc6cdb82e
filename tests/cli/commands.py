"""Every command of the command line, by walking its parser."""

import argparse
from collections.abc import Iterator

from voxface.cli import VERBS, build_parser


def _below(parser: argparse.ArgumentParser, words: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    subs = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for action in subs:
        for name, sub in action.choices.items():
            yield from _below(sub, f"{words} {name}")
    if not subs:
        yield words, parser


def every_command() -> list[tuple[str, argparse.ArgumentParser]]:
    """The words of each command, such as "data fit", and its parser."""
    found = []
    for verb in VERBS:
        verbs = next(a for a in build_parser(verb)._actions if isinstance(a, argparse._SubParsersAction))
        found += list(_below(verbs.choices[verb], verb))
    return found
