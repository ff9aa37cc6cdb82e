"""The table of the README's first screen: what a voice told, strong and weak results side by side."""

from collections.abc import Callable
from typing import Final

from benchmarks.record import load
from benchmarks.tables.cells import percent

OURS: Final = "voxface-default, by the judge"
SEX_ALONE: Final = "the sexes known, nothing else"


def front() -> str:
    """Strong and weak results beside trivial answers."""
    encoder = load("voice_encoder")["measured"]["ours"]
    told = encoder["told"]
    share, low, high = told["sex"]["share"]
    age, mean_age = told["age"]["mean_absolute_error"], told["age"]["mean_age"]
    faces = load("evaluation")["measured"]["paired"]["matching"]["tables"][0]["rows"]
    matching = {row["method"]: row["values"] for row in faces}
    mesh = load("face_posterior")["measured"]["paired"]["errors"]
    lines = [
        "| what a voice told, of people never trained on | measured (95 %) | trivial answer |",
        "|---|---|---|",
        f"| the sex, of adults with 5 s of speech or more | {percent(share)} ({percent(low)} – {percent(high)}) | "
        f"{percent(told['sex']['commoner'])}, always the commoner |",
        f"| whether two recordings are of one speaker, wrong in | {percent(encoder['librispeech']['eer'][0])}, "
        f"{percent(encoder['many']['eer'][0])} in 59 languages | 50 %, a coin |",
        f"| the age, off by | {age[0]:.1f} years ({age[1]:.1f} – {age[2]:.1f}) | {mean_age[0]:.1f} years, the mean age |",
    ]
    for name, words in (
        ("new people, unstratified", "which of two faces is the speaker's"),
        ("new people, by sex", "the same, both faces of the speaker's sex"),
    ):
        ours, trivial = matching[OURS][name], matching[SEX_ALONE][name]
        low, high = ours["interval"]
        why = "the sex alone" if name.endswith("unstratified") else "a coin"
        lines.append(
            f"| {words} | {percent(ours['value'])} ({percent(low)} – {percent(high)}) | {percent(trivial['value'])}, {why} |"
        )
    above = mesh["mesh"]["above_trivial_95"]
    lines.append(
        f"| the face, off by | {mesh['mesh']['rms_mm']:.2f} mm ({above[0]:+.2f} to {above[1]:+.2f} to the trivial answer) | "
        f"{mesh['mean_face_of_the_sex_heard']['rms_mm']:.2f} mm, the mean face of the sex heard |"
    )
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {"front": front}
"""Name in the pages -> table."""
