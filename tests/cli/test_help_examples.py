"""Each help ends with an example, which the real parser accepts."""

import argparse
import shlex
from collections.abc import Iterator

import pytest

from voxface.cli import VERBS, build_parser
from voxface.cli.examples import EXAMPLES


def parsers() -> Iterator[argparse.ArgumentParser]:
    """The parser of the command line, of each verb, and of each action."""
    yield build_parser(None)
    for verb in VERBS:
        whole = build_parser(verb, alone=True)
        left = list(_below(whole))
        while left:
            parser = left.pop()
            yield parser
            left += _below(parser)


def _below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def test_there_is_one_for_every_help_and_none_besides() -> None:
    assert {parser.prog for parser in parsers()} == set(EXAMPLES)


@pytest.mark.parametrize("prog", EXAMPLES)
def test_it_is_an_example_of_its_command_and_can_be_run(prog: str) -> None:
    words = shlex.split(EXAMPLES[prog].partition(" > ")[0])
    assert words[: len(prog.split())] == prog.split()
    options = build_parser(words[1]).parse_args(words[1:])
    assert options.verb == words[1]


def test_help_shows_it_unbroken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    for parser in parsers():
        assert parser.format_help().endswith(f"\nexample:\n  {EXAMPLES[parser.prog]}\n")
