"""A survey of preference as one page of HTML (Wu et al. 2022, Sec. 4.2): which of two results fits the reference face better?

Pictures lie within the page, which sends nothing anywhere: a subject saves the answers as a file. Which side is whose stands
in a key beside the page, not in it.
"""

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from voxface.runtime.errors import InputError
from voxface.runtime.files.regular import read_bytes
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.surveys.preference import SIGNIFICANCE, Preference, preference

SIDES: Final = ("left", "right")
LARGEST_PICTURE: Final = 8 << 20  # bytes: thirty questions of five pictures must open in a browser
_KINDS: Final = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_ASKED: Final = "Whose shape fits the reference image better?"


@dataclass(frozen=True)
class Question:
    """One choice.

    Attributes:
        section: heading under which it stands; the paper's are images, 3D models, and both together.
        reference: picture of the real face.
        ours: pictures of our result: an image, a rendered mesh, or both.
        theirs: the same of the other method.
    """

    section: str
    reference: Path
    ours: tuple[Path, ...]
    theirs: tuple[Path, ...]


@dataclass(frozen=True)
class Survey:
    """A page and its key.

    Attributes:
        page: HTML.
        key: JSON object: `survey` (id) and `questions`, each with `id`, `section`, `ours` ("left" or "right"), `reference`.
    """

    page: str
    key: dict[str, Any]


def survey(questions: Sequence[Question], *, seed: int, title: str = "Which face fits better?") -> Survey:
    """Builds a survey: sections in the order given, questions and sides within them drawn from the seed.

    Raises:
        InputError: a picture cannot be read, is no PNG or JPEG, or is larger than 8 MB.
        ValueError: there are no questions, or one shows different numbers of pictures on its sides.
    """
    if not questions:
        raise ValueError("a survey without questions")
    rng = np.random.default_rng(seed)
    order, key = [], []
    for section in dict.fromkeys(question.section for question in questions):
        own = [question for question in questions if question.section == section]
        order += [own[int(k)] for k in rng.permutation(len(own))]
    parts, last = [], None
    for number, question in enumerate(order, 1):
        if not question.ours or len(question.ours) != len(question.theirs):
            raise ValueError(f"{len(question.ours)} pictures of ours beside {len(question.theirs)} of theirs")
        name, ours = f"q{number:02d}", SIDES[int(rng.integers(2))]
        sides = (question.ours, question.theirs) if ours == "left" else (question.theirs, question.ours)
        if question.section != last:
            parts.append(f"<h2>{html.escape(question.section)}</h2>")
            last = question.section
        parts.append(_question(name, number, len(order), question.reference, sides))
        key.append({"id": name, "section": question.section, "ours": ours, "reference": question.reference.name})
    body = "\n".join(parts)
    identity = hashlib.sha256(body.encode()).hexdigest()[:16]
    page = (
        _PAGE.replace("{title}", html.escape(title)).replace("{survey}", identity).replace("{count}", str(len(order)))
    ).replace("{questions}", body)
    return Survey(page, {"survey": identity, "questions": key})


@dataclass(frozen=True)
class Verdict:
    """What the subjects said of one section.

    Attributes:
        preference: the test over all answers (Eq. 8).
        share: answers for ours.
        low, high: 95 % interval of the share, over subjects, whose answers are not independent.
        subjects: how many.
    """

    preference: Preference
    share: float
    low: float
    high: float
    subjects: int


def verdicts(
    answers: Sequence[dict[str, str]], key: dict[str, Any], *, significance: float = SIGNIFICANCE, seed: int = 0
) -> dict[str, Verdict]:
    """The verdict of each section, and over all under "all".

    Args:
        answers: of each subject, the side chosen for each question; as `read_answers` gives them.

    Raises:
        ValueError: nobody answered.
    """
    if not answers:
        raise ValueError("nobody answered")
    questions = key["questions"]
    chosen = np.array(
        [[subject[q["id"]] == q["ours"] for q in questions] for subject in answers]
    )  # [subjects, questions]
    found = {}
    for section in (*dict.fromkeys(q["section"] for q in questions), "all"):
        columns = [section in ("all", q["section"]) for q in questions]
        of_subject = chosen[:, columns].mean(1)
        low, high = bootstrap(
            lambda rows, of=of_subject: float(of[rows].mean()),
            np.arange(len(of_subject)),
            rng=np.random.default_rng(seed),
        )
        ours, total = int(chosen[:, columns].sum()), int(chosen[:, columns].size)
        found[section] = Verdict(preference(ours, total, significance), ours / total, low, high, len(answers))
    return found


