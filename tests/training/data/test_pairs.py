"""Pairs on disk: there and back, damaged, and such as do not fit together."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.errors import InputError
from voxface.runtime.files.sealed_json import sealed
from voxface.training.data import pairs_folder
from voxface.training.data.fits import NO_PICTURE, DrawnFits, Fits
from voxface.training.data.pairs import Pairs, Person, rows_of
from voxface.training.data.pairs_folder import PairsWriter, digest_of
from voxface.training.faces.population import FacePopulation


def test_pairs_survive_the_way_to_disk_and_back(tmp_path: Path) -> None:
    pairs = replace(
        small_pairs(), population=FacePopulation(np.zeros((2, 2), np.float32), np.zeros((2, 2, 2), np.float32))
    )
    digest = pairs.save(tmp_path / "deep" / "pairs")
    again = Pairs.load(tmp_path / "deep" / "pairs")
    assert again.digest == digest
    assert (again.kind, again.about, again.people) == (pairs.kind, pairs.about, pairs.people)
    for name in ("frames", "pictures", "offsets", "utterance_person", "utterance_clean", "coefficients", "cues"):
        np.testing.assert_array_equal(getattr(again, name), getattr(pairs, name))
        assert getattr(again, name).dtype == getattr(pairs, name).dtype
    np.testing.assert_array_equal(again.morphable.triangles, pairs.morphable.triangles)
    assert again.population is not None
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["pairs"]
    with pytest.raises(InputError, match="is there already"):
        pairs.save(tmp_path / "deep" / "pairs")
    # The digest says what is learnt from: the same again, others for other people, whatever else is said about them.
    assert replace(pairs, about={}).save(tmp_path / "same") == digest
    renamed = (replace(pairs.people[0], name="x"), *pairs.people[1:])
    assert replace(pairs, people=renamed).save(tmp_path / "other") != digest


def fits_of(pairs: Pairs, person: tuple[int, ...] = (1, 0, 1), picture: tuple[int, ...] = (-1, 0, -1)) -> Fits:
    coefficients = np.random.default_rng(3).normal(size=(len(person), pairs.morphable.modes)).astype(np.float32)
    variance = np.where(np.arange(len(person))[:, None] == 1, np.nan, coefficients**2).astype(np.float32)
    return Fits(coefficients, variance, np.array(person, np.int32), np.array(picture, np.int32))


def test_faces_fitted_to_pictures_survive_too(tmp_path: Path) -> None:
    plain = small_pairs()
    assert int(plain.picture_person[0]) == 0
    pairs = replace(plain, fits=fits_of(plain))
    assert pairs.save(tmp_path / "pairs") != plain.save(tmp_path / "plain")
    again = Pairs.load(tmp_path / "pairs").fits
    assert again is not None
    assert pairs.fits is not None
    for name, array in pairs.fits.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
        assert again.arrays[name].dtype == array.dtype
    schemas = [json.loads((tmp_path / name / "pairs.json").read_text())["schema"] for name in ("pairs", "plain")]
    assert schemas == [3, 2], "folders without fits are what earlier versions read"
    assert Pairs.load(tmp_path / "plain").fits is None
    (tmp_path / "pairs" / "fits.npz").unlink()
    with pytest.raises(InputError, match=r"fits\.npz"):
        Pairs.load(tmp_path / "pairs")


@pytest.mark.parametrize(
    "change",
    [
        {"person": (1, 0, 99)},
        {"person": (-1, 0, 1)},
        {"picture": (-1, 0, 999)},
        {"picture": (-2, 0, -1)},
        {"picture": (0, 0, -1)},  # the picture of another person
    ],
)
def test_fits_of_others_are_refused(change: dict[str, tuple[int, ...]]) -> None:
    pairs = small_pairs()
    with pytest.raises(InputError, match="invalid pairs: fits"):
        replace(pairs, fits=fits_of(pairs, **change))
    good = fits_of(pairs)
    for wrong in (good.coefficients[:, 1:], good.coefficients * np.nan):
        with pytest.raises(InputError, match="invalid pairs: fits"):
            replace(pairs, fits=replace(good, coefficients=wrong))


@given(st.integers(1, 6), st.lists(st.integers(0, 5), max_size=12), st.integers(0, 2**32))
def test_drawn_fits_are_of_the_people_asked_for(people: int, owners: list[int], seed: int) -> None:
    person = np.array([owner % people for owner in owners], np.int32)
    # The person's number is the first coefficient; the second tells fits from references.
    faces = np.stack([person, np.ones(len(person))], 1).astype(np.float32)
    references = np.stack([np.arange(people), np.zeros(people)], 1).astype(np.float32)
    fits = Fits(faces, faces, person, np.full(len(person), NO_PICTURE, np.int32))
    drawn = DrawnFits(references, fits)
    asked = np.random.default_rng(seed).integers(0, people, 50).astype(np.int32)
    found = drawn.targets[drawn.draw(asked, np.random.default_rng(seed))]
    np.testing.assert_array_equal(found[:, 0], asked)
    np.testing.assert_array_equal(found[:, 1] == 1, np.isin(asked, person))


def test_each_fit_of_a_person_comes_as_often() -> None:
    person = np.array([0, 1, 0, 0], np.int32)
    faces = np.arange(4, dtype=np.float32)[:, None]
    drawn = DrawnFits(np.full((2, 1), 9, np.float32), Fits(faces, faces, person, np.full(4, NO_PICTURE, np.int32)))
    found = drawn.targets[drawn.draw(np.zeros(3000, np.int32), np.random.default_rng(0)), 0]
    counts = [int((found == value).sum()) for value in range(4)]
    assert counts[1] == 0
    assert min(counts[0], counts[2], counts[3]) > 900


@pytest.mark.parametrize(
    "file", ["frames-00000.npy", "pictures-00000.npy", "tables.npz", "morphable.npz", "pairs.json"]
)
@pytest.mark.parametrize("how", ["gone", "cut", "changed"])
def test_damaged_pairs_are_refused(tmp_path: Path, file: str, how: str) -> None:
    small_pairs().save(tmp_path / "pairs")
    path = tmp_path / "pairs" / file
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif file == "pairs.json":
        path.write_bytes(data.replace(b'"train"', b'"test"', 1))
    else:
        path.write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    with pytest.raises(InputError, match="pairs"):
        Pairs.load(tmp_path / "pairs")
    if how == "cut":
        with pytest.raises(InputError, match="pairs"):
            Pairs.load(tmp_path / "pairs", verify=False)


@pytest.mark.parametrize("change", [("kind", "own"), ("about", {"name": "another"}), ("schema", 1.0), ("more", 1)])
def test_every_key_of_the_table_is_sealed(tmp_path: Path, change: tuple[str, object]) -> None:
    small_pairs().save(tmp_path / "pairs")
    file = tmp_path / "pairs" / "pairs.json"
    document = json.loads(file.read_text())
    file.write_text(json.dumps({**document, change[0]: change[1]}))
    with pytest.raises(InputError, match=r"pairs\.json: is not the file that was written; make the pairs again"):
        Pairs.load(tmp_path / "pairs")
    # Another order and spacing are no other contents.
    file.write_text(json.dumps(dict(reversed(document.items())), indent=3))
    assert Pairs.load(tmp_path / "pairs").digest == document["digest"]


def test_pairs_of_a_version_that_did_not_seal_its_table(tmp_path: Path) -> None:
    small_pairs().save(tmp_path / "pairs")
    file = tmp_path / "pairs" / "pairs.json"
    document = json.loads(file.read_text())
    del document["seal"]
    file.write_text(json.dumps(document))
    assert Pairs.load(tmp_path / "pairs").digest == document["digest"]


def test_a_table_that_names_other_files_is_refused(tmp_path: Path) -> None:
    small_pairs().save(tmp_path / "pairs")
    document = json.loads((tmp_path / "pairs" / "pairs.json").read_text())
    document["files"]["../pairs.json"] = "0" * 64
    document["digest"] = digest_of(document)
    (tmp_path / "pairs" / "pairs.json").write_text(json.dumps(sealed(document)))
    with pytest.raises(InputError, match="does not belong here"):
        Pairs.load(tmp_path / "pairs")
    (tmp_path / "pairs" / "pairs.json").write_text('{"schema": 99}')
    with pytest.raises(InputError, match="schema 99"):
        Pairs.load(tmp_path / "pairs")
    (tmp_path / "pairs" / "pairs.json").write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        Pairs.load(tmp_path / "pairs")
    with pytest.raises(InputError, match="voxface data prepare"):
        Pairs.load(tmp_path / "nothing")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        small_pairs().save(tmp_path / "file" / "pairs")


@pytest.mark.parametrize(
    "wrong",
    [
        {"offsets": np.array([0, 5])},
        {"pictures": np.zeros((16, 8, 8), np.uint8)},
        {"utterance_clean": np.ones(3, bool)},
        {"utterance_person": np.full(32, 8, np.int32)},
        {"picture_person": np.full(16, -1, np.int32)},
        {"coefficients": np.zeros((8, 5), np.float32)},
        {"people": tuple(Person("same", f"s{i}", "F", "train") for i in range(8))},
        {"people": tuple(Person(f"p{i}", "one", "F", "train" if i else "test") for i in range(8))},
        {"people": tuple(Person(f"p{i}", f"s{i}", "X", "train") for i in range(8))},  # type: ignore[arg-type]
    ],
)
def test_pairs_that_do_not_fit_together(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="invalid pairs"):
        replace(small_pairs(), **wrong)  # type: ignore[arg-type]


def test_a_folder_of_the_schema_before(tmp_path: Path) -> None:
    """One file of frames and one of pictures."""
    pairs = small_pairs()
    pairs.save(tmp_path / "pairs")
    folder = tmp_path / "pairs"
    document = json.loads((folder / "pairs.json").read_text())
    document["schema"] = 1
    for name in ("frames", "pictures"):
        (folder / f"{name}-00000.npy").rename(folder / f"{name}.npy")
        document["files"][f"{name}.npy"] = document["files"].pop(f"{name}-00000.npy")
    document["digest"] = digest_of(document)
    (folder / "pairs.json").write_text(json.dumps(sealed({k: v for k, v in document.items() if k != "seal"})))
    again = Pairs.load(folder)
    np.testing.assert_array_equal(again.frames[:], pairs.frames)
    np.testing.assert_array_equal(again.pictures[:], pairs.pictures)


def test_files_that_are_as_they_were_written_are_not_read_to_be_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_pairs().save(tmp_path / "pairs")
    read: list[str] = []
    digest = pairs_folder._sha256
    monkeypatch.setattr(pairs_folder, "_sha256", lambda file: read.append(file.name) or digest(file))
    Pairs.load(tmp_path / "pairs")
    assert read == []
    (tmp_path / "pairs").rename(tmp_path / "moved")
    Pairs.load(tmp_path / "moved")
    assert read == []
    shutil.copytree(tmp_path / "moved", tmp_path / "copied")
    Pairs.load(tmp_path / "copied")
    assert len(read) == 4
    changed = tmp_path / "moved" / "frames-00000.npy"
    data = bytearray(changed.read_bytes())
    data[-3] ^= 1
    changed.write_bytes(bytes(data))
    with pytest.raises(InputError, match="is not the file that was written"):
        Pairs.load(tmp_path / "moved")
    assert read[4:] == ["frames-00000.npy"]
    (tmp_path / "moved" / "verified.json").write_text("[]")
    with pytest.raises(InputError, match="is not the file that was written"):
        Pairs.load(tmp_path / "moved")


def test_utterances_and_pictures_in_any_order(tmp_path: Path) -> None:
    pairs = small_pairs(4)
    order = np.random.default_rng(0).permutation(len(pairs.utterance_person))
    with PairsWriter(tmp_path / "pairs", shard_bytes=20_000) as writer:
        for u in order:
            frames = pairs.utterance(int(u)).astype(np.float16)
            person, recording = int(pairs.utterance_person[u]), int(pairs.utterance_recording[u])
            writer.add_utterance(person, recording, frames, clean=bool(pairs.utterance_clean[u]))
        for k in reversed(range(len(pairs.pictures))):
            writer.add_pictures(int(pairs.picture_person[k]), pairs.pictures[k : k + 1])
        writer.finish(
            kind=pairs.kind,
            about=pairs.about,
            people=rows_of(pairs.people),
            coefficients=pairs.coefficients,
            expected=pairs.expected,
            cues=pairs.cues,
            morphable=pairs.morphable,
        )
    assert len(list((tmp_path / "pairs").glob("frames-*.npy"))) > 3
    for found in (Pairs.load(tmp_path / "pairs", verify=verify) for verify in (False, True)):
        for n, u in enumerate(order):
            np.testing.assert_array_equal(found.utterance(n), pairs.utterance(int(u)).astype(np.float16))
        np.testing.assert_array_equal(found.pictures[::-1], pairs.pictures)
        assert found.utterance_recording.tolist() == pairs.utterance_recording[order].tolist()
