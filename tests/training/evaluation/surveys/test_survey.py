"""A survey is built, answered and counted."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from voxface.runtime.errors import InputError
from voxface.training.evaluation.surveys.survey import Question, Survey, read_answers, survey, verdicts


def questions(folder: Path, count: int = 10) -> list[Question]:
    made: list[Question] = []
    for section, pictures in (("Images", 1), ("3D models", 1), ("Both together", 2)):
        for k in range(count):
            files: list[Path] = []
            for name in ("reference", "ours0", "theirs0", "ours1", "theirs1"):
                file = folder / f"{section}-{k}-{name}.png"
                shade = 40 + 15 * k + 2 * len(files) + len(made) % 2
                Image.new("RGB", (4, 4), (shade, len(made), len(files))).save(file)
                files.append(file)
            made.append(Question(section, files[0], tuple(files[1::2][:pictures]), tuple(files[2::2][:pictures])))
    return made


class Page(HTMLParser):
    """The radio buttons and pictures of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.choices: list[tuple[str, str]] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = dict(attrs)
        if tag == "input":
            self.choices.append((str(held["name"]), str(held["value"])))
        if tag == "img":
            self.sources.append(str(held["src"]))


@pytest.fixture
def made(tmp_path: Path) -> Survey:
    return survey(questions(tmp_path), seed=3)


def test_thirty_questions_in_three_sections(made: Survey) -> None:
    page = Page(made.page)
    assert page.choices == [(f"q{k:02d}", side) for k in range(1, 31) for side in ("left", "right")]
    assert len(page.sources) == 20 * 3 + 10 * 5
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert [q["section"] for q in made.key["questions"]] == ["Images"] * 10 + ["3D models"] * 10 + [
        "Both together"
    ] * 10
    assert "{" + "questions}" not in made.page
    assert "http" not in made.page.replace("http-equiv", "")


def test_sides_and_order_are_drawn(tmp_path: Path, made: Survey) -> None:
    asked = questions(tmp_path)
    again, other = survey(asked, seed=3), survey(asked, seed=4)
    assert (again.page, again.key) == (made.page, made.key)
    assert other.key["survey"] != made.key["survey"]
    assert {q["ours"] for q in made.key["questions"]} == {"left", "right"}
    assert [q["reference"] for q in made.key["questions"]] != [q.reference.name for q in asked]
    sides = [[q["ours"] == "left" for q in survey(asked, seed=seed).key["questions"]] for seed in range(30)]
    assert np.mean(sides) == pytest.approx(0.5, abs=0.06)


def test_the_page_does_not_tell_whose_is_whose(made: Survey) -> None:
    assert "ours" not in made.page
    assert "theirs" not in made.page


def kept(folder: Path, made: Survey, choose: Callable[[int, dict[str, Any]], str], subjects: int) -> list[Path]:
    files = []
    for subject in range(subjects):
        answers = {q["id"]: choose(subject, q) for q in made.key["questions"]}
        files.append(folder / f"answers-{subject}.json")
        files[-1].write_text(json.dumps({"survey": made.key["survey"], "subject": f"s{subject}", "answers": answers}))
    return files


def other(side: str) -> str:
    return "right" if side == "left" else "left"


def test_answers_are_counted_by_section(tmp_path: Path, made: Survey) -> None:
    def choose(subject: int, q: dict[str, Any]) -> str:
        ours = q["section"] == "Images" or (q["section"] == "3D models" and subject % 2 == 0)
        return str(q["ours"]) if ours else other(q["ours"])

    found = verdicts(read_answers(kept(tmp_path, made, choose, 20), made.key), made.key)
    assert (found["Images"].share, found["3D models"].share, found["Both together"].share) == (1, 0.5, 0)
    assert found["all"].preference.answers == 600
    assert found["Images"].preference.preferred
    assert not found["3D models"].preference.preferred
    # Subjects who always choose the same are one voice each, so the interval is that of 20 of them.
    assert found["3D models"].high - found["3D models"].low == pytest.approx(0.44, abs=0.08)


def test_always_the_left_one_prefers_nobody(tmp_path: Path, made: Survey) -> None:
    found = verdicts(read_answers(kept(tmp_path, made, lambda s, q: "left", 154), made.key), made.key)
    left = sum(q["ours"] == "left" for q in made.key["questions"])
    assert found["all"].share == left / 30


def test_saved_twice_counts_once(tmp_path: Path, made: Survey) -> None:
    (file,) = kept(tmp_path, made, lambda s, q: "left", 1)
    assert len(read_answers([file, file], made.key)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"survey": "another"}, "another survey"),
        ({"answers": {"q01": "left"}}, "lacks an answer to q02"),
        ({"answers": 3}, "no answers"),
        ({"subject": ""}, "no answers"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, made: Survey, change: dict[str, Any], message: str) -> None:
    (file,) = kept(tmp_path, made, lambda s, q: "left", 1)
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputError, match=message):
        read_answers([file], made.key)


def test_other_sides_and_files(tmp_path: Path, made: Survey) -> None:
    files = kept(tmp_path, made, lambda s, q: "left", 2)
    held = json.loads(files[0].read_text())
    files[1].write_text(json.dumps(held | {"answers": held["answers"] | {"q03": "up"}}))
    with pytest.raises(InputError, match="q03: 'up'"):
        read_answers(files, made.key)
    files[1].write_text(json.dumps(held | {"answers": held["answers"] | {"q03": "right"}}))
    with pytest.raises(InputError, match="of the same subject"):
        read_answers(files, made.key)
    files[1].write_text("{")
    with pytest.raises(InputError, match="no JSON"):
        read_answers(files, made.key)
    with pytest.raises(ValueError, match="nobody"):
        verdicts([], made.key)


def test_what_is_no_picture(tmp_path: Path) -> None:
    asked = questions(tmp_path, 1)
    asked[0].reference.write_bytes(b"GIF89a")
    with pytest.raises(InputError, match="no PNG or JPEG"):
        survey(asked, seed=0)
    with pytest.raises(ValueError, match="without questions"):
        survey([], seed=0)
    with pytest.raises(ValueError, match="beside"):
        survey([Question("a", asked[1].reference, (asked[1].reference,), ())], seed=0)
