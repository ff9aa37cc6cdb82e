"""A miniature VoxCeleb goes through `association`: lists as they are published, synthetic sound and renders."""

import csv
import os
import pickle
import time
import tracemalloc
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.small_voxceleb import Listed, SmallVoxCeleb, small_voxceleb, write_embeddings, write_splits
from tests.stand_ins.small_worlds import synthetic
from voxface.runtime.errors import InputError, UsageError
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching import association_pairs, public_list_scores
from voxface.training.evaluation.matching.association_findings import strata_of
from voxface.training.evaluation.matching.association_space import Space, one_of, search, verify
from voxface.training.evaluation.matching.embeddings_file import EmbeddingsFile, Vectors
from voxface.training.evaluation.matching.public_list_scores import score_matching
from voxface.training.evaluation.matching.public_lists import ListFile, PublicLists
from voxface.training.evaluation.matching.trial_lists import (
    matching_columns,
    read_matching,
    read_retrieval,
    read_verification,
)
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig, PictureJudge
from voxface.training.evaluation.result import Measured, SuiteResult
from voxface.training.evaluation.run import run_suites
from voxface.training.evaluation.suites.association import run
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.synthetic import SyntheticConfig

WIDTH = 256


@pytest.fixture(scope="module")
def people() -> dict[str, Listed]:
    """Names and ids of the public lists where they are; else names that say that they are none. Genders take turns."""
    protocols = Path(os.environ.get("VOXFACE_SHARED", "../shared/data")) / "protocols"
    if not protocols.is_dir():
        places = ("Ireland", "India", "USA")
        return {
            f"Person_{k:03d}": Listed(f"id1{k:04d}", "fm"[k % 2], places[k % 3], "4" if k < 40 else "1")
            for k in range(60)
        }
    parts = dict(line.split() for line in (protocols / "Splits_identity_splits.txt").read_text().splitlines())
    rows = list(csv.DictReader((protocols / "vox1_meta.csv").open(), delimiter="\t"))
    found: dict[str, Listed] = {}
    for part, count in (("4", 20), ("1", 10)):
        by_gender = [[r for r in rows if r["Gender"] == g and parts[r["VGGFace1 ID"]] == part][:count] for g in "fm"]
        for row in (row for two in zip(*by_gender, strict=True) for row in two):
            found[row["VGGFace1 ID"]] = Listed(row["VoxCeleb1 ID"], row["Gender"], row["Nationality"], part)
    return found


@pytest.fixture(scope="module")
def small(people: dict[str, Listed], tmp_path_factory: pytest.TempPathFactory) -> SmallVoxCeleb:
    return small_voxceleb(tmp_path_factory.mktemp("lists"), people)


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Synthetic sound and renders; a quarter of the people are test people."""
    return synthetic(SyntheticConfig(people=40, utterances=1, seconds=1.6, variants=0, pictures=PictureConfig(each=1)))


def vectors(
    whose: Mapping[str, int], people: NDArray[np.float32], known: float, seed: int
) -> dict[str, NDArray[np.float32]]:
    """Of a share of the paths the person's vector, of the others noise; which are known depends on the person alone."""
    rng = np.random.default_rng(seed)
    sure = np.random.default_rng(9).permutation(len(people)) < known * len(people)
    return {path: people[k] if sure[k] else rng.normal(size=WIDTH).astype(np.float32) for path, k in whose.items()}


def embeddings(file: Path, small: SmallVoxCeleb, known: float) -> Path:
    people = np.random.default_rng(1).normal(size=(len(small.names), WIDTH)).astype(np.float32)
    return write_embeddings(file, vectors(small.voices, people, known, 2), vectors(small.faces, people, known, 3))


def ours(found: SuiteResult, table: str) -> dict[str, Measured]:
    (rows,) = (t.rows for t in found.tables if t.name == table)
    return dict(rows[0].values)


def scored(tmp_path: Path, small: SmallVoxCeleb, known: float) -> SuiteResult:
    file = embeddings(tmp_path / "system.npz", small, known)
    return run(Inputs(out=tmp_path, lists=small.folder, embeddings=file, quick=True))


