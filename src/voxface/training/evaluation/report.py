"""All results on one HTML page that needs nothing else: tables with published and trivial rows, figures, commands."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any, Final

from voxface.runtime.files.regular import read_bytes
from voxface.training.evaluation.result import SuiteResult, Table

_LARGEST: Final = 1 << 26  # bytes of a figure
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.6rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 0.4rem 0 0.6rem; font-size: 0.9rem; }
caption { text-align: left; font-weight: 600; padding: 0.4rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: 0.25rem 0.7rem; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #888; }
tr.ours, td.ours { font-weight: 600; background: #eef5fb; } .trivial, .limit { color: #555; } .published { font-style: italic; }
.scroll { overflow-x: auto; } img { max-width: 100%; } nav a { margin-right: 0.8rem; }
.note, .about { color: #555; font-size: 0.88rem; } .warn { background: #fff4d6; padding: 0.4rem 0.7rem; }
@media print { nav { display: none; } h2 { break-after: avoid; } table, img { break-inside: avoid; } }
"""


def report_page(folders: Mapping[Path, Mapping[str, Mapping[str, Any]]]) -> str:
    """The page of some folders of results.

    Args:
        folders: what `run.read_results` gave of each.

    Raises:
        InputError: a figure that a result names is missing.
    """
    links: list[str] = []
    parts: list[str] = []
    for folder, results in folders.items():
        for name, document in results.items():
            place = f"{len(links)}-{name}"
            subject = (document.get("subject") or {}).get("name", "")
            title = name if len(folders) == 1 else f"{name}: {subject or folder.name}"
            links.append(f'<a href="#{place}">{escape(title)}</a>')
            parts.append(f'<h2 id="{place}">{escape(title)}</h2>\n{_suite(folder, document)}')
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>voxface eval</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_STYLE}</style></head>\n<body>\n<h1>Evaluation</h1>\n<nav>{' '.join(links)}</nav>\n"
        '<p class="note">Rows marked “trivial” are what an answer that does not listen to the voice gets, “limit” what no '
        "method can pass on these data, “published” what others report on other data. Intervals are of 95 %, over people. "
        "Arrows point to the better side. No number here says whose a voice or a face is.</p>\n"
        f"{''.join(parts)}</body></html>\n"
    )


def _suite(folder: Path, document: Mapping[str, Any]) -> str:
    result = SuiteResult.from_json(document)
    parts = [_about(document)]
    parts += [_table(table) for table in result.tables]
    if result.statements:
        parts.append(f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in result.statements)}</ul>\n")
    for name in document["figures"]:
        data = base64.b64encode(read_bytes(folder / Path(name).name, _LARGEST)).decode()
        said = escape(name.removesuffix(".png").replace("-", " "))
        parts.append(f'<figure><img alt="{said}" src="data:image/png;base64,{data}"></figure>\n')
    if result.missing:
        parts.append(f"<p>Not computed:</p><ul>{''.join(f'<li>{escape(line)}</li>' for line in result.missing)}</ul>\n")
    return "".join(parts)


def _about(document: Mapping[str, Any]) -> str:
    data, subject = document.get("data"), document.get("subject")
    facts = [f"<code>{escape(document['command'])}</code>", escape(document["date"])]
    if subject is not None:
        facts.append(f"of {escape(subject['name'])} <code>{subject['sha256'][:12]}</code>")
    if data is not None:
        facts.append(f"data: {escape(data['kind'])}, {data['people']} people <code>{data['sha256'][:12]}</code>")
    facts.append(
        f"{escape(document['split'])} people, seed {document['seed']}, voxface {document['versions']['voxface']}"
    )
    lines = [f'<p class="about">{" · ".join(facts)}</p>\n']
    if document.get("quick"):
        lines.append('<p class="warn">With --quick: so few people and trials that the numbers are worth little.</p>\n')
    if document.get("test_use", 0) > 1:
        lines.append(
            f'<p class="warn">Evaluation {document["test_use"]} on these test people; only the first is a test.</p>\n'
        )
    return "".join(lines)


def _table(table: Table) -> str:
    head, *body = table.cells()
    kinds = [row.kind for row in table.rows]
    of_columns = ["", *kinds] if table.on_its_side else [""] * len(head)
    of_rows = [""] * len(body) if table.on_its_side else kinds
    top = "".join(f'<th class="{kind}">{escape(cell)}</th>' for cell, kind in zip(head, of_columns, strict=True))
    rows = [
        f'<tr class="{kind}">'
        + "".join(f'<td class="{of}">{escape(cell)}</td>' for cell, of in zip(line, of_columns, strict=True))
        + "</tr>"
        for line, kind in zip(body, of_rows, strict=True)
    ]
    note = f'<p class="note">{escape(table.note)}</p>\n' if table.note else ""
    return (
        f'<div class="scroll"><table><caption>{escape(table.title)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>\n{note}"
    )
