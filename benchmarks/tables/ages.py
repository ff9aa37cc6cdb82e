"""Tables of what a voice tells of an age, on speakers that nothing was fitted to."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from benchmarks.record import load
from benchmarks.tables.cells import percent

CONSTANTS: Final = {
    "mean_age": "the mean age of the training voices",
    "without_voice": "the same fit without the voice",
    "median_age": "their median age",
}


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)


def _auc(row: Mapping[str, Any], name: str) -> str:
    if row[name] is None:
        return "–"
    low, high = row[f"{name}_interval"]
    return f"{row[name]:.3f} ({low:.3f} – {high:.3f})"


def children() -> str:
    """Children told from adults, by the bundle and by the teacher."""
    measured = load("age")["measured"]["child"]
    lines = [
        "| | AUC, all adults (95 %) | AUC, adults of their set (95 %) | children missed | adults refused | of their set |",
        "|---|---|---|---|---|---|",
    ]
    rows = {
        "every speaker, by a fit without the speaker": measured["folds"],
        **{f"of these, clips of {seconds} s": row for seconds, row in measured["folds_by_seconds"].items()},
        "validation speakers": measured["validation"],
        "test speakers": measured["test"],
        "the teacher's vectors, every speaker": measured["teacher_folds"],
    }
    for name, row in rows.items():
        shares = (_share(row[key]) for key in ("children_missed", "adults_refused", "adults_refused_same_sets"))
        lines.append(f"| {name} | {_auc(row, 'auc')} | {_auc(row, 'auc_same_sets')} | {' | '.join(shares)} |")
    counts = "; ".join(
        f"{split}: {row['children']} children, {row['adults']} adults" for split, row in measured["speakers"].items()
    )
    unknown = ", ".join(f"{name} {_share(share)}" for name, share in measured["unknown_age_refused"].items())
    lines += [
        "",
        f"Told as a child's from probability {measured['threshold']:g} on. Speakers of known age: {counts}. Of test "
        f"speakers of unknown age are refused: {unknown or 'none were heard'}.",
    ]
    return "\n".join(lines)


def years() -> str:
    """Errors of adults' years beside constants and the teacher."""
    document = load("age")["measured"]
    measured = document["years"]
    lines = [
        "| | years off, test (95 %) | the voice's gain over it (95 %) | years off, validation |",
        "|---|---|---|---|",
    ]
    names = {"age": f"the voice, {document['bundle']}", **CONSTANTS, "teacher": "the teacher's vectors, the same fit"}
    test, validation = measured["test"], measured["validation"]
    for key, name in names.items():
        low, high = test["error_interval"][key]
        gain = "–"
        if key != "age":
            least, most = test["gain_interval"][key]
            gain = f"{test['gain'][key]:+.2f} ({least:+.2f} – {most:+.2f})"
        always = f" ({measured['constants'][key]:.1f})" if key in measured["constants"] else ""
        lines.append(
            f"| {name}{always} | {test['error'][key]:.2f} ({low:.2f} – {high:.2f}) | {gain} | {validation['error'][key]:.2f} |"
        )
    lengths = ", ".join(
        f"{seconds} s {row['age']:.1f} (mean age {row['mean_age']:.1f}, teacher {row['teacher']:.1f})"
        for seconds, row in measured["test_by_seconds"].items()
        if row
    )
    lines += [
        "",
        f"{test['speakers']} test and {validation['speakers']} validation speakers. Intervals hold "
        f"{percent(validation['covered'])} of the validation's ages, to which they are fitted, and {percent(test['covered'])} "
        f"of the test's. By length of the clip: {lengths}. An age is therefore "
        f"{'told' if measured['told'] else 'not told'} by a bundle with this fit.",
    ]
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {"age-children": children, "age-years": years}