def test_oracle_vectors_are_always_right(tmp_path: Path, small: SmallVoxCeleb) -> None:
    found = scored(tmp_path, small, 1.0)
    assert {number.value for number in ours(found, "matching").values()} == {1.0}
    assert len(ours(found, "matching")) == 4
    assert {k: n.value for k, n in ours(found, "verification").items()} == {"AUC, anybody": 1.0, "EER, anybody": 0.0}
    assert {number.value for number in ours(found, "retrieval-u").values()} == {1.0}
    assert {number.value for number in ours(found, "n-way-v2f").values()} == {1.0}
    assert set(found.per_person["1:2 matching, voice → face, anybody"].values) == set(small.names)


def test_random_vectors_give_chance(tmp_path: Path, small: SmallVoxCeleb) -> None:
    found = scored(tmp_path, small, 0.0)
    for table in ("matching", "verification", "retrieval-u", "retrieval-g", "n-way-v2f", "n-way-f2v"):
        (rows,) = (t.rows for t in found.tables if t.name == table)
        chance = next(row.values for row in rows if row.method == "chance")
        for name, number in rows[0].values.items():
            assert number.low is not None
            assert number.high is not None
            spread = number.high - number.low
            assert abs(number.value - chance[name].value) < spread, (table, name, number, chance[name])


def test_a_mix_gives_what_is_expected(tmp_path: Path, small: SmallVoxCeleb) -> None:
    """Of half the people the vectors are known: their trials are right, and those of the others are even."""
    found = scored(tmp_path, small, 0.5)
    for number in ours(found, "matching").values():
        assert number.value == pytest.approx(0.75, abs=0.04)
    assert ours(found, "n-way-v2f")["1 of 5"].value == pytest.approx(0.5 + 0.5 / 5, abs=0.04)
    # Of same pairs half score 1 and the rest even with different ones.
    assert ours(found, "verification")["AUC, anybody"].value == pytest.approx(0.75, abs=0.05)


def test_knowing_the_sex_alone(tmp_path: Path, small: SmallVoxCeleb, people: dict[str, Listed]) -> None:
    sexes = {gender: np.eye(WIDTH, dtype=np.float32)[k] for k, gender in enumerate("fm")}
    of = [sexes[people[name].gender] for name in small.names]
    file = write_embeddings(
        tmp_path / "sex.npz", {p: of[k] for p, k in small.voices.items()}, {p: of[k] for p, k in small.faces.items()}
    )
    found = run(Inputs(out=tmp_path, lists=small.folder, embeddings=file, quick=True))
    for name in ("matching", "verification"):
        (rows,) = (t.rows for t in found.tables if t.name == name)
        alone = next(row.values for row in rows if row.method.startswith("the sex alone"))
        assert {k: n.value for k, n in rows[0].values.items()} == pytest.approx({k: n.value for k, n in alone.items()})
    assert ours(found, "matching")["voice → face, same sex"].value == 0.5
    assert any("lies below" in sentence for sentence in found.statements)


@dataclass
class Oracle:
    """A subject whose picture of a voice is a picture of its person, for a share of them."""

    pairs: Pairs
    known: float
    name: str = "stand-in"
    digest: str = "0" * 64
    makes: frozenset[str] = field(default_factory=lambda: frozenset({"faces"}))

    def faces(self, utterances: Any) -> NDArray[np.uint8]:
        rng = np.random.default_rng(4)
        who = self.pairs.utterance_person[np.asarray(utterances)]
        mixed = np.where(rng.random(len(who)) < self.known, who, rng.permutation(who))
        return np.asarray(self.pairs.pictures[np.array([self.pairs.pictures_of[int(i)][0] for i in mixed])])

    def coefficients(self, utterances: Any) -> NDArray[np.float32]:
        raise AssertionError("it makes no meshes")

    def vertices(self, utterances: Any) -> NDArray[np.float32]:
        raise AssertionError("it makes no meshes")


