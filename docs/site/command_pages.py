"""A page for each verb, written from the command line's own parser while the site is built."""

from functools import cache
from pathlib import Path
from typing import Final

from voxface.cli import VERBS
from voxface.cli.completion.grammar import Command, Option, Value, command_line
from voxface.cli.examples import EXAMPLES

FOLDER: Final = "reference/command-line"
ABOUT: Final = {
    "run": "audio.md",
    "live": "live.md",
    "serve": "serve.md",
    "load": "serve.md",
    "devices": "live.md",
    "profile": "profiling.md",
    "doctor": "devices.md",
    "bundle": "face-models.md",
    "export": "training.md",
    "calibrate": "precision.md",
    "build": "devices.md",
    "compare": "precision.md",
    "train": "training.md",
    "eval": "evaluation.md",
    "data": "worlds.md",
    "completion": "how-to/completion.md",
}
"""Verb -> the page that explains it."""


@cache
def command_pages() -> dict[str, str]:
    """Path -> Markdown."""
    whole = command_line()
    pages = {f"{FOLDER}/index.md": _index(whole)}
    return pages | {f"{FOLDER}/{verb.words[0]}.md": _page(verb) for verb in whole.commands}


def _index(whole: Command) -> str:
    rows = "\n".join(f"| [`{verb.words[0]}`]({verb.words[0]}.md) | {_cell(verb.about)} |" for verb in whole.commands)
    return (
        "# The command line\n\nThese pages are made from the parser of the command line, so they are those of this version. "
        "`voxface VERB --help` says the same.\n\n"
        f"| verb | what it does |\n|---|---|\n{rows}\n\n"
        "Exit codes, `--json` and `--force` are the same everywhere: see [Use](../../index.md#use).\n"
    )


def _page(verb: Command) -> str:
    name = verb.words[0]
    assert name in VERBS
    lines = [f"# voxface {name}", "", f"{verb.about[0].upper()}{verb.about[1:]}.", ""]
    if name in ABOUT:
        lines += [f"The guide: [{Path(ABOUT[name]).stem.replace('-', ' ')}](../../{ABOUT[name]}).", ""]
    told: dict[tuple[Option, ...], Command] = {}
    for command in verb.walk():
        if command is not verb:
            lines += [f"## {' '.join(command.words)}", "", f"{command.about[0].upper()}{command.about[1:]}.", ""]
        lines += _body(command, told)
    return "\n".join(lines)


def _body(command: Command, told: dict[tuple[Option, ...], Command]) -> list[str]:
    """Example, usage and options; options that an earlier command of the page has as well are not repeated."""
    lines = ["```bash", EXAMPLES[" ".join(["voxface", *command.words])], "```", ""]
    if command.commands:
        rows = [
            f"| [`{below.words[-1]}`](#{'-'.join(below.words)}) | {_cell(below.about)} |" for below in command.commands
        ]
        return [*lines, "| | |", "|---|---|", *rows, ""]
    if command.options in told:
        other = " ".join(told[command.options].words)
        return [*lines, f"Options as of [`{other}`](#{other.replace(' ', '-')}).", ""]
    told[command.options] = command
    rows = [f"| `{_cell(operand.name)}` | {_cell(operand.about)} |" for operand in command.operands]
    rows += [f"| {_names(option)} | {_cell(option.about)} |" for option in command.options]
    return [*lines, "| option | what it does |", "|---|---|", *rows, ""]


def _names(option: Option) -> str:
    value = f" {_shown(option.value)}" if option.value else ""
    return ", ".join(f"`{name}{value}`" for name in option.names).replace("|", "\\|")


def _shown(value: Value) -> str:
    """The value as usage shows it."""
    name = "{" + ",".join(value.choices) + "}" if value.choices else value.name
    return f"{name} …" if value.count is None else name


def _cell(text: str) -> str:
    """Text as a cell of a table, in which signs of HTML and of Markdown stand for themselves."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*").replace("[", "\\[")
