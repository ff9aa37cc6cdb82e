"""Voices of a table: labels that are known or not, and splits that follow from the speaker alone."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stand_ins.small_voices import speech_folder
from voxface.runtime.errors import InputError
from voxface.training.data.ages import years
from voxface.training.data.speaker_splits import TEST_SHARE, VALIDATION_SHARE, split_of
from voxface.training.data.speech_corpus import HELD_OUT, VALIDATION
from voxface.training.voices.listing import voices


def test_labels_are_read(tmp_path: Path) -> None:
    found = voices(speech_folder(tmp_path / "speech"))
    assert [voice.sex for voice in found[:2]] == ["F", "M"]
    assert [voice.age for voice in found[:3]] == [None, (23, 23), (13, 19)]
    assert {voice.corpus for voice in found} == {"small"}
    assert found[0].path.is_file()


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("7", (7, 7)),
        ("Twenties", (20, 29)),
        ("fourties", (40, 49)),
        ("", None),
        (None, None),
        ("0", None),
        ("old", None),
    ],
)
def test_years(text: str | None, age: tuple[int, int] | None) -> None:
    assert years(text) == age


@given(st.text(min_size=1, max_size=20))
def test_a_speaker_is_in_one_split_whatever_the_set_calls_them(speaker: str) -> None:
    assert split_of(speaker) in ("train", "validation", "test")
    assert split_of(speaker) == split_of(speaker)


def test_speakers_kept_back_before_stay_kept_back() -> None:
    assert {split_of(speaker) for speaker in HELD_OUT} == {"test"}
    assert {split_of(f"ls{speaker}") for speaker in HELD_OUT} == {"test"}
    assert {split_of(speaker) for speaker in VALIDATION} == {"validation"}


def test_shares_of_the_splits() -> None:
    splits = [split_of(f"someone{number}") for number in range(5_000)]
    assert abs(splits.count("test") / 5_000 - TEST_SHARE) < 0.02
    assert abs(splits.count("validation") / 5_000 - VALIDATION_SHARE) < 0.02


def test_a_voice_of_nobody_known_is_never_measured_on(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "speakers.csv").write_text(
        "speaker_id,file,note\n" + "".join(f"c{k},a.wav,speaker not given: one clip\n" for k in range(100))
    )
    assert {voice.split for voice in voices(tmp_path)} == {"train"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "no speakers.csv"),
        ("speaker_id,file\n", "lists no voice"),
        ("speaker_id,file\na,none.wav\n", "line 2: it needs a speaker_id and a file that is there"),
        ("file\nnone.wav\n", "line 2"),
        ("speaker_id,file\na,.\n", "line 2: it needs a speaker_id and a file that is there"),
        ('speaker_id,file\n"a\nb",a.wav\n', "line 2: a name in it has control characters"),
        ("speaker_id,file,set\na,a.wav,\x1b[31mred\n", "line 2: a name in it has control characters"),
        ("speaker_id,file,note\na,a.wav," + "x" * 200_000 + "\n", "cannot be read as a table"),
        ('speaker_id,file\n"a,a.wav\n', "line 2"),
    ],
)
def test_a_table_that_cannot_be_used_says_so(tmp_path: Path, table: str | None, message: str) -> None:
    (tmp_path / "a.wav").touch()
    if table is not None:
        (tmp_path / "speakers.csv").write_text(table)
    with pytest.raises(InputError, match=message):
        voices(tmp_path)


@pytest.mark.parametrize("begin", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_tables_as_people_save_them(tmp_path: Path, begin: str, end: str) -> None:
    (tmp_path / "a.wav").touch()
    rows = ("speaker_id,file,sex,more", 'a,"a.wav",Female,"x, y"', "b,./a.wav,m")
    (tmp_path / "speakers.csv").write_bytes((begin + end.join(rows) + end).encode())
    found = voices(tmp_path)
    assert [(voice.speaker, voice.sex) for voice in found] == [("a", "F"), ("b", "M")]


@pytest.mark.speech
def test_no_speaker_of_the_many_is_in_two_splits(shared: Path) -> None:
    listed = voices(shared / "speech/many") + voices(shared / "speech/librispeech")
    splits: dict[str, set[str]] = {}
    for voice in listed:
        splits.setdefault(voice.speaker.removeprefix("ls"), set()).add(voice.split)
    assert all(len(own) == 1 for own in splits.values())
    assert sum(voice.split == "test" for voice in listed) >= 300
