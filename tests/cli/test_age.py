"""`voxface run` and `live` with a bundle that hears ages: what they say of an adult, and of a child's voice."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.age import with_age
from voxface.runtime.bundle.bundle import Bundle


@pytest.fixture(scope="module")
def of_adults(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_age(Bundle.open()).write(tmp_path_factory.mktemp("adults") / "adults.voxface").path


@pytest.fixture(scope="module")
def of_children(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_age(Bundle.open(), child=0.97).write(tmp_path_factory.mktemp("children") / "children.voxface").path


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_an_age_is_told(of_adults: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("run", SAMPLES[0], "--bundle", of_adults, "--out", tmp_path / "out")
    assert run(*words) == 0
    assert ", about 40 years old (27 to 60), confidence" in capsys.readouterr().out
    assert "<dt>age</dt><dd>about 40 years old (27 to 60)</dd>" in (tmp_path / "out" / "report.html").read_text()
    assert run(*words, "--json", "--force") == 0
    attributes = document(capsys)["clips"][0]["attributes"]
    assert attributes["age"] == pytest.approx({"years": 40, "low": 40 / 1.5, "high": 60})
    assert attributes["child"] == pytest.approx(0.1)
    assert run("live", "--source", SAMPLES[0], "--bundle", of_adults, "--json-lines") == 0
    faces = [e for e in map(json.loads, capsys.readouterr().out.splitlines()) if e["event"] == "face"]
    assert faces
    assert all(face["attributes"]["age"]["years"] == pytest.approx(40) for face in faces)
    assert run("live", "--source", SAMPLES[0], "--bundle", of_adults, "--show", "none") == 0
    assert ", about 40 years old (27 to 60), confidence" in capsys.readouterr().out


def test_a_bundle_that_hears_no_age_says_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Bundle.open().replacing(age=None).write(tmp_path / "plain.voxface").path
    assert run("run", SAMPLES[0], "--bundle", path, "--out", tmp_path / "out", "--json") == 0
    captured = capsys.readouterr()
    attributes = json.loads(captured.out)["clips"][0]["attributes"]
    assert (attributes["age"], attributes["child"], attributes["is_child"]) == (None, None, False)
    assert captured.err == ""
    assert "<dt>age</dt>" not in (tmp_path / "out" / "report.html").read_text()


def test_a_childs_voice_gets_no_adult_face(
    of_children: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("run", SAMPLES[0], "--bundle", of_children, "--out", tmp_path / "out", "--json")
    assert run(*words) == 4
    captured = capsys.readouterr()
    (error,) = json.loads(captured.out)["errors"]
    assert (error["exit_code"], error["reason"]) == (4, "child")
    (line,) = captured.err.splitlines()
    assert (
        f"{SAMPLES[0]}: no face of a child's voice (probability: 0.97), since the faces are of adults; --any-age"
        in line
    )
    assert not (tmp_path / "out").exists()
    assert run(*words, "--any-age") == 0
    attributes = document(capsys)["clips"][0]["attributes"]
    assert (attributes["is_child"], attributes["age"]) == (True, None)
    assert "<dd>a child&#x27;s voice (97%)</dd>" in (tmp_path / "out" / "report.html").read_text()


def test_a_childs_voice_live(of_children: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("live", "--source", SAMPLES[0], "--bundle", of_children)
    assert run(*words, "--json") == 4
    captured = capsys.readouterr()
    assert json.loads(captured.out)["no_face"] == "child"
    assert "(child)" in captured.err
    assert run(*words, "--json-lines") == 4
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [e["reason"] for e in events if e["event"] == "no-face"] == ["child"]
    assert not [e for e in events if e["event"] == "face"]
    assert run(*words, "--json", "--any-age", "--record", tmp_path / "kept") == 0
    assert document(capsys)["last"]["attributes"]["is_child"]
    assert run("live", "--replay", tmp_path / "kept", "--bundle", of_children, "--json") == 0
    assert document(capsys)["replay"]["identical"]
    assert run("live", "--replay", tmp_path / "kept", "--bundle", of_children, "--any-age") == 2
    assert "leave --any-age out" in capsys.readouterr().err