@pytest.fixture
def hasty_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that has hardly learnt: two pictures that are one look alike to it all the same."""
    config = JudgeConfig(channels=(4, 4, 4, 8, 8), embedding=16, steps=2)
    monkeypatch.setattr(association_pairs, "picture_judge", lambda inputs: PictureJudge.train(inputs.pairs, config))


@pytest.mark.slow
@pytest.mark.usefixtures("hasty_judge")
def test_sound_and_renders_through_both_ways_in(tmp_path: Path, small: SmallVoxCeleb, pairs: Pairs) -> None:
    file = embeddings(tmp_path / "system.npz", small, 1.0)
    inputs = Inputs(
        out=tmp_path / "out",
        given_pairs=pairs,
        predictions=Oracle(pairs, 1.0),
        lists=small.folder,
        embeddings=file,
        quick=True,
    )
    ((document,), failed) = run_suites(("association",), inputs, "voxface eval association")
    assert not failed
    found = SuiteResult.from_json(document)
    assert {number.value for number in ours(found, "matching").values()} == {1.0}
    assert {number.value for number in ours(found, "people-matching").values()} == {1.0}
    assert ours(found, "people-retrieval-u")["voice → face mAP"].value == 1.0
    assert (tmp_path / "out" / "association-people-n-way.png").read_bytes().startswith(b"\x89PNG")
    assert document["test_use"] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("hasty_judge")
def test_pictures_of_anybody_give_chance(tmp_path: Path, pairs: Pairs) -> None:
    found = run(Inputs(out=tmp_path, given_pairs=pairs, predictions=Oracle(pairs, 0.0), quick=True))
    number = ours(found, "matching")["voice → face, anybody"]
    assert number.low is not None
    assert number.high is not None
    assert number.low - 0.1 < 0.5 < number.high + 0.1
    with pytest.raises(UsageError, match="makes no pictures"):
        run(Inputs(out=tmp_path, given_pairs=pairs, predictions=Oracle(pairs, 0.0, makes=frozenset({"meshes"}))))


def test_people_who_are_learnt_from_are_refused(
    tmp_path: Path, small: SmallVoxCeleb, people: dict[str, Listed]
) -> None:
    leaky = small_voxceleb(tmp_path / "lists", people)
    first = leaky.names[0]
    write_splits(leaky.folder, {**people, first: people[first]._replace(part="1")})
    file = embeddings(tmp_path / "system.npz", leaky, 1.0)
    with pytest.raises(InputError, match=f"{first} are both learnt from and evaluated"):
        run(Inputs(out=tmp_path, lists=leaky.folder, embeddings=file))
    write_splits(leaky.folder, {name: of for name, of in people.items() if name != first})
    with pytest.raises(InputError, match="name no such person"):
        run(Inputs(out=tmp_path, lists=leaky.folder, embeddings=file))


def test_a_list_of_people_heard_says_so(tmp_path: Path, people: dict[str, Listed]) -> None:
    small = small_voxceleb(tmp_path / "lists", people)
    source = small.folder / "veriflist_test_random_unseenunheard.txt"
    source.rename(small.folder / "veriflist_test_random_seenheard.txt")
    file = embeddings(tmp_path / "system.npz", small, 1.0)
    with pytest.raises(InputError, match="is not in the training part, though it is a list of people heard"):
        run(Inputs(out=tmp_path, lists=small.folder, embeddings=file))
    for other in small.folder.glob("[mwj]*_*.csv"):
        other.unlink()
    write_splits(small.folder, {name: of._replace(part="1") for name, of in people.items()})
    found = run(Inputs(out=tmp_path, lists=small.folder, embeddings=file))
    assert ours(found, "verification")["AUC, anybody, people heard in training"].value == 1


def test_a_list_that_lacks_vectors_is_left_out_whole(tmp_path: Path, small: SmallVoxCeleb) -> None:
    one = np.ones((1, 4), np.float32)
    matched = {path: one[0] for path in small.voices if path.startswith("id")}
    faces = {path: one[0] for path in small.faces if "/1.6/" in path}
    found = run(
        Inputs(
            out=tmp_path,
            lists=small.folder,
            embeddings=write_embeddings(tmp_path / "a.npz", matched, faces),
            quick=True,
        )
    )
    assert any(sentence.startswith("veriflist") and "no vector of" in sentence for sentence in found.missing)
    assert {number.value for number in ours(found, "matching").values()} == {0.5}  # all alike: half right
    lacking = write_embeddings(tmp_path / "b.npz", {"x": one[0]}, {"y": one[0]})
    with pytest.raises(InputError, match="no list can be scored"):
        run(Inputs(out=tmp_path, lists=small.folder, embeddings=lacking))


@pytest.mark.slow
def test_pickled_lists_give_the_same(tmp_path: Path, small: SmallVoxCeleb, people: dict[str, Listed]) -> None:
    numbers = {people[name].number: name for name in small.names}
    folder = tmp_path / "pickled"
    write_splits(folder, people)
    trials = read_matching(small.folder / "matching_v2f_U.csv")
    rows = []
    for trial in trials[:500]:
        person, other = numbers[trial.probe.split("/")[0]], trial.wrong[0].split("/")[0]
        other_voice = next(path for path in small.voices if path.startswith(people[other].number))
        rows.append((person, trial.probe, trial.right, other, other_voice, trial.wrong[0]))
    (folder / "matching.pkl").write_bytes(pickle.dumps({"match_list": rows}))
    verified = read_verification(small.folder / "veriflist_test_random_unseenunheard.txt")
    (folder / "verification.pkl").write_bytes(
        pickle.dumps({"list": [(t.voice, t.face, int(t.same)) for t in verified]})
    )
    wav, jpg = ({path: of for of, path in read_retrieval(small.folder / f"{stem}_20k.csv")} for stem in ("wav", "jpg"))
    gallery = [(voice, face, numbers[of]) for voice, of in wav.items() for face, other in jpg.items() if of == other]
    (folder / "retrieval.pkl").write_bytes(pickle.dumps({"retrieval_lists": [gallery]}))
    file = embeddings(tmp_path / "system.npz", small, 0.5)
    pickled = run(Inputs(out=tmp_path, lists=folder, embeddings=file, quick=True))
    plain = run(Inputs(out=tmp_path, lists=small.folder, embeddings=file, quick=True))
    assert ours(pickled, "verification") == ours(plain, "verification")
    assert (
        ours(pickled, "retrieval-u")["voice → face mAP"].value == ours(plain, "retrieval-u")["voice → face mAP"].value
    )
    assert ours(pickled, "matching")["voice → face, anybody"].value == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"voices": np.ones((2, 4))}, "lacks voice_paths, face_paths, faces"),
        ({"voice_paths": np.array(["a", "a"])}, "names a twice"),
        ({"voices": np.zeros((2, 4))}, "the vector of a is zero"),
        ({"voices": np.full((2, 4), np.nan)}, "not finite"),
        ({"voices": np.ones((3, 4))}, r"real numbers \[2, E\] are expected"),
        ({"faces": np.ones((2, 5))}, "voices have 4 numbers and faces 5"),
        ({"voice_paths": np.arange(2)}, "a row of texts is expected"),
    ],
)
def test_what_is_no_file_of_vectors(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    whole = {
        "voice_paths": np.array(["a", "b"]),
        "voices": np.ones((2, 4)),
        "face_paths": np.array(["c", "d"]),
        "faces": np.ones((2, 4)),
    }
    file = tmp_path / "a.npz"
    np.savez(file, **(arrays if message.startswith("lacks") else whole | arrays))
    with pytest.raises(InputError, match=message):
        EmbeddingsFile.read(file)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="association needs --data"):
        run(Inputs(out=tmp_path))
    with pytest.raises(UsageError, match="give both"):
        run(Inputs(out=tmp_path, lists=tmp_path))
    with pytest.raises(InputError, match="nobody knows who was learnt from"):
        PublicLists.read(tmp_path)
    (tmp_path / "identity_splits.txt").write_text("Person_000 4\n")
    with pytest.raises(InputError, match="no list of trials"):
        PublicLists.read(tmp_path)
    (tmp_path / "identity_splits.txt").write_text("Person_000 nine\n")
    with pytest.raises(InputError, match="a name and a part"):
        PublicLists.read(tmp_path)


def test_strata_leave_out_people_of_whom_nothing_is_known() -> None:
    found = strata_of({"G": ["f", "m", "f"], "N": ["", "USA", "USA"], "A": ["", "", ""]})
    assert found == {
        "": None,
        "G": {0: ("f",), 1: ("m",), 2: ("f",)},
        "N": {1: ("USA",), 2: ("USA",)},
        "GN": {1: ("m", "USA"), 2: ("f", "USA")},
    }


def test_a_gallery_of_one_person_tells_nothing() -> None:
    eye = np.eye(3, dtype=np.float32)
    space = Space(eye, np.arange(3), eye, np.arange(3), ("a", "b", "c"))
    found = search(space, "v2f", {0: "x", 1: "x", 2: "y"})
    assert found is not None
    assert set(found.by_person) == {"a", "b"}
    assert found.chance["R@1"] == 0.5
    assert search(space, "v2f", {0: "x", 1: "y", 2: "z"}) is None
    assert one_of(space, "v2f", 4, None, trials=10) is None
    both = verify(space, {0: "x", 1: "x"})
    assert both is not None
    assert both[0].auc.trials == 4


@pytest.mark.slow
def test_the_public_lists_whole(tmp_path: Path, shared: Path) -> None:
    """Every list, with vectors that know the person: all of the test people, and of nobody else."""
    folder = shared / "protocols"
    lists = PublicLists.read(folder)
    counts = {part: sum(p.part == part for p in set(lists.people.values())) for part in ("train", "validation", "test")}
    assert counts == {"train": 901, "validation": 100, "test": 250}
    voices, faces = set[str](), set[str]()
    for one in lists.lists:
        if one.task == "retrieval":
            for side, file in zip((voices, faces), one.files, strict=True):
                side.update(path for _, path in read_retrieval(file))
        elif one.task == "verification":
            for trial in read_verification(one.files[0]):
                voices.add(trial.voice)
                faces.add(trial.face)
        else:
            for match in read_matching(one.files[0]):
                probes, others = (voices, faces) if one.direction == "v2f" else (faces, voices)
                probes.add(match.probe)
                others.update((match.right, *match.wrong))
    rng = np.random.default_rng(0)
    of = {person.name: rng.normal(size=32).astype(np.float32) for person in lists.people.values()}
    by = [{path: of[lists.people[path.split("/")[0]].name] for path in sorted(side)} for side in (voices, faces)]
    found = run(
        Inputs(
            out=tmp_path, lists=folder, embeddings=write_embeddings(tmp_path / "oracle.npz", by[0], by[1]), quick=True
        )
    )
    assert len(found.facts["lists"]) == 10
    assert {number.value for number in ours(found, "matching").values()} == {1.0}
    assert all(n.value == pytest.approx(1) for name, n in ours(found, "verification").items() if name.startswith("AUC"))
    assert ours(found, "retrieval-u")["voice → face mAP"].value == 1.0
    assert ours(found, "retrieval-u")["voice → face mAP"].trials == 20_000


@pytest.mark.slow
def test_many_trials_in_flat_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the 2,353,560 trials of Wen et al. 2019, Table 3: in seconds, and in memory that does not grow with them."""
    count, each = 200, 100
    people = {f"Person_{k:03d}": Listed(f"id1{k:04d}", "fm"[k % 2], "USA", "4") for k in range(count)}
    write_splits(tmp_path, people)
    names = list(people)
    voices = [f"{people[name].number}/clip{n}.wav" for name in names for n in range(each)]
    faces = [f"{name}/1.6/face{n}.jpg" for name in names for n in range(each)]
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(2, count * each, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    sides = [
        Vectors({path: k for k, path in enumerate(paths)}, of)
        for paths, of in zip((voices, faces), vectors, strict=True)
    ]
    made = EmbeddingsFile("noise", "0" * 64, *sides)
    file = tmp_path / "matching_v2f_U.csv"

    def write(trials: int) -> tuple[PublicLists, ListFile]:
        who = rng.integers(count, size=trials)
        other = (who + rng.integers(1, count, trials)) % count
        picks = rng.integers(each, size=(3, trials))
        rows = np.stack([who * each + picks[0], who * each + picks[1], other * each + picks[2]], 1)
        with file.open("w") as out:
            out.writelines(f"{voices[a]} {faces[b]} {faces[c]}\n" for a, b, c in rows.tolist())
        return PublicLists.read(tmp_path), ListFile("matching", (file,), "", "v2f")

    arguments = write(470_712)
    began = time.process_time()
    found = score_matching(*arguments, made, "v2f")
    seconds = time.process_time() - began
    assert found.share.trials == 470_712
    assert found.share.value == pytest.approx(0.5, abs=0.01)
    assert seconds < 30  # no promise, which a busy machine would break: only that nothing grows faster than the list
    print(f"{seconds:.1f} s")
    monkeypatch.setattr(public_list_scores, "matching_columns", partial(matching_columns, block=1 << 12))
    peaks = []
    for trials in (16_384, 65_536):
        arguments = write(trials)
        tracemalloc.start()
        score_matching(*arguments, made, "v2f")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
