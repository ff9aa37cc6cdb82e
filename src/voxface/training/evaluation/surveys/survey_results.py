"""What the answers to a survey of preference say, as a result of `voxface eval` (Wu et al. 2022, Fig. 12 and Eq. 8)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from voxface.training.evaluation import figures
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table
from voxface.training.evaluation.surveys.preference import SIGNIFICANCE, answers_needed, power, threshold
from voxface.training.evaluation.surveys.survey import Verdict, read_answers, verdicts

LIKELY: Final = (0.52, 0.55, 0.6, 0.65, 0.7)  # shares of answers for ours that a survey may be to find
PUBLISHED: Final = (1540, 831)  # answers of a section and threshold: Wu et al. 2022, Sec. 4.2


def survey_result(files: list[Path], key: Mapping[str, Any], *, seed: int = 0) -> SuiteResult:
    """Reads the answers, and tests whether ours is preferred.

    Raises:
        InputError: see `read_answers`.
        ValueError: nobody answered.
    """
    answers = read_answers(files, dict(key))
    found = verdicts(answers, dict(key), seed=seed)
    ours_of = {question["id"]: question["ours"] for question in key["questions"]}
    by_subject = {
        f"subject {number}": sum(chosen[name] == side for name, side in ours_of.items()) / len(ours_of)
        for number, chosen in enumerate(answers, 1)
    }
    return SuiteResult(
        "preference",
        (_verdict_table(found, key), power_table(found["all"].preference.answers)),
        {"preference.png": _figure(found, key)},
        {"answers for ours": PerPerson("higher", by_subject)},
        {
            "survey": key["survey"],
            "subjects": len(answers),
            "significance": SIGNIFICANCE,
            "sections": {name: verdict.preference.to_json() for name, verdict in found.items()},
        },
        tuple(_sentence(name, verdict, key) for name, verdict in found.items()),
    )


def power_table(answers: int) -> Table:
    """How likely the test is to find a preference with so many answers, and how many it needs."""
    rows = [
        Row(
            f"{share:.0%} of the answers for ours",
            "baseline",
            {
                "power": Measured(power(answers, share)),
                "answers for a power of 80 %": Measured(answers_needed(share)),
                "answers for a power of 95 %": Measured(answers_needed(share, power_wanted=0.95)),
            },
        )
        for share in LIKELY
    ]
    rows.append(Row("nobody prefers either", "trivial", {"power": Measured(power(answers, 0.5))}))
    columns = (
        Column("power", "%"),
        Column("answers for a power of 80 %", "", "lower", 0),
        Column("answers for a power of 95 %", "", "lower", 0),
    )
    note = (
        f"At a significance of {SIGNIFICANCE}, every answer counting as independent, as in Wu et al. 2022; a subject's answers "
        "are not."
    )
    return Table("power", f"Power of the test with {answers} answers", columns, tuple(rows), note)


def _verdict_table(found: Mapping[str, Verdict], key: Mapping[str, Any]) -> Table:
    rows = []
    for name, verdict in found.items():
        tested = verdict.preference
        rows.append(
            Row(
                f"{key['method']}, {_words(name)}",
                "ours",
                {
                    "answers for ours": Measured(
                        verdict.share, verdict.low, verdict.high, trials=tested.answers, people=verdict.subjects
                    ),
                    "for ours": Measured(tested.ours),
                    "answers": Measured(tested.answers),
                    "threshold": Measured(tested.threshold),
                    "p-value": Measured(tested.p_value),
                },
            )
        )
    rows.append(Row("nobody prefers either", "trivial", {"answers for ours": Measured(0.5)}))
    answers, least = PUBLISHED
    rows.append(
        Row(
            "Wu et al. 2022, Sec. 4.2: a section",
            "published",
            {"answers": Measured(answers), "threshold": Measured(least)},
        )
    )
    columns = (
        Column("answers for ours", "%"),
        Column("for ours", "", "higher", 0),
        Column("answers", "", "neither", 0),
        Column("threshold", "", "neither", 0),
        Column("p-value", "", "lower", 4),
    )
    note = (
        "Ours is preferred where the answers for it reach the threshold (Eq. 8, every answer counting as independent). 95 % "
        "intervals are over subjects. The paper's shares of answers stand in a figure only."
    )
    title = f"{key['method']} beside {key['other']}: which fits the reference better?"
    return Table("preference", title, columns, tuple(rows), note)


def _sentence(name: str, verdict: Verdict, key: Mapping[str, Any]) -> str:
    tested = verdict.preference
    is_preferred = "is preferred" if tested.preferred else "is not significantly preferred"
    return (
        f"{_words(name)}: {key['method']} {is_preferred} to {key['other']} ({tested.ours} of {tested.answers} answers, "
        f"threshold {tested.threshold})."
    )


def _words(section: str) -> str:
    return "all sections" if section == "all" else section


def _figure(found: Mapping[str, Verdict], key: Mapping[str, Any]) -> bytes:
    title = f"{key['method']} beside {key['other']}, {found['all'].subjects} subjects"
    figure, axes = figures.axes(title, "answers (%)", "", (6.2, 0.7 * len(found) + 1.4))
    names = list(found)[::-1]
    for place, name in enumerate(names):
        verdict = found[name]
        share = 100 * verdict.share
        axes.barh(place, share, color=figures.COLOURS[0], height=0.6, label=key["method"] if not place else None)
        axes.barh(
            place, 100 - share, left=share, color="#cccccc", height=0.6, label=key["other"] if not place else None
        )
        axes.errorbar(
            share,
            place,
            xerr=[[max(0.0, share - 100 * verdict.low)], [max(0.0, 100 * verdict.high - share)]],
            color=figures.INK,
            capsize=4,
        )
        least = 100 * threshold(verdict.preference.answers) / verdict.preference.answers
        axes.plot(
            [least, least], [place - 0.38, place + 0.38], color=figures.COLOURS[1], label=None if place else "threshold"
        )
        axes.text(1.5, place, f"{share:.0f} %", va="center", fontsize=8, color="white")
        axes.text(98.5, place, f"{100 - share:.0f} %", va="center", ha="right", fontsize=8, color=figures.INK)
    axes.set_yticks(range(len(names)), [_words(name) for name in names])
    axes.set_xlim(0, 100)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.28))
    return figures.png(figure)
