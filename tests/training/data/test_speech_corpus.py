"""Folders of recordings: who speaks, who is kept aside, what cannot be used."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from voxface.runtime.errors import InputError
from voxface.training.data.speech_corpus import (
    HELD_OUT,
    LIBRISPEECH,
    VALIDATION,
    Corpus,
    Recording,
    corpus,
    librispeech,
    voiced_audio,
)
from voxface.training.world.splits import corpus_splits, first_by_hash, shares_by_hash, split_by_turn


def test_synthetic_people_are_split_in_turns() -> None:
    splits = [split_by_turn(i) for i in range(40)]
    assert [splits.count(split) for split in ("train", "validation", "test")] == [24, 6, 10]
    assert splits[::2] == splits[1::2]  # as many women as men in each
    assert {split_by_turn(i) for i in range(8)} == {"train", "validation", "test"}
    assert split_by_turn(0) == split_by_turn(40) == "train"


def test_other_corpora_are_split_by_hash() -> None:
    sexes = {f"w{i}": "F" for i in range(20)} | {f"m{i}": "M" for i in range(3)} | {"x1": "M"} | {}
    splits = shares_by_hash(sexes)
    women = [splits[s] for s in sexes if sexes[s] == "F"]
    men = [splits[s] for s in sexes if sexes[s] == "M"]
    assert [women.count(split) for split in ("train", "validation", "test")] == [12, 3, 5]
    assert [men.count(split) for split in ("train", "validation", "test")] == [2, 1, 1]
    assert shares_by_hash(dict(reversed(sexes.items()))) == splits
    assert shares_by_hash({"a": "F", "b": "F"}) == {"a": "train", "b": "train"}


def test_librispeech_is_split_as_it_always_was(tmp_path: Path) -> None:
    assert len(VALIDATION) == 32
    assert not VALIDATION & HELD_OUT
    recordings = tuple(Recording(s, "F", tmp_path / f"{s}-1-0000.flac") for s in ("89", "19", "32"))
    splits = corpus_splits(Corpus(LIBRISPEECH, tmp_path, recordings))
    assert splits == {"89": "test", "19": "validation", "32": "train"}
    assert corpus_splits(Corpus("mine", tmp_path, recordings)) == shares_by_hash({"89": "F", "19": "F", "32": "F"})


@pytest.mark.speech
def test_the_validation_speakers_are_the_first_by_hash(shared: Path) -> None:
    found = corpus(shared / "speech" / "librispeech")
    assert (found.name, len(found.recordings), found.left_out) == (LIBRISPEECH, 241, ())
    rest = {speaker: sex for speaker, sex in found.sexes.items() if speaker not in HELD_OUT}
    assert first_by_hash("validation", rest, 16) == VALIDATION
    assert sum(found.sexes[s] == "F" for s in VALIDATION) == 16


def test_a_folder_of_speakers(speech: Path) -> None:
    (speech / "stranger").mkdir()
    shutil.copy(speech / "s0" / "a.wav", speech / "stranger")
    with (speech / "speakers.csv").open("a") as table:
        table.write("gone,F\nodd,X\n")
    found = corpus(speech)
    assert found.name == "corpus"
    assert [r.speaker for r in found.recordings].count("s1") == 3  # the unreadable ones show when they are read
    assert found.sexes == {f"s{i}": "FM"[i % 2] for i in range(8)}
    assert {left.file for left in found.left_out} == {"gone", "odd", "stranger"}


def test_a_table_of_recordings(speech: Path) -> None:
    lines = ["s0,female,s0/a.wav", "s1,m,s1/a.wav", "s2,F,gone.wav", "s3,?,s3/a.wav", ",F,s4/a.wav", "s0,F,s0/a.wav"]
    (speech / "speakers.csv").write_text("\n".join(["speaker_id,sex,file", *lines]))
    found = corpus(speech)
    assert [(r.speaker, r.sex, found.within(r.path)) for r in found.recordings] == [
        ("s0", "F", "s0/a.wav"),
        ("s1", "M", "s1/a.wav"),
    ]
    assert [left.reason for left in found.left_out] == [
        "speakers.csv, line 4: the file is not there",
        "speakers.csv, line 5: sex '?' is not F or M",
        "speakers.csv, line 6: no speaker_id",
        "speakers.csv, line 7: the file is listed twice",
    ]


def test_a_folder_that_was_on_a_mac(speech: Path) -> None:
    """ "._NAME" beside each recording, and a table with a mark and the ends of lines of old Macs."""
    expected = corpus(speech)
    for recording in expected.recordings:
        beside = recording.path.with_name(f"._{recording.path.name}")
        beside.write_bytes(bytes.fromhex("0005160700020000") + bytes(200))
    os.mkfifo(speech / "s0" / "pipe.wav")
    table = (speech / "speakers.csv").read_text()
    (speech / "speakers.csv").write_bytes(("\ufeff" + table.replace("\n", "\r")).encode())
    found = corpus(speech)
    assert found.recordings == expected.recordings
    assert not found.left_out


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, r"no speakers\.csv in it; write one, columns speaker_id, sex"),
        ("name,gender\ns0,F\n", "it needs columns speaker_id, sex"),
        ("speaker_id,sex,file\n", "names no recording"),
        ("speaker_id,sex,file\ns0,F,gone.wav\n", "names no recording that is there; gone.wav"),
        ("speaker_id,sex,file\ns0,F,s0/a.wav\ns0,M,s1/a.wav\n", "both F and M"),
        (b"\xff\xfe\x00", "is text in UTF-16"),
    ],
)
def test_what_is_no_corpus(speech: Path, table: str | bytes | None, message: str) -> None:
    if table is None:
        (speech / "speakers.csv").unlink()
    else:
        (speech / "speakers.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    with pytest.raises(InputError, match=message):
        corpus(speech)
    with pytest.raises(InputError, match="no such folder"):
        corpus(speech / "gone")


@pytest.mark.speech
def test_held_out_speakers_are_there_and_balanced(shared: Path) -> None:
    recordings = librispeech(shared / "speech" / "librispeech")
    held = {r.speaker: r.sex for r in recordings if r.held_out}
    assert set(held) == HELD_OUT
    assert sum(sex == "F" for sex in held.values()) == sum(sex == "M" for sex in held.values()) == 26
    assert len({r.speaker for r in recordings if not r.held_out}) == 153


def test_a_table_that_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no speakers\.csv"):
        librispeech(tmp_path)
    (tmp_path / "speakers.csv").write_text("speaker_id,sex,file\n1,F,gone.flac\n")
    with pytest.raises(InputError, match="line 2"):
        librispeech(tmp_path)


def test_voiced_audio_is_what_the_runtime_keeps() -> None:
    root = Path(__file__).parent.parent.parent.parent / "examples"
    kept = voiced_audio(root / "sample_male.flac")
    assert 4 * 16_000 < len(kept) <= 8 * 16_000
    assert kept.dtype == np.int16
