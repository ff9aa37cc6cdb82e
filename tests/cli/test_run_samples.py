"""`voxface run --samples`: further faces of a voice, and what it leaves open."""

import json
from pathlib import Path

import pytest

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.face_posterior import with_posterior
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import FACE_POSTERIOR


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_posterior(Bundle.open()).write(tmp_path_factory.mktemp("posterior") / "with.voxface").path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / SAMPLES[0].stem).iterdir()}


def test_samples_and_what_was_told(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def clip(out: str, *more: object) -> dict:
        assert run("run", SAMPLES[0], "--bundle", bundle, "--out", tmp_path / out, "--json", *more) == 0
        (entry,) = json.loads(capsys.readouterr().out)["clips"]
        return entry

    entry = clip("a", "--samples", 3)
    folder = tmp_path / "a" / SAMPLES[0].stem
    assert entry["samples"] == [str(folder / f"sample-{k}.glb") for k in (1, 2, 3)]
    drawn = contents(tmp_path / "a")
    assert {"sample-1.glb", "sample-2.glb", "sample-3.glb", "samples.png", "uncertainty.png"} < set(drawn)
    assert len({drawn[f"sample-{k}.glb"] for k in (1, 2, 3)} | {drawn["mesh.glb"]}) == 4
    assert set(entry["measurements_sd_mm"]) == set(entry["measurements_mm"]) == set(entry["told"])
    assert all(0 < sd < 30 for sd in entry["measurements_sd_mm"].values())
    for told in (*entry["told"].values(), entry["told_of_mesh"]):
        assert told["low"] <= told["share"] <= told["high"] < 1
        assert told["within_sex"] < 0.1
    assert entry["uncertainty"]["preview"] == str(folder / "uncertainty.png")
    assert entry["uncertainty"]["rms_mm"] < entry["uncertainty"]["largest_mm"] < 30
    page = (tmp_path / "a" / "report.html").read_text()
    for words in ("what the voice told: ", "Other faces that the voice fits", "may be off, 0 to", "0 mm</span>", " ± "):
        assert words in page

    # The same seed gives the same faces, fewer of them are the first, and another seed gives others.
    assert contents(tmp_path / "a") == drawn
    clip("b", "--samples", 2)
    fewer = contents(tmp_path / "b")
    assert fewer["sample-2.glb"] == drawn["sample-2.glb"]
    clip("c", "--samples", 2, "--seed", 1)
    assert contents(tmp_path / "c")["sample-2.glb"] != drawn["sample-2.glb"]

    # What is there is refused; --force replaces it, and leaves no draw of the run before.
    assert run("run", SAMPLES[0], "--bundle", bundle, "--out", tmp_path / "a", "--samples", 1) == 2
    assert contents(tmp_path / "a") == drawn
    (folder / "sample-notes.txt").write_text("mine")
    clip("a", "--samples", 1, "--force")
    assert {name for name in contents(tmp_path / "a") if "sample" in name} == {
        "sample-1.glb", "samples.png", "sample-notes.txt",
    }  # fmt: skip
    none = clip("a", "--samples", 0, "--force")
    assert not {"samples", "told", "measurements_sd_mm"} & set(none)
    left = set(contents(tmp_path / "a"))
    assert left == {"face.png", "mesh.glb", "mesh.ply", "mesh.obj", "mesh.png", "sample-notes.txt"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--samples", "-1"), "--samples -1: 0 to 100"),
        (("--samples", "101"), "--samples 101: 0 to 100"),
        (("--samples", "1" + "0" * 40), "0 to 100"),
        (("--samples", "1", "--seed", "-1"), "--seed -1: not negative"),
        (("--samples", "many"), "invalid int value"),
    ],
)
def test_numbers_that_cannot_be(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    try:
        code = run("run", SAMPLES[0], "--bundle", bundle, "--out", tmp_path / "out", *words)
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert why in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bundle_without_the_part(default_bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = default_bundle.replacing(files={FACE_POSTERIOR: None}, face_posterior=None).write(tmp_path / "bare").path
    assert run("run", SAMPLES[0], "--bundle", bare, "--out", tmp_path / "out", "--samples", 2) == 2
    assert "no face posterior, so it is not said" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run("run", SAMPLES[0], "--bundle", bare, "--out", tmp_path / "out", "--json") == 0
    (clip,) = json.loads(capsys.readouterr().out)["clips"]
    assert not {"samples", "told", "measurements_sd_mm"} & set(clip)
    assert "what the voice told" not in (tmp_path / "out" / "report.html").read_text()
