"""Pickled lists of trials: written as evaluations write them, read without running them."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxface.runtime.errors import InputError
from voxface.training.evaluation.matching.pickled_trial_lists import (
    read_pickled_matching,
    read_pickled_retrieval,
    read_pickled_verification,
)
from voxface.training.evaluation.matching.trial_lists import MatchingTrial, VerificationTrial


def kept(folder: Path, value: Any, protocol: int = 4) -> Path:
    file = folder / "list.pkl"
    file.write_bytes(pickle.dumps(value, protocol))
    return file


@pytest.mark.parametrize("protocol", range(6))
def test_matching_one_of_two(tmp_path: Path, protocol: int) -> None:
    ann, bob = np.array(["Ann", "Bob"])  # as numpy.random.choice draws them
    trial = (ann, "a/1.wav", "a/2.jpg", bob, "b/3.wav", "b/4.jpg")
    file = kept(tmp_path, {"wav_set": {"a/1.wav"}, "jpg_set": {"a/2.jpg"}, "match_list": [trial]}, protocol)
    assert read_pickled_matching(file) == (
        [MatchingTrial("a/1.wav", "a/2.jpg", ("b/4.jpg",))],
        [MatchingTrial("a/2.jpg", "a/1.wav", ("b/3.wav",))],
    )


def test_matching_one_of_many(tmp_path: Path) -> None:
    file = kept(tmp_path, {"match_list": [[["v0", "v1", "v2"], ["f0", "f1", "f2"]]]})
    assert read_pickled_matching(file) == (
        [MatchingTrial("v0", "f0", ("f1", "f2"))],
        [MatchingTrial("f0", "v0", ("v1", "v2"))],
    )


def test_verification(tmp_path: Path) -> None:
    file = kept(tmp_path, {"list": [["v", "f", 1], ["v", "g", np.int64(0)]], "script": "import os"})
    assert read_pickled_verification(file) == [VerificationTrial("v", "f", True), VerificationTrial("v", "g", False)]


def test_retrieval(tmp_path: Path) -> None:
    file = kept(tmp_path, {"retrieval_lists": [[("v", "f", "Ann"), ("w", "g", np.str_("Bób"))], [("x", "h", "Cy")]]})
    assert read_pickled_retrieval(file) == [[("Ann", "v", "f"), ("Bób", "w", "g")], [("Cy", "x", "h")]]


class Runs:
    """Its pickle would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.folder,)


def test_nothing_is_run(tmp_path: Path) -> None:
    made = tmp_path / "made"
    file = kept(tmp_path, {"list": [["v", Runs(made), 1]]})
    with pytest.raises(InputError, match="item 0 of 'list' is no trial"):
        read_pickled_verification(file)
    assert not made.exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "no dictionary"),
        ({"list": []}, "it holds: list"),
        ({"match_list": []}, "holds no 'match_list'"),
        ({"match_list": [("a", "b")]}, "two or more of each|expected"),
        ({"match_list": [(["v"], ["f"])]}, "two or more of each"),
        ({"match_list": [(["v", "w"], ["f"])]}, "2 voices, 1 faces"),
        ({"match_list": [(1, 2, 3, 4, 5, 6)]}, "expected"),
        ({"match_list": [7]}, "expected"),
    ],
)
def test_what_is_no_list(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_pickled_matching(kept(tmp_path, value))


@pytest.mark.parametrize(
    "item", [["v", "f", 2], ["v", "f"], ["v", 1, 0], "vf1", ["v", "f", [1]], ["v", "f", np.array([1, 0])]]
)
def test_what_is_no_verification(tmp_path: Path, item: Any) -> None:
    with pytest.raises(InputError, match="no trial"):
        read_pickled_verification(kept(tmp_path, {"list": [item]}))


@pytest.mark.parametrize("lists", [[[("v", "f")]], [7], [[3]]])
def test_what_is_no_retrieval(tmp_path: Path, lists: Any) -> None:
    with pytest.raises(InputError, match="no trial"):
        read_pickled_retrieval(kept(tmp_path, {"retrieval_lists": lists}))


def test_cut_anywhere(tmp_path: Path) -> None:
    whole = pickle.dumps({"list": [["v", "f", 1], ["v", np.str_("g"), 0]]})
    file = tmp_path / "cut.pkl"
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_pickled_verification(file)