def read_answers(files: Sequence[Path], key: dict[str, Any]) -> list[dict[str, str]]:
    """What each subject chose; a file that was saved twice counts once.

    Raises:
        InputError: a file holds no whole answers to this survey, or two different ones of one subject.
    """
    names = {question["id"] for question in key["questions"]}
    found: dict[str, tuple[Path, dict[str, str]]] = {}
    for file in files:
        try:
            held = json.loads(read_bytes(file))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}: is no JSON; answers are what the survey's page saves") from error
        if not isinstance(held, dict) or not isinstance(held.get("answers"), dict) or not held.get("subject"):
            raise InputError(f"{file}: holds no answers; give files that the survey's page saved")
        if held.get("survey") != key["survey"]:
            raise InputError(f"{file}: answers another survey ({held.get('survey')}, not {key['survey']})")
        chosen = held["answers"]
        if missing := sorted(names - set(chosen)):
            raise InputError(f"{file}: lacks an answer to {', '.join(missing[:5])}")
        if wrong := [name for name, side in chosen.items() if name not in names or side not in SIDES]:
            raise InputError(f"{file}: {wrong[0]}: {chosen[wrong[0]]!r} is no answer to a question of this survey")
        subject = str(held["subject"])
        if subject in found and found[subject][1] != chosen:
            raise InputError(f"{file}: answers otherwise than {found[subject][0]}, of the same subject; remove one")
        found[subject] = (file, chosen)
    return [chosen for _, chosen in found.values()]


def _question(
    name: str, number: int, count: int, reference: Path, sides: tuple[tuple[Path, ...], tuple[Path, ...]]
) -> str:
    choices = "\n".join(
        f'<label class="choice"><input type="radio" name="{name}" value="{side}" required>'
        + "".join(_picture(file, f"Result on the {side}, {place}") for place, file in enumerate(pictures, 1))
        + f"<span>{'AB'[k]}</span></label>"
        for k, (side, pictures) in enumerate(zip(SIDES, sides, strict=True))
    )
    return (
        f'<fieldset id="{name}"><legend>{number} of {count}: {_ASKED}</legend>'
        f"<figure>{_picture(reference, 'Reference face')}<figcaption>Reference</figcaption></figure>\n{choices}</fieldset>"
    )


def _picture(file: Path, about: str) -> str:
    data = read_bytes(file)
    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
    if kind is None:
        raise InputError(f"{file}: is no PNG or JPEG")
    if len(data) > LARGEST_PICTURE:
        raise InputError(f"{file}: {len(data) >> 20} MB; a picture of a survey has at most {LARGEST_PICTURE >> 20} MB")
    return f'<img alt="{about}" src="data:{kind};base64,{base64.b64encode(data).decode()}">'


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
fieldset { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1rem; align-items: center; margin: 1.5rem 0 }
figure, .choice { margin: 0; display: flex; flex-direction: column; align-items: center; gap: .3rem; padding: .5rem }
.choice { border: 3px solid #8888; border-radius: .5rem; cursor: pointer }
.choice:has(:checked) { border-color: #2563eb }
.choice:has(:focus-visible) { outline: 3px solid #f59e0b }
/* A mesh from three sides is wide: one result below the other, each twice as wide. */
fieldset.wide { grid-template-columns: 1fr 2fr }
fieldset.wide figure { grid-row: span 2 }
fieldset.wide .choice:has(img + img) { flex-flow: row wrap; justify-content: center }
fieldset.wide .choice:has(img + img) img:first-of-type { width: 30% }
fieldset.wide .choice:has(img + img) img:last-of-type { width: 66% }
fieldset.wide .choice:has(img + img) :is(input, span) { flex: 1 0 100%; text-align: center }
@media (max-width: 40rem) {
  fieldset, fieldset.wide { grid-template-columns: 1fr 1fr }
  fieldset figure, fieldset.wide figure { grid-column: span 2; grid-row: auto; width: 60%; justify-self: center }
  fieldset.wide .choice { grid-column: span 2 }
}
html { scroll-padding-bottom: 5rem }
img { width: 100% }
footer { position: sticky; bottom: 0; padding: 1rem 0; background: Canvas; display: flex; gap: 1rem; align-items: center }
button { font: inherit; padding: .5rem 1rem }
</style>
</head>
<body>
<h1>{title}</h1>
<p>Each question shows a reference face and two results, A and B. Choose the one whose shape fits the reference better, even if
you are not sure. At the end save the answers as a file and hand it to whoever asked you; this page sends nothing.</p>
<form>
{questions}
<footer><button>Save the answers</button><output>0 of {count} answered</output></footer>
</form>
<script>
const form = document.querySelector("form"), told = form.querySelector("output")
const subject = Array.from(crypto.getRandomValues(new Uint8Array(16)), b => b.toString(16).padStart(2, "0")).join("")
const answers = () => Object.fromEntries(new FormData(form))
addEventListener("load", () => {
  for (const picture of document.images)
    if (picture.naturalWidth > 1.6 * picture.naturalHeight) picture.closest("fieldset").classList.add("wide")
})
form.addEventListener("change", () => { told.textContent = `${Object.keys(answers()).length} of {count} answered` })
form.addEventListener("submit", event => {
  event.preventDefault()
  const text = JSON.stringify({ survey: "{survey}", subject, answers: answers() })
  const link = document.createElement("a")
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }))
  link.download = `answers-${subject.slice(0, 8)}.json`
  link.click()
  told.textContent = "Saved; thank you"
})
</script>
</body>
</html>
"""
