"""What a suite of `voxface eval` finds: tables, figures and one number a person, as JSON and as Markdown."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Self

from voxface.runtime.errors import InputError

FORMAT: Final = 1
WIDEST: Final = 9
"""Columns of a table that a page is wide enough for."""
Kind = Literal["ours", "baseline", "trivial", "limit", "published"]
KINDS: Final[tuple[Kind, ...]] = ("ours", "baseline", "trivial", "limit", "published")
Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Measured:
    """One number of a table.

    Attributes:
        value: the number, in the unit of its column.
        low, high: its 95 % interval, by bootstrap over people unless the table says otherwise.
        sd: standard deviation over trials, where the source gives one.
        trials, people: how many there were.

    Raises:
        ValueError: a number is not finite.
    """

    value: float
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    trials: int | None = None
    people: int | None = None

    def __post_init__(self) -> None:
        numbers = (self.value, self.low, self.high, self.sd)
        if not all(math.isfinite(number) for number in numbers if number is not None):
            raise ValueError(f"{numbers}: not finite")

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; what is unknown is left out."""
        known = {"value": self.value, "sd": self.sd, "trials": self.trials, "people": self.people}
        interval = None if self.low is None else [self.low, self.high]
        return {name: value for name, value in (known | {"interval": interval}).items() if value is not None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_json` gave."""
        low, high = document.get("interval", (None, None))
        return cls(document["value"], low, high, document.get("sd"), document.get("trials"), document.get("people"))


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as in its head, unique in the table.
        unit: "%" shows shares times 100; "mm", "s" and so on stand in the head; "" is none.
        better: which way is better.
        digits: digits after the point, as shown.
    """

    name: str
    unit: str = ""
    better: Better = "higher"
    digits: int = 1

    @property
    def head(self) -> str:
        """Name, unit, and an arrow to the better side."""
        arrow = {"higher": " ↑", "lower": " ↓", "neither": ""}[self.better]
        return f"{self.name}{f' ({self.unit})' if self.unit else ''}{arrow}"

    def text(self, number: Measured | None) -> str:
        """A number as the table shows it, with its interval or else its standard deviation; "–" where there is none."""
        if number is None:
            return "–"
        scale = 100 if self.unit == "%" else 1

        def show(value: float) -> str:
            return f"{scale * value:.{self.digits}f}"

        if number.low is not None and number.high is not None:
            return f"{show(number.value)} ({show(number.low)} to {show(number.high)})"
        return show(number.value) + (f" ± {show(number.sd)}" if number.sd is not None else "")


@dataclass(frozen=True)
class Row:
    """A method, and its numbers by the names of columns; a column that it lacks is empty.

    Attributes:
        method: what made the numbers; of published ones with their source, "Wen et al. 2019, Table 3".
        kind: whose it is: "ours" is what is evaluated, "limit" what no method can pass on these data, such as real pictures.
    """

    method: str
    kind: Kind
    values: Mapping[str, Measured]

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        values = {name: number.to_json() for name, number in self.values.items()}
        return {"method": self.method, "kind": self.kind, "values": values}


@dataclass(frozen=True)
class Table:
    """A table of a suite.

    Attributes:
        name: unique in the suite, of small letters, digits and hyphens.
        title: what it shows.
        columns, rows: the table; it has a trivial row, or its note says why not.
        note: sentences under it: what the trials are, what limits the comparison.

    Raises:
        ValueError: a row has a number of no column, or a kind that is none.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def __post_init__(self) -> None:
        names = {column.name for column in self.columns}
        for row in self.rows:
            if row.kind not in KINDS or not row.values.keys() <= names:
                raise ValueError(
                    f"table {self.name}, row {row.method}: {row.kind}, {sorted(row.values)} of {sorted(names)}"
                )

    def cells(self) -> list[list[str]]:
        """The table as text, its head first; a table of more than `WIDEST` columns lies on its side, a column a method."""
        lines = [["method", *(column.head for column in self.columns)]]
        for row in self.rows:
            label = f"{row.method} ({row.kind})" if row.kind in ("trivial", "published", "limit") else row.method
            lines.append([label, *(column.text(row.values.get(column.name)) for column in self.columns)])
        return [list(line) for line in zip(*lines, strict=True)] if self.on_its_side else lines

    @property
    def on_its_side(self) -> bool:
        """Whether methods are columns, because there are more columns than a page is wide."""
        return len(self.columns) > WIDEST

    def markdown(self) -> str:
        """The table in Markdown, what is evaluated in bold, its note below."""
        lines = self.cells()
        for k, row in enumerate(self.rows, 1):
            if row.kind == "ours" and self.on_its_side:
                lines[0][k] = f"**{lines[0][k]}**"
            elif row.kind == "ours":
                lines[k][0] = f"**{lines[k][0]}**"
        head, *body = lines
        shown = [_line(head), _line(["---", *("---:" for _ in head[1:])]), *map(_line, body)]
        return "\n".join([f"**{self.title}**", "", *shown, *(["", self.note] if self.note else []), ""])

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        columns = [
            {"name": column.name, "unit": column.unit, "better": column.better, "digits": column.digits}
            for column in self.columns
        ]
        rows = [row.to_json() for row in self.rows]
        return {"name": self.name, "title": self.title, "columns": columns, "rows": rows, "note": self.note}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_json` gave."""
        rows = [
            Row(
                row["method"],
                row["kind"],
                {name: Measured.from_json(number) for name, number in row["values"].items()},
            )
            for row in document["rows"]
        ]
        columns = tuple(
            Column(column["name"], column["unit"], column["better"], column["digits"]) for column in document["columns"]
        )
        return cls(document["name"], document["title"], columns, tuple(rows), document["note"])


@dataclass(frozen=True)
class PerPerson:
    """One number a person, by which `voxface eval compare` compares two results.

    Attributes:
        better: which way is better.
        values: by the person's name.
    """

    better: Better
    values: Mapping[str, float]


@dataclass(frozen=True)
class SuiteResult:
    """What one suite found.

    Attributes:
        suite: its name.
        tables: one or more.
        figures: PNG files by their name, "duration.png".
        per_person: by the name of the metric.
        facts: further JSON values: numbers of people and trials, settings.
        statements: sentences that the numbers decide, such as whether the paper's order of methods holds.
        missing: what could not be computed, and what to give so that it can.
    """

    suite: str
    tables: tuple[Table, ...]
    figures: Mapping[str, bytes] = field(default_factory=dict)
    per_person: Mapping[str, PerPerson] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    statements: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Tables, statements, figures and what is missing."""
        parts = [f"# {self.suite}", "", *(table.markdown() for table in self.tables)]
        parts += [f"* {sentence}" for sentence in self.statements]
        parts += [f"\n![{name.removesuffix('.png').replace('-', ' ')}]({name})" for name in self.figures]
        if self.missing:
            parts += ["", "Not computed:", "", *(f"* {sentence}" for sentence in self.missing)]
        return "\n".join(parts) + "\n"

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; figures by their names."""
        return {
            "suite": self.suite,
            "tables": [table.to_json() for table in self.tables],
            "figures": sorted(self.figures),
            "per_person": {
                name: {"better": of.better, "values": dict(of.values)} for name, of in self.per_person.items()
            },
            "facts": dict(self.facts),
            "statements": list(self.statements),
            "missing": list(self.missing),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Reads what `to_json` gave; figures are not in it.

        Raises:
            InputError: it is none.
        """
        try:
            return cls(
                document["suite"],
                tuple(Table.from_json(table) for table in document["tables"]),
                {},
                {name: PerPerson(of["better"], of["values"]) for name, of in document["per_person"].items()},
                document["facts"],
                tuple(document["statements"]),
                tuple(document["missing"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a result of `voxface eval` ({error!r})") from error


def text(document: Mapping[str, Any]) -> bytes:
    """A JSON document as a file holds it."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
