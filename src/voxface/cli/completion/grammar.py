"""The command line as data: every command with its options and operands, read from the parser."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

# Values that argparse keeps as text, and that are names of files all the same.
FILES: Final = ("FILE", "DIR", "CSV", "PAGE", "RUN|FILE", "RUN|BUNDLE")


@dataclass(frozen=True)
class Value:
    """What may follow an option, or stand as an operand.

    Attributes:
        choices: the words to choose from; empty: any.
        is_path: whether it names a file or a folder.
        count: how many values are taken; None: any number.
        name: what help calls it.
        about: help of an operand, one line; an option has its own.
    """

    choices: tuple[str, ...]
    is_path: bool
    count: int | None
    name: str
    about: str = ""


@dataclass(frozen=True)
class Option:
    """An option.

    Attributes:
        names: "-h", "--help".
        about: its help, one line.
        value: what follows it; None: nothing does.
        again: whether it may be given more than once.
    """

    names: tuple[str, ...]
    about: str
    value: Value | None
    again: bool


@dataclass(frozen=True)
class Command:
    """A command, or a group of commands.

    Attributes:
        words: ("bundle", "info"); of the whole command line ().
        about: what it does, one line.
        options: its options, in the order of its help.
        operands: what stands without a name.
        commands: those below it; then it has no operands.
    """

    words: tuple[str, ...]
    about: str
    options: tuple[Option, ...]
    operands: tuple[Value, ...]
    commands: tuple["Command", ...]

    def walk(self) -> Iterator["Command"]:
        """This command and every one below it."""
        yield self
        for command in self.commands:
            yield from command.walk()


def command_line() -> Command:
    """The whole command line, every verb's options included."""
    from voxface.cli import VERBS, build_parser

    whole = _command(build_parser(None), (), "")
    verbs = {
        verb: _command(_verb(build_parser(verb, alone=True), verb), (verb,), about) for verb, about in VERBS.items()
    }
    return Command((), "", whole.options, (), tuple(verbs.values()))


def _verb(parser: argparse.ArgumentParser, verb: str) -> argparse.ArgumentParser:
    found: argparse.ArgumentParser = next(action for action in map(_choices, parser._actions) if action)[verb]
    return found


def _choices(action: argparse.Action) -> dict[str, argparse.ArgumentParser]:
    """Name -> parser, of the action that holds commands; else empty."""
    return dict(action.choices) if isinstance(action, argparse._SubParsersAction) else {}


def _command(parser: argparse.ArgumentParser, words: tuple[str, ...], about: str) -> Command:
    options, operands, commands = [], [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            commands += [_command(sub, (*words, name), told.get(name, "")) for name, sub in action.choices.items()]
        elif action.option_strings:
            if action.help != argparse.SUPPRESS:
                again = isinstance(action, argparse._AppendAction)
                options.append(Option(tuple(action.option_strings), _about(parser, action), _value(action), again))
        else:
            value = _value(action)
            assert value is not None, action.dest
            operands.append(replace(value, about=_about(parser, action)))
    return Command(words, about, tuple(options), tuple(operands), tuple(commands))


def _about(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Help of an option with its default filled in."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _value(action: argparse.Action) -> Value | None:
    if action.nargs == 0:
        return None
    name = action.metavar or (action.dest.upper() if action.option_strings else action.dest)
    name = name if isinstance(name, str) else " ".join(name)
    choices = tuple(str(choice) for choice in action.choices or ())
    is_path = not choices and (action.type is Path or name in FILES)
    count = action.nargs if isinstance(action.nargs, int) else 1 if action.nargs in (None, "?") else None
    return Value(choices, is_path, count, name)
