"""Suite `images`: real pictures are near, noise is far, dealt out anew is chance, and a network of the user's takes part."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.quick_judge import quick_judge
from tests.stand_ins.small_bundle import graph, small_bundle
from tests.stand_ins.small_pairs import small_pairs
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.png import png
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.pictures.frechet import frechet_distance, gaussian
from voxface.training.evaluation.pictures.kernel_distance import kernel_distance
from voxface.training.evaluation.predictions import Predictions
from voxface.training.evaluation.result import Row, SuiteResult
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.evaluation.suites import images
from voxface.training.evaluation.suites.images import run

linalg = pytest.importorskip("scipy.linalg", reason="scipy comes with voxface[dev]")
pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "picture_judge", quick_judge)


def rows(found: SuiteResult, name: str) -> dict[str, Row]:
    return {row.method: row for row in next(one for one in found.tables if one.name == name).rows}


def colours_network(folder: Path) -> Path:
    """Features: the mean of each channel, in [-1, 1]."""
    file = folder / "colours.onnx"
    steps = [("ReduceMean", ["pixels", "axes"], "colour", {"keepdims": 0})]
    shape = {"pixels": ["B", 3, 32, 32]}
    file.write_bytes(graph(steps, {"axes": np.array([2, 3])}, shape, {"colour": ["B", "C"]}))
    return file


def colours(pictures: NDArray[np.uint8]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = pictures.mean((1, 2)) / 127.5 - 1
    return found


def own_pictures(folder: Path, pairs: Pairs) -> Predictions:
    """Of each test person one of the person's own pictures."""
    folder.mkdir()
    for i in pairs.split("test"):
        picture = pairs.pictures[int(pairs.pictures_of[int(i)][0])]
        (folder / f"{pairs.people[int(i)].name}.png").write_bytes(png(np.ascontiguousarray(picture)))
    return Predictions.read(folder, pairs, "theirs")


def test_own_pictures_are_found_by_a_network_of_the_users(tmp_path: Path) -> None:
    pairs = small_pairs(48)
    network = colours_network(tmp_path)
    inputs = Inputs(
        tmp_path,
        given_pairs=pairs,
        predictions=own_pictures(tmp_path / "in", pairs),
        embedder=network,
        classifier=network,
        quick=True,
    )
    found = run(inputs)
    likeness = rows(found, "likeness-colours")
    test = pairs.split("test")
    assert likeness["theirs"].values["rank"].value > 0.9
    assert likeness["theirs"].values["rank within sex"].value > 0.85
    assert likeness["another real picture of the person"].kind == "limit"
    assert likeness["another real picture of the person"].values["rank"].value > 0.9
    assert likeness["guessing"].values["R@1"].value == 1 / len(test)
    for method in ("theirs, dealt out anew", "mean picture", "noise"):
        low, high = likeness[method].values["rank"].low, likeness[method].values["rank"].high
        assert low is not None
        assert high is not None
        assert low - 0.1 < 0.5 < high + 0.1, method

    # FID and KID of what the network sees, by SciPy's root of a matrix and by the formula.
    distance = rows(found, "distance-colours")
    people = np.isin(pairs.picture_person, test)
    real = colours(pairs.pictures[np.flatnonzero(people)])
    u = np.concatenate([pairs.clean_utterances[int(i)][:2] for i in test])
    made = colours(np.array([pairs.pictures[int(pairs.pictures_of[int(pairs.utterance_person[k])][0])] for k in u]))
    assert distance["theirs"].values["KID"].value == pytest.approx(1000 * kernel_distance(made, real).value, abs=0.05)
    (m1, c1), (m2, c2) = gaussian(made), gaussian(real)
    expected = ((m1 - m2) ** 2).sum() + np.trace(c1 + c2 - 2 * linalg.sqrtm(c1 @ c2).real)
    assert frechet_distance(m1, c1, m2, c2) == pytest.approx(expected, abs=1e-6)
    if len(made) == len(real):
        assert distance["theirs"].values["FID"].value == pytest.approx(expected, abs=1e-4)
    assert distance["noise"].values["KID"].value > distance["theirs"].values["KID"].value
    assert distance["real pictures of other people"].kind == "limit"

    score = rows(found, "classifier-score")
    assert score["mean picture"].values["colours"].value == pytest.approx(1)
    assert score["theirs"].values["colours"].value > 1
    assert score["real pictures"].kind == "limit"
    assert found.per_person["rank_colours"].values.keys() == {pairs.people[int(i)].name for i in test}
    assert not any("give --embedder FILE" in line for line in found.missing)
    assert [one["network"] for one in found.facts["networks"]] == ["picture judge", "colours.onnx", "colours.onnx"]
    assert SuiteResult.from_json(json.loads(json.dumps(found.to_json()))).to_json() == found.to_json()


def test_a_bundle_is_evaluated_and_what_is_missing_is_said(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    with BundleSubject(small_bundle(tmp_path / "bundle"), pairs) as subject:
        found = run(Inputs(tmp_path, subject, pairs, quick=True))
    assert list(rows(found, "distance-picture-judge")) == [
        "small",
        "mean picture",
        "mean picture of the sex heard",
        "noise",
        "real pictures of other people",
    ]
    said = " ".join(found.missing)
    for what in ("--embedder FILE.onnx", "Inception-v3", "--classifier FILE.onnx"):
        assert what in said
    assert len(found.statements) == 1
    assert "of the same sex: rank" in found.statements[0]


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    (tmp_path / "in").mkdir()
    np.save(tmp_path / "in" / "p12.npy", np.zeros(2))
    meshes = Predictions.read(tmp_path / "in", pairs, None)
    with pytest.raises(UsageError, match="in makes no pictures"):
        run(Inputs(tmp_path, given_pairs=pairs, predictions=meshes))
    (tmp_path / "none.onnx").write_bytes(b"none")
    with (
        BundleSubject(small_bundle(tmp_path / "bundle"), pairs) as subject,
        pytest.raises(InputError, match=r"none\.onnx"),
    ):
        run(Inputs(tmp_path, subject, pairs, embedder=tmp_path / "none.onnx", quick=True))


def test_too_few_pictures_for_a_gaussian_are_said(tmp_path: Path) -> None:
    pairs = small_pairs(16)
    file = tmp_path / "wide.onnx"
    shape = {"pixels": ["B", 3, 8, 8]}
    file.write_bytes(graph([("Flatten", ["pixels"], "all", {"axis": 1})], {}, shape, {"all": ["B", 192]}))
    with BundleSubject(small_bundle(tmp_path / "bundle"), pairs) as subject:
        found = run(Inputs(tmp_path, subject, pairs, embedder=file, quick=True))
    assert rows(found, "distance-wide")["small"].values.keys() == {"KID"}
    assert any("FID by wide: more than 192 pictures a side are needed" in line for line in found.missing)
