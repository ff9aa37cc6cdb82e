"""Names of recordings, and which people are evaluated."""

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.errors import InputError
from voxface.training.data.pairs import Person
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.recordings import (
    drawn_people,
    evaluated,
    file_name,
    numbers,
    recordings_csv,
    recordings_of,
)

pytestmark = pytest.mark.train


def test_the_csv_names_every_clean_recording_once() -> None:
    pairs = small_pairs(8)
    rows = list(csv.DictReader(io.StringIO(recordings_csv(pairs).decode())))
    assert len(rows) == int(pairs.utterance_clean.sum())
    assert len({row["file"] for row in rows}) == len(rows)
    last = rows[-1]
    assert last == {
        "file": "p7/2",
        "person": "p7",
        "speaker": "s7",
        "sex": "M",
        "split": "test",
        "number": "2",
        "voiced_s": "1.40",
    }
    back = {where: u for u, where in numbers(pairs).items()}
    # 140 frames of 10 ms, the third recording of the person.
    u = back[(7, 2)]
    assert pairs.offsets[u + 1] - pairs.offsets[u] == 140
    assert pairs.utterance_person[u] == 7


def test_names_of_files_are_those_of_people_where_systems_allow() -> None:
    assert file_name("A.J._Buckley") == "A.J._Buckley"
    assert file_name("LibriSpeech-84@1.1") == "LibriSpeech-84@1.1"
    assert file_name("Jürgen Groß") == "Jürgen Groß"
    assert file_name("a/b:c%") == "a%2Fb%3Ac%25"
    assert len({file_name(name) for name in ("a/b", "a%2Fb", "a:b")}) == 3


def test_drawn_people_are_of_both_sexes() -> None:
    sexes = np.array([0] * 18 + [1, 1])
    drawn = drawn_people(np.arange(20, dtype=np.int32), sexes, 6, 0)
    assert len(drawn) == 6
    assert sexes[drawn].sum() == 2  # both men: as many of each as there are
    assert (np.diff(drawn) > 0).all()
    np.testing.assert_array_equal(drawn_people(np.arange(4, dtype=np.int32), sexes, 6, 0), np.arange(4))


def test_who_is_evaluated(tmp_path: Path) -> None:
    pairs = small_pairs(8)
    utterances, people = evaluated(Inputs(tmp_path, given_pairs=pairs))
    assert people.tolist() == [6, 7]
    np.testing.assert_array_equal(utterances, recordings_of(pairs, people))
    assert len(utterances) == 6
    assert pairs.utterance_clean[utterances].all()
    assert len(evaluated(Inputs(tmp_path, given_pairs=pairs, quick=True))[0]) == 4

    unknown = dataclasses.replace(pairs, coefficients=np.full_like(pairs.coefficients, np.nan))
    assert len(evaluated(Inputs(tmp_path, given_pairs=unknown))[0]) == 6
    with pytest.raises(InputError, match="no test people with recordings and a known face"):
        evaluated(Inputs(tmp_path, given_pairs=unknown), faces=True)
    unseen = dataclasses.replace(pairs, pictures=pairs.pictures[:1], picture_person=pairs.picture_person[:1])
    with pytest.raises(InputError, match="no test people with recordings and pictures"):
        evaluated(Inputs(tmp_path, given_pairs=unseen), pictures=True)
    train = tuple(Person(p.name, p.speaker, p.sex, "train") for p in pairs.people)
    with pytest.raises(InputError, match="no test people"):
        evaluated(Inputs(tmp_path, given_pairs=dataclasses.replace(pairs, people=train)))
