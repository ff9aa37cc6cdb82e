"""Marks from outside: what `run`, `live` and `eval` leave, what `voxface provenance` tells of it, and its exit codes."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import every_command
from tests.command_line import run
from tests.conftest import SAMPLES
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.provenance.finding import find_marks

SUFFIXES = {".png", ".glb", ".obj", ".ply", ".json", ".html"}


def assert_all_marked(folder: Path, bundle: Bundle, kinds: set[str]) -> None:
    """Every file of a known format says that it is synthetic, and by which bundle; there is one of each of these kinds."""
    files = [file for file in folder.rglob("*") if file.suffix in SUFFIXES]
    assert {file.suffix for file in files} == kinds
    for file in files:
        found = find_marks(file)
        assert found.synthetic, file
        assert (found.marks[0].bundle, found.marks[0].bundle_sha256) == (bundle.name, bundle.manifest.sha256), file


def test_all_that_run_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str], default_bundle: Bundle) -> None:
    out = tmp_path / "out"
    assert run("run", SAMPLES[0], "--out", out, "--samples", 1) == 0
    said = capsys.readouterr().out
    assert said.count(default_bundle.mark.notice) == 1
    assert_all_marked(out, default_bundle, SUFFIXES)
    document = json.loads((out / "report.json").read_text())
    assert document["synthetic"] == document["clips"][0]["synthetic"] == default_bundle.mark.to_json()
    assert default_bundle.mark.notice.replace("'", "&#x27;") in (out / "report.html").read_text()


def test_all_that_a_recording_has(tmp_path: Path, capsys: pytest.CaptureFixture[str], default_bundle: Bundle) -> None:
    live = ("live", "--source", SAMPLES[0], "--seconds", 2, "--show", "none")
    assert run(*live, "--record", tmp_path / "r") == 0
    assert capsys.readouterr().out.count(default_bundle.mark.notice) == 1
    assert_all_marked(tmp_path / "r", default_bundle, {".png", ".glb", ".json"})
    assert find_marks(tmp_path / "r" / "events.jsonl").marks[0].count > 3
    assert run(*live, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["synthetic"] == document["last"]["synthetic"] == default_bundle.mark.to_json()


def test_a_recording_without_marks_is_heard_again_as_identical(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As versions without marks have written it."""
    from voxface.runtime.face.png import picture_alone

    folder = tmp_path / "r"
    assert run("live", "--source", SAMPLES[0], "--seconds", 2, "--show", "none", "--record", folder) == 0
    for picture in (folder / "faces").iterdir():
        picture.write_bytes(picture_alone(picture.read_bytes()))
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    for event in events:
        event.pop("synthetic", None)
    (folder / "events.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    capsys.readouterr()
    assert run("live", "--replay", folder, "--show", "none", "--json") == 0
    assert json.loads(capsys.readouterr().out)["replay"]["identical"] is True


def test_morph_targets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("run", SAMPLES[0], "--out", tmp_path / "still", "--json") == 0
    assert "morph_targets" not in json.loads(capsys.readouterr().out)["clips"][0]
    assert run("run", SAMPLES[0], "--out", tmp_path / "out", "--morph-targets", "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert "jawOpen" in clip["morph_targets"]
    data = Path(clip["mesh"]).read_bytes()
    document = json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])
    assert document["meshes"][0]["extras"]["targetNames"] == clip["morph_targets"]


def test_nothing_switches_marks_off() -> None:
    for words, parser in every_command():
        options = [text for action in parser._actions for text in action.option_strings]
        parts = {part for text in options for part in text.strip("-").split("-")}
        assert not parts & {"mark", "marks", "nomark", "watermark", "synthetic"}, words


# -- voxface provenance -------------------------------------------------------------------------------------------------------


def test_good_and_bad_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], default_bundle: Bundle) -> None:
    from tests.stand_ins.sphere import sphere
    from voxface.runtime.face.mesh import vertex_normals
    from voxface.runtime.face.obj import obj

    model = sphere()
    marked, bare, other = tmp_path / "a.obj", tmp_path / "b.json", tmp_path / "c.txt"
    marked.write_bytes(
        obj(model.mean, vertex_normals(model.mean, model.triangles), model.triangles, default_bundle.mark)
    )
    bare.write_text("{}")
    other.write_text("words")
    assert run("provenance", marked, bare, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["errors"] == []
    first, second = document["files"]
    assert (first["file"], first["format"], first["synthetic"], first["by_voxface"]) == (str(marked), "OBJ", True, True)
    (mark,) = first["marks"]
    assert set(mark) == {
        *("where", "synthetic", "digital_source_type", "software", "bundle", "bundle_sha256", "notice", "signature"),
        "count",
    }
    assert second == {"file": str(bare), "format": "JSON", "synthetic": False, "by_voxface": False, "marks": []}

    assert run("provenance", other, marked, tmp_path / "none.png", "--json") == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [error["file"] for error in document["errors"]] == [str(other), str(tmp_path / "none.png")]
    assert [each["file"] for each in document["files"]] == [str(marked)]
    assert captured.err.count("voxface: error:") == 2

    assert run("provenance", marked, bare) == 0
    said = capsys.readouterr().out
    assert f"{marked}: OBJ, says that it is synthetic" in said
    assert default_bundle.mark.notice in said
    assert f"{bare}: JSON, says nothing of being synthetic" in said
    assert run("provenance") == 2


# -- signed pictures ----------------------------------------------------------------------------------------------------------


def test_signed_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("c2pa", reason="c2pa-python comes with voxface[c2pa]")
    from tests.stand_ins.signing_certificate import write_certificate

    certificate, key = write_certificate(tmp_path / "certificate")
    words = (
        "run",
        SAMPLES[0],
        "--out",
        tmp_path / "out",
        "--samples",
        1,
        "--sign-cert",
        certificate,
        "--sign-key",
        key,
    )
    assert run(*words, "--json") == 0
    pictures = sorted((tmp_path / "out").rglob("*.png"))
    assert [file.name for file in pictures] == ["face.png", "mesh.png", "samples.png", "uncertainty.png"]
    capsys.readouterr()
    assert run("provenance", *pictures, "--json") == 0
    for found in json.loads(capsys.readouterr().out)["files"]:
        (signature,) = [mark["signature"] for mark in found["marks"] if mark["signature"]]
        assert (signature["state"], signature["by"]) == ("valid", "test signer"), found["file"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (["--sign-cert", "{here}/certificate.pem"], 2),
        (["--sign-key", "{here}/key.pem"], 2),
        (["--sign-timestamps", "http://127.0.0.1:9/"], 2),
        (["--sign-cert", "{here}/none.pem", "--sign-key", "{here}/none.pem"], 3),
    ],
)
def test_signing_that_cannot_be_is_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], given: list[str], code: int
) -> None:
    pytest.importorskip("c2pa", reason="c2pa-python comes with voxface[c2pa]")
    words = [word.format(here=tmp_path) for word in given]
    assert run("run", SAMPLES[0], "--out", tmp_path / "out", *words) == code
    assert "--sign-" in capsys.readouterr().err or code == 3
    assert not (tmp_path / "out").exists()
