"""Markdown as model cards have it, drawn on a terminal: headings, paragraphs, lists, tables and code, within its width.

What a card says was written by others: only letters that are to be seen are drawn, so none of it can move the cursor.
"""

import re
from collections.abc import Iterator
from typing import Final

from voxface.cli.terminal_line import width_of

WIDEST: Final = 100  # columns: longer lines are hard to read
_NARROWEST: Final = 20
_BOLD, _FAINT, _PLAIN = "\033[1m", "\033[2m", "\033[0m"
_RULE: Final = re.compile(r"\s*\|?[\s:|-]*-[\s:|-]*\|?\s*")
_NUMBERS: Final = re.compile(r"(?:[-+\d.,%\s]|to)*")
_LINK: Final = re.compile(r"\[([^\]]*)\]\(([^)\s]*)\)")


def drawn(text: str, columns: int, *, styled: bool = True) -> list[str]:
    """The lines of a page of Markdown.

    Args:
        text: the page.
        columns: of the terminal.
        styled: whether headings are bold and code is faint, by codes of the terminal.
    """
    width = max(_NARROWEST, min(columns, WIDEST))
    lines: list[str] = []
    before = ""
    for kind, block in _blocks(text):
        if before == "item" != kind:
            lines.append("")
        lines += _DRAW[kind](block, width, styled)
        before = kind
    return lines[:-1] if lines and not lines[-1] else lines


def section(text: str, *headings: str) -> str:
    """The sections of a page that have these headings of second rank, in the page's order."""
    parts = re.split(r"(?m)^(?=## )", text)
    return "".join(part for part in parts if part.partition("\n")[0].removeprefix("## ").strip() in headings)


def _blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    """What follows one another on a page, and the lines of each."""
    paragraph: list[str] = []
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        kind = _kind(line)
        if kind != "paragraph" and paragraph:
            yield "paragraph", paragraph
            paragraph = []
        at += 1
        if kind == "paragraph":
            paragraph.append(line)
        elif kind == "code":
            end = next((k for k in range(at, len(lines)) if _kind(lines[k]) == "code"), len(lines))
            yield "code", lines[at:end]
            at = end + 1
        elif kind == "table":
            end = next((k for k in range(at, len(lines)) if _kind(lines[k]) != "table"), len(lines))
            yield "table", lines[at - 1 : end]
            at = end
        elif kind != "nothing":
            yield kind, [line]
    if paragraph:
        yield "paragraph", paragraph


def _kind(line: str) -> str:
    word = line.strip()
    if not word:
        return "nothing"
    for start, kind in (("```", "code"), ("|", "table"), ("#", "heading"), ("* ", "item"), ("- ", "item")):
        if word.startswith(start):
            return kind
    return "paragraph"


def _heading(block: list[str], width: int, styled: bool) -> list[str]:
    rank = len(block[0].strip()) - len(block[0].strip().lstrip("#"))
    lines = wrapped(block[0].strip().lstrip("#").strip(), width)
    line = ("═" if rank == 1 else "─") * min(width, max(map(width_of, lines)))
    return [*(f"{_BOLD}{each}{_PLAIN}" if styled else each for each in lines), line, ""] if line else []


def _paragraph(block: list[str], width: int, styled: bool) -> list[str]:
    return [*wrapped(" ".join(block), width), ""]


def _item(block: list[str], width: int, styled: bool) -> list[str]:
    lines = wrapped(block[0].strip()[2:], width - 2)
    return [f"{'• ' if at == 0 else '  '}{line}" for at, line in enumerate(lines)]


def _code(block: list[str], width: int, styled: bool) -> list[str]:
    lines = [f"  {part}" for line in block for part in _cut(_visible(line), width - 2)]
    return [*(f"{_FAINT}{line}{_PLAIN}" if styled else line for line in lines), ""]


def _table(block: list[str], width: int, styled: bool) -> list[str]:
    rows = [
        [_inline(cell) for cell in line.strip().strip("|").split("|")] for line in block if not _RULE.fullmatch(line)
    ]
    count = max(map(len, rows), default=0)
    if not count or width < 4 * count:
        return [*(part for row in rows for part in wrapped("  ".join(row), width)), ""]
    rows = [row + [""] * (count - len(row)) for row in rows]
    wide = [max(width_of(row[k]) for row in rows) for k in range(count)]
    while sum(wide) + 2 * (count - 1) > width:  # the widest column gives way
        wide[wide.index(max(wide))] -= 1
    right = [k > 0 and all(_NUMBERS.fullmatch(row[k]) for row in rows[1:]) for k in range(count)]
    lines = []
    for number, row in enumerate(rows):
        cells = [_cut(cell, wide[k]) if wide[k] else [""] for k, cell in enumerate(row)]
        for at in range(max(map(len, cells))):
            parts = [cell[at] if at < len(cell) else "" for cell in cells]
            line = "  ".join(
                " " * (wide[k] - width_of(part)) + part if right[k] else part + " " * (wide[k] - width_of(part))
                for k, part in enumerate(parts)
            )
            lines.append(f"{_BOLD}{line}{_PLAIN}" if styled and number == 0 and line.strip() else line.rstrip())
    return [*lines, ""]


_DRAW: Final = {"heading": _heading, "paragraph": _paragraph, "item": _item, "code": _code, "table": _table}


def _inline(text: str) -> str:
    """Text as it reads: links with their addresses, without marks of emphasis."""
    plain = _LINK.sub(lambda link: f"{link[1]} ({link[2]})" if link[2] else link[1], _visible(text))
    return plain.replace("**", "").replace("`", "").strip()


def _visible(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def wrapped(text: str, width: int) -> list[str]:
    """Words in lines of at most so many columns; a word that is longer is cut."""
    lines = [""]
    for word in _inline(text).split():
        for part in _cut(word, width):
            if lines[-1] and width_of(lines[-1]) + 1 + width_of(part) > width:
                lines.append(part)
            else:
                lines[-1] += f" {part}" if lines[-1] else part
    return lines


def _cut(text: str, width: int) -> list[str]:
    """Text in pieces of at most so many columns; a letter of two columns where there is one is left out."""
    pieces, room = [""], width
    for letter in text:
        needs = width_of(letter)
        if needs > width:
            continue
        if needs > room:
            pieces.append("")
            room = width
        pieces[-1] += letter
        room -= needs
    return pieces
