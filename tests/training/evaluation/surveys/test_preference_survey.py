"""`voxface eval preference`: a survey of folders of pictures is built, answered in a browser, and read."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from voxface.cli import main
from voxface.runtime.errors import InputError, UsageError
from voxface.training.evaluation.result import SuiteResult
from voxface.training.evaluation.run import read_results
from voxface.training.evaluation.surveys.preference import power
from voxface.training.evaluation.surveys.survey_files import KEY, PAGE
from voxface.training.evaluation.surveys.survey_pictures import SECTIONS, pictures_of, questions
from voxface.training.evaluation.surveys.survey_results import power_table

# What a browser needs to run without a screen, as root, and without asking its maker anything.
ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def folders(place: Path, recordings: int = 12, *, meshes: bool = True) -> dict[str, Path]:
    """Pictures of two methods and references, every one of another colour; meshes are wide."""
    found = {name: place / name for name in ("ours", "theirs", "references")}
    for number, (name, folder) in enumerate(found.items()):
        folder.mkdir(parents=True)
        for k in range(recordings):
            colour = (60 * number + 20, 15 * k + 20, 120)
            Image.new("RGB", (32, 32), colour).save(folder / f"voice{k:02d}.png")
            if meshes and name != "references":
                Image.new("RGB", (96, 32), colour).save(folder / f"voice{k:02d}.mesh.png")
    return found


def build(place: Path, *more: str) -> Path:
    given = folders(place)
    out = place / "survey"
    words = [word for name, folder in given.items() for word in (f"--{name}", str(folder))]
    assert main(["eval", "preference", *words, "--method", "method a", "--out", str(out), *more]) == 0
    return out


def answered(out: Path, file: Path, subject: str, ours: int) -> Path:
    """Answers of which the first `ours` are for ours."""
    key = json.loads((out / KEY).read_text())
    chosen = {
        q["id"]: q["ours"] if k < ours else ("right" if q["ours"] == "left" else "left")
        for k, q in enumerate(key["questions"])
    }
    file.write_text(json.dumps({"survey": key["survey"], "subject": subject, "answers": chosen}))
    return file


def test_a_survey_is_built_and_its_answers_become_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = build(tmp_path, "--json")
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "page": str(out / PAGE),
        "key": str(out / KEY),
        "survey": json.loads((out / KEY).read_text())["survey"],
        "questions": 30,
    }
    files = [answered(out, tmp_path / f"a{k}.json", f"s{k}", 20) for k in range(10)]
    assert main(["eval", "preference", "--answers", *map(str, files), "--out", str(out), "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)["results"]
    assert document == read_results(out)["preference"]
    found = SuiteResult.from_json(document)
    rows = {row.method: {name: number.value for name, number in row.values.items()} for row in found.tables[0].rows}
    # Questions stand by section: the first twenty are those of images and of 3D models.
    assert rows["method a, Images"]["answers for ours"] == 1
    assert rows["method a, Both together"]["answers for ours"] == 0
    assert rows["method a, all sections"] == {
        "answers for ours": pytest.approx(2 / 3),
        "for ours": 200,
        "answers": 300,
        "threshold": 177,
        "p-value": pytest.approx(0, abs=1e-6),
    }
    assert rows["Wu et al. 2022, Sec. 4.2: a section"] == {"answers": 1540, "threshold": 831}
    assert "all sections: method a is preferred to theirs (200 of 300 answers, threshold 177)." in found.statements
    assert (out / "preference.png").read_bytes().startswith(b"\x89PNG")
    assert "subject" in next(iter(document["per_person"]["answers for ours"]["values"]))


def test_a_survey_is_not_replaced_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = build(tmp_path)
    before = (out / PAGE).read_bytes()
    given = [w for n in ("ours", "theirs", "references") for w in (f"--{n}", str(tmp_path / n))]
    assert main(["eval", "preference", *given, "--out", str(out), "--seed", "1"]) == 2
    assert (out / PAGE).read_bytes() == before
    assert main(["eval", "preference", *given, "--out", str(out), "--seed", "1", "--force"]) == 0
    assert (out / PAGE).read_bytes() != before
    stale = answered(build(tmp_path / "other"), tmp_path / "a.json", "s", 3)
    assert main(["eval", "preference", "--answers", str(stale), "--out", str(out)]) == 3
    assert "answers another survey" in capsys.readouterr().err
    assert not (out / "preference.json").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ours", "x"), "--theirs, --references: a survey needs them"),
        (("--answers", "x", "--ours", "x"), "--ours: not with --answers"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert main(["eval", "preference", *words, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_questions_of_what_there_is(tmp_path: Path) -> None:
    given = folders(tmp_path / "faces", 30, meshes=False)
    asked = questions(given["ours"], given["theirs"], given["references"])
    assert {question.section for question in asked} == {SECTIONS[0]}
    assert len({question.reference for question in asked}) == 30
    assert all(q.reference.name == q.ours[0].name == q.theirs[0].name for q in asked)
    with pytest.raises(InputError, match="30 recordings have pictures for the section 'Images', which asks 40"):
        questions(given["ours"], given["theirs"], given["references"], count=40)
    three = folders(tmp_path / "three", 10)
    whole = questions(three["ours"], three["theirs"], three["references"])
    assert [sum(q.section == section for q in whole) for section in SECTIONS] == [10, 10, 10]
    assert {len(q.ours) for q in whole if q.section == SECTIONS[2]} == {2}
    with pytest.raises(UsageError, match="31 cannot be divided into 3 sections; ask for 30"):
        questions(three["ours"], three["theirs"], three["references"], count=31)
    for file in sorted(given["references"].iterdir()):
        file.rename(file.with_stem(f"{file.stem}x"))
    with pytest.raises(InputError, match="no recording has a picture in all three"):
        questions(three["ours"], three["theirs"], given["references"])
    with pytest.raises(InputError, match="no such folder"):
        pictures_of(tmp_path / "nowhere")


def test_folders_of_estimates(tmp_path: Path) -> None:
    (tmp_path / "voice").mkdir()
    for name in ("face", "mesh"):
        Image.new("RGB", (4, 4)).save(tmp_path / "voice" / f"{name}.png")
    assert {kind: file.name for kind, file in pictures_of(tmp_path)["voice"].items()} == {
        "face": "face.png",
        "mesh": "mesh.png",
    }


def test_power_is_that_of_the_test() -> None:
    rows = {row.method: row.values for row in power_table(1540).rows}
    assert rows["55% of the answers for ours"]["power"].value == power(1540, 0.55)
    assert rows["nobody prefers either"]["power"].value == pytest.approx(0.001, rel=0.05)
    # With so many answers the power is reached, and a hundredth fewer do not reach it.
    needed = int(rows["60% of the answers for ours"]["answers for a power of 80 %"].value)
    assert power(needed, 0.6) >= 0.8


@pytest.fixture
def browser_page(tmp_path: Path) -> Iterator[Any]:
    """A page of a headless Chromium that has a profile of its own, and the requests that it makes."""
    place = shutil.which("chromium")
    if place is None:
        pytest.skip("chromium is not installed, so that no browser answers the survey (CI installs it)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(tmp_path / "profile"),
            executable_path=place,
            headless=True,
            args=list(ARGUMENTS),
            accept_downloads=True,
            viewport={"width": 1100, "height": 900},
        )
        yield context.new_page()
        context.close()


@pytest.mark.slow
def test_a_survey_answered_in_a_browser(tmp_path: Path, browser_page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """With the mouse in one section, with the keyboard in the others; the answers are those that were chosen."""
    out = build(tmp_path)
    key = json.loads((out / KEY).read_text())
    requested, complaints = [], []
    browser_page.on("request", lambda request: requested.append(request.url))
    browser_page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    browser_page.on("pageerror", lambda error: complaints.append(str(error)))
    browser_page.goto((out / PAGE).as_uri())
    assert browser_page.locator("output").inner_text() == "0 of 30 answered"

    # Nothing is saved of a page with a question that is not answered.
    button = browser_page.get_by_role("button", name="Save the answers")
    button.click()
    assert browser_page.locator("output").inner_text() == "0 of 30 answered"

    rng = np.random.default_rng(7)
    wanted = {question["id"]: ("left", "right")[int(rng.integers(2))] for question in key["questions"]}
    for number, question in enumerate(key["questions"]):
        name, side = question["id"], wanted[question["id"]]
        radio = browser_page.locator(f"#{name} input[value={side}]")
        if question["section"] == SECTIONS[0]:
            browser_page.locator(
                f"#{name} label:has(input[value={side}]) img"
            ).click()  # on the picture, not only on the button
        else:
            browser_page.locator(f"#{name} input[value=left]").focus()
            browser_page.keyboard.press("Space" if side == "left" else "ArrowRight")
        assert radio.is_checked()
        assert browser_page.locator("output").inner_text() == f"{number + 1} of 30 answered"
    # A mind that changes counts as it ended.
    first = key["questions"][0]["id"]
    wanted[first] = "right" if wanted[first] == "left" else "left"
    browser_page.locator(f"#{first} input[value={wanted[first]}]").check()

    with browser_page.expect_download() as saved:
        button.click()
    file = tmp_path / saved.value.suggested_filename
    saved.value.save_as(file)
    held = json.loads(file.read_text())
    assert held["survey"] == key["survey"]
    assert held["answers"] == wanted
    assert browser_page.locator("output").inner_text() == "Saved; thank you"
    assert {url.split(":")[0] for url in requested} <= {"file", "data", "blob"}
    assert not complaints
    assert browser_page.locator("fieldset.wide").count() == 20

    capsys.readouterr()
    assert main(["eval", "preference", "--answers", str(file), "--out", str(out), "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)["results"]
    ours = sum(wanted[question["id"]] == question["ours"] for question in key["questions"])
    assert document["facts"]["sections"]["all"]["ours"] == ours
    assert document["facts"]["subjects"] == 1
