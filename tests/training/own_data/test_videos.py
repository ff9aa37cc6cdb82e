"""Videos as a source of both sound and pictures."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.stand_ins.own_people import HEAD, SPEECH, landmark_graph
from voxface.runtime.errors import InputError, ProviderError
from voxface.training.faces.camera import Pose
from voxface.training.faces.prior import Prior
from voxface.training.own_data.config import OwnDataConfig
from voxface.training.own_data.listing import list_people
from voxface.training.own_data.photographs import DetectorChoice
from voxface.training.own_data.preparation import prepare_people
from voxface.training.own_data.splits import splits
from voxface.training.own_data.video_frames import frames, require_ffmpeg

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed (make system-packages does)"),
]


def video(file: Path, *, sound: Path | None = None, edge: int = 40) -> Path:
    """A video of 80×60 px at 10 pictures a second; that of second n has about the grey 40 · (n + 1), and is
    lighter right of an edge."""
    file.parent.mkdir(parents=True, exist_ok=True)
    grey = f"nullsrc=s=80x60:r=10:d=3,format=gray,geq=lum='40*(1+floor(T))+8*gt(X\\,{edge})'"
    words = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi", "-i", grey]
    if sound is not None:
        words += ["-i", str(sound), "-c:a", "aac", "-b:a", "192k"]
    subprocess.run([*words, "-c:v", "mpeg4", "-q:v", "1", file], check=True)
    return file


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi", "a.mkv"])
def test_so_many_pictures_of_a_second(tmp_path: Path, name: str) -> None:
    file = video(tmp_path / name)
    once = list(frames(file, 1))
    assert [seconds for seconds, _ in once] == [0, 1, 2]
    assert {picture.shape for _, picture in once} == {(60, 80, 3)}
    assert len(list(frames(file, 2))) == 6
    levels = np.array([picture[:, 45:].mean() for _, picture in frames(file, 10)])
    assert len(levels) == 30
    assert (np.diff(levels) > -2).all()
    assert np.ptp(levels) > 60
    first = once[0][1].astype(int)
    assert first[:, 60].mean() - first[:, 20].mean() > 4  # the right half is lighter


def test_a_video_is_turned_as_it_says(tmp_path: Path) -> None:
    file = video(tmp_path / "a.mp4")
    data = file.read_bytes()
    # The matrix in the track's header (ISO 14496-12, §8.3.2): a quarter of a turn in the place of none.
    still, turned = (b"".join(n.to_bytes(4, "big", signed=True) for n in (*four, 0, 0, 0, 1 << 30)) for four in (
        (1 << 16, 0, 0, 0, 1 << 16), (0, 1 << 16, 0, -(1 << 16), 0)
    ))  # fmt: skip
    at = data.index(still, data.index(b"tkhd"))
    file.write_bytes(data[:at] + turned + data[at + len(still) :])
    assert {picture.shape for _, picture in frames(file, 1)} == {(80, 60, 3)}


def test_what_is_no_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = video(tmp_path / "a.mp4")
    (tmp_path / "text.mp4").write_text("no video" * 100)
    (tmp_path / "half.mp4").write_bytes(good.read_bytes()[:900])
    cut = tmp_path / "cut.avi"
    data = video(tmp_path / "whole.avi").read_bytes()
    cut.write_bytes(data[: len(data) * 8 // 10])
    sound = tmp_path / "sound.wav"
    soundfile.write(sound, SPEECH[0], 16_000)
    only = tmp_path / "only.mp4"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", sound, "-c:a", "aac", only], check=True)
    for file, message in (
        (tmp_path / "gone.mp4", "no such file"), (tmp_path / "text.mp4", "no video that is read"), (only, "without pictures"),
        (sound, r"no video that is read \(WAV\)"),
        (tmp_path / "half.mp4", "ffmpeg says moov"),  # without an address, which each run has another one of
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            list(frames(file, 1))
    # What comes before the cut is there.
    seen = [picture for (_, picture), _ in zip(frames(cut, 10), range(100), strict=False)]
    assert 3 < len(seen) < 30
    # A reader who wants no more leaves no process.
    some = frames(good, 10)
    next(some)
    some.close()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="ffmpeg, which is not on PATH; install it"):
        list(frames(good, 1))
    require_ffmpeg([tmp_path / "a.jpg"])
    with pytest.raises(
        ProviderError, match=r"a\.mp4: videos are read through the program ffmpeg, which is not on PATH"
    ):
        require_ffmpeg([tmp_path / "a.jpg", good])
    fake = tmp_path / "ffmpeg"
    fake.write_text(
        "#!/bin/sh\necho something else entirely, and at such a length that no header of a picture has it\n"
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    with pytest.raises(InputError, match="writes no PPM; is it ffmpeg"):
        list(frames(good, 1))


def test_one_folder_of_videos_is_both_voices_and_pictures(tmp_path: Path) -> None:
    for number, name in enumerate(("anna", "bert")):
        sound = tmp_path / "sound.wav"
        soundfile.write(sound, SPEECH[number], 16_000)
        video(tmp_path / "people" / name / "clip.mp4", sound=sound, edge=30 + 20 * number)
    (tmp_path / "people.csv").write_text("person,sex\nanna,F\nbert,M\n")
    found = list_people(tmp_path / "people", tmp_path / "people", tmp_path / "people.csv")
    pose = Pose.from_angles(np.zeros((1, 3)), np.full(1, 0.3), np.array([[30.0, 30.0]]))
    graph = landmark_graph(tmp_path / "front.onnx", pose)
    pairs, rejected = prepare_people(
        found, splits(found.people, "hash"), OwnDataConfig(DetectorChoice(f"onnx:{graph}", crops=True), frames=2), HEAD,
        Prior.unit(HEAD.modes), tmp_path / "pairs", tmp_path / "work", name="own",
    )  # fmt: skip
    assert len(pairs.utterance_person) == 2
    assert all("clip.mp4 at" in left.file and "the same picture as clip.mp4 at" in left.reason for left in rejected)
    assert len(pairs.pictures) + len(rejected) == 12
    assert set(pairs.picture_person.tolist()) == {0, 1}
    assert pairs.about["references"]["anna"].startswith("clip.mp4 at ")
    assert pairs.fits is not None
    assert len(pairs.fits) == len(pairs.pictures)
