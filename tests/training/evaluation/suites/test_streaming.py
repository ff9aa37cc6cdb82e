"""`streaming` on a small bundle: prefixes of utterances, what is trivial, and a posterior that is right by construction."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.stand_ins.face_posterior import small_weights, with_posterior
from tests.stand_ins.small_bundle import small_bundle
from tests.stand_ins.small_pairs import small_pairs
from tests.stand_ins.sphere import sphere
from voxface.runtime.bundle.face_posterior_file import write_face_posterior
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.inference.face_posterior import FacePosterior
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.hearing.voice_prefixes import (
    REGIONS,
    hear,
    in_regions,
    population_posterior,
    speech_of,
)
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.result import Row, SuiteResult
from voxface.training.evaluation.subject import BundleSubject
from voxface.training.evaluation.suites.streaming import run


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return small_pairs(16, frames=820)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> Iterator[BundleSubject]:
    bundle = small_bundle(tmp_path_factory.mktemp("bundle") / "small")
    with BundleSubject(with_posterior(bundle, write_face_posterior(small_weights())), pairs, threads=1) as opened:
        yield opened


def rows(found: SuiteResult, table: str) -> dict[str, Row]:
    (of,) = (one.rows for one in found.tables if one.name == table)
    return {row.method: row for row in of}


def test_a_voice_as_it_is_heard(tmp_path: Path, pairs: Pairs, subject: BundleSubject) -> None:
    found = run(Inputs(tmp_path, given_bundle=subject, given_pairs=pairs))
    moved = rows(found, "to-final")["small"].values
    assert moved["8 s"].value < moved["1 s"].value
    error = rows(found, "mesh-error")
    assert set(error) == {"small", "mean face of the sex heard", "mean face"}
    assert len({number.value for number in error["mean face"].values.values()}) == 1
    assert (
        rows(found, "confidence")["small"].values["8 s"].value > rows(found, "confidence")["small"].values["1 s"].value
    )
    assert rows(found, "coverage-80")["what it should be"].values["1 s"].value == 0.8
    assert rows(found, "sex")["always the commoner sex of these people"].values["1 s"].value == 0.5
    assert all(number.value > 0 for number in rows(found, "latency")["small, median"].values.values())
    assert set(found.figures) == {"streaming-error.png", "streaming-calibration.png", "streaming-latency.png"}
    assert set(found.per_person["mesh error after 8 s"].values) == {pairs.people[i].name for i in pairs.split("test")}
    assert found.facts["utterances"] == 12
    assert not found.missing


def test_prefixes_are_what_the_runtime_says_of_them(pairs: Pairs, subject: BundleSubject) -> None:
    utterance = int(pairs.clean_utterances[15][0])
    with FaceEstimator(subject.bundle, threads=1) as estimator:
        heard = hear(estimator, pairs, [utterance], 2)
        whole = hear(estimator, pairs, [utterance], None)
        estimate = estimator.estimate(speech_of(pairs.utterance(utterance)[:200]))
    np.testing.assert_array_equal(heard.coefficients[0], estimate.coefficients)
    assert heard.confidence[0] == estimate.confidence
    assert estimate.voiced_seconds == 2
    np.testing.assert_allclose(whole.coefficients, subject.coefficients([utterance]), atol=1e-5)


def test_without_a_posterior_it_is_said(tmp_path: Path, pairs: Pairs) -> None:
    with BundleSubject(small_bundle(tmp_path / "small"), pairs, threads=1) as bare:
        found = run(Inputs(tmp_path, given_bundle=bare, given_pairs=pairs))
    assert any("coverage of the posterior" in sentence for sentence in found.missing)
    assert not any(table.name.startswith("coverage") for table in found.tables)


def test_faces_drawn_of_a_posterior_lie_in_its_regions(subject: BundleSubject) -> None:
    """Half of them in the region of 50 %, and so on; the trivial posterior covers faces of the population as well."""
    model = sphere()
    posterior = FacePosterior(np.zeros(2, np.float32), 0.4, small_weights(), model)
    drawn = [np.array(list(model.measurements_of(face).values())) for face in posterior.sample(3000)]
    shares = np.mean([in_regions(posterior, one) for one in drawn], axis=(0, 1))
    np.testing.assert_allclose(shares, np.array(REGIONS) / 100, atol=0.03)
    trivial = population_posterior(subject.bundle, 0.5)
    assert trivial is not None
    rng = np.random.default_rng(0)
    sexes = rng.integers(2, size=3000)
    faces = model.sex_means[sexes] + rng.normal(size=(3000, 2))
    lengths = [np.array(list(model.measurements_of(face.astype(np.float32)).values())) for face in faces]
    shares = np.mean([in_regions(trivial, one) for one in lengths], axis=(0, 1))
    np.testing.assert_allclose(shares, np.array(REGIONS) / 100, atol=0.03)


def test_what_cannot_be_measured(tmp_path: Path, pairs: Pairs, subject: BundleSubject) -> None:
    with pytest.raises(InputError, match="have 8 s of speech in one recording"):
        run(Inputs(tmp_path, given_bundle=subject, given_pairs=small_pairs(16, frames=120)))
    with pytest.raises(UsageError, match="--data"):
        run(Inputs(tmp_path, given_bundle=subject))
    unknown = replace(pairs, coefficients=np.full_like(pairs.coefficients, np.nan))
    with pytest.raises(InputError, match="true faces"):
        run(Inputs(tmp_path, given_bundle=subject, given_pairs=unknown))
    with BundleSubject(None, threads=1) as default, pytest.raises(UsageError, match="another morphable model"):
        run(Inputs(tmp_path, given_bundle=default, given_pairs=pairs))
