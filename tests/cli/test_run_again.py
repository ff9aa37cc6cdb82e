"""Results of an earlier run: never replaced unasked. Sound files of one name: told apart."""

import json
import re
from pathlib import Path

import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from tests.command_line import run
from tests.conftest import SAMPLES
from tests.stand_ins.live_session import voice
from voxface.runtime.inference.run_folders import folder_names
from voxface.runtime.inference.run_report import headings


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with results."""
    assert run("run", SAMPLES[0], "--out", tmp_path / "out") == 0
    return tmp_path / "out"


def test_the_same_run_again_needs_force(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(out)
    capsys.readouterr()
    assert run("run", SAMPLES[0], "--out", out) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert (
        captured.err
        == f"voxface: error: --out {out}: holds report.json already; --force replaces it, or give another --out\n"
    )
    assert contents(out) == before
    assert run("run", SAMPLES[1], "--out", out) == 2, "another voice, but the report is in the way"
    assert contents(out) == before
    assert run("run", SAMPLES[1], "--out", out, "--force") == 0
    document = json.loads((out / "report.json").read_text())
    assert [Path(clip["file"]) for clip in document["clips"]] == [SAMPLES[1]]
    assert contents(out / "sample_female") == contents_of(before, "sample_female"), "what this run does not write stays"


def contents_of(files: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {name.partition("/")[2]: data for name, data in files.items() if name.startswith(f"{folder}/")}


@pytest.mark.parametrize("gone", [["report.json"], ["report.json", "report.html"]])
def test_what_is_left_of_an_earlier_run_counts(out: Path, gone: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for name in gone:
        (out / name).unlink()
    assert run("run", SAMPLES[0], "--out", out) == 2
    assert f"holds {'report.html' if len(gone) == 1 else 'sample_female'} already" in capsys.readouterr().err


def test_it_is_said_before_any_work(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("run", SAMPLES[0], "--out", out, "--bundle", out / "no bundle") == 2
    assert "holds report.json" in capsys.readouterr().err


@pytest.mark.parametrize("before", [(), ("notes.txt",), ("sample_female/",), ("other/face.png",)])
def test_folders_without_results_of_ours_are_used(before: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in before:
        path = out / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_text("mine")
    assert run("run", SAMPLES[0], "--out", out) == 0
    assert all((out / name).exists() for name in before)


def test_the_second_clip_of_one_name_counts_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out" / "sample_female-2").mkdir(parents=True)
    (tmp_path / "out" / "sample_female-2" / "face.png").write_bytes(b"mine")
    assert run("run", SAMPLES[0], SAMPLES[0], "--out", tmp_path / "out") == 2
    assert "holds sample_female-2 already" in capsys.readouterr().err
    assert run("run", SAMPLES[0], "--out", tmp_path / "out") == 0, "which one clip does not write"


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "sample_female").symlink_to(tmp_path / "elsewhere")
    assert run("run", SAMPLES[0], "--out", out) == 2
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("name", ["report.json", "report.html", "sample_female"])
def test_what_cannot_be_replaced_is_said_before_any_work(
    name: str, force: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "sample_female":
        (tmp_path / name).write_text("mine")
    else:
        (tmp_path / name / "mine").mkdir(parents=True)
    assert run("run", SAMPLES[0], "--out", tmp_path, *force) == 2
    kind = "no" if name == "sample_female" else "a"
    said = f"--out {tmp_path}: holds {name}, which is {kind} folder; remove it, or give another --out"
    assert capsys.readouterr().err == f"voxface: error: {said}\n"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_out_that_is_a_link_to_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    assert run("run", SAMPLES[0], "--out", tmp_path / "out") == 2
    assert "is a link that leads nowhere; give a folder" in capsys.readouterr().err


def test_one_heading_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("anna", "ben", "ben/deep"):
        (tmp_path / folder).mkdir()
        soundfile.write(tmp_path / folder / "x.wav", voice()[:32_000], 16_000)
    soundfile.write(tmp_path / "anna" / "y.wav", voice()[:32_000], 16_000)
    assert run("run", tmp_path / "anna", tmp_path / "ben", "--out", tmp_path / "out") == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert re.findall("<h2>(.*?)</h2>", page) == ["anna/x.wav", "y.wav", "deep/x.wav", "ben/x.wav"]
    lines = capsys.readouterr().out.splitlines()[:-2]  # but for the report and what is said of all faces
    assert len({line.partition(":")[0] for line in lines}) == 4


def test_headings_by_hand() -> None:
    assert headings(["x.wav", "a/x.wav", "b/c/x.wav", "d/c/x.wav", "y.wav"]) == [
        "x.wav",
        "a/x.wav",
        "b/c/x.wav",
        "d/c/x.wav",
        "y.wav",
    ]
    assert headings(["/a/x.wav", "/a/x.wav", "/b/x.wav"]) == ["a/x.wav", "a/x.wav (2)", "b/x.wav"]
    assert headings([]) == []


NAMES = st.lists(st.sampled_from(["a", "b", "x.wav", "y.wav"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(NAMES, max_size=12), st.booleans())
def test_headings_and_folders_are_all_different(files: list[str], rooted: bool) -> None:
    files = [f"/{file}" if rooted else file for file in files]
    titles = headings(files)
    assert len(set(titles)) == len(titles)
    assert all(file.endswith(title.rpartition(" (")[0] or title) for file, title in zip(files, titles, strict=True))
    names = folder_names([Path(file) for file in files])
    assert len(set(names)) == len(names)
    assert not {"report.json", "report.html"} & set(names)
