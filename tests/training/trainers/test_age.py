"""The fit of ages: known truths are found again, it tells the age and not the set, and it goes into a bundle."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.small_voices import small_renderings
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import InputError
from voxface.runtime.inference.age import hear_age
from voxface.training.trainers import age
from voxface.training.trainers.age import AgeFit, fit, in_words, with_age
from voxface.training.trainers.age_fit import coverage, fit_logistic, fit_years, spread_that_covers
from voxface.training.voices.age_clips import AgeClips, age_clips

pytestmark = pytest.mark.train
SIZE = 64


def people(
    seed: int = 0, *, aged: float = 0.05, childish: float = 0.4, of_set: float = 0.3, size: int = SIZE
) -> AgeClips:
    """800 speakers with four clips each: dimension 0 of an embedding tells log age, 1 tells children, 2 the set.

    Adults are of the sets "many" and, a few, "school"; children are of "school" alone.
    """
    rng = np.random.default_rng(seed)
    count = 800
    kind = np.repeat(["many", "school adult", "child"], [600, 100, 100])
    years = np.where(
        kind == "child", rng.integers(6, 15, count), np.clip(np.exp(rng.normal(3.5, 0.3, count)), 18, 85).astype(int)
    )
    split = rng.choice(["train", "validation", "test"], count, p=[0.6, 0.2, 0.2])
    own = rng.normal(0, 0.05, (count, size))
    own[:, 0] += aged * (np.log(years) - 3.5) / 0.3
    own[:, 1] += childish * (kind == "child")
    own[:, 2] += of_set * (kind != "many")
    rows = np.repeat(np.arange(count), 4)
    decade = (kind[rows] == "many") & (years[rows] >= 20)
    return AgeClips(
        embedding=own[rows] + rng.normal(0, 0.02, (len(rows), size)),
        teacher=own[rows],
        youngest=np.where(decade, years[rows] // 10 * 10, years[rows]).astype(float),
        oldest=np.where(decade, years[rows] // 10 * 10 + 9, years[rows]).astype(float),
        seconds=np.tile([1.0, 2.0, 4.0, 8.0], count),
        speaker=np.char.add("s", rows.astype(str)),
        corpus=np.where(kind[rows] == "many", "many", "school"),
        split=split[rows],
    )


@pytest.fixture(scope="module")
def made() -> AgeFit:
    return fit(people())


def test_children_are_told_and_adults_are_not_refused(made: AgeFit) -> None:
    child = made.metrics["child"]
    for name in ("test", "folds"):
        assert child[name]["auc"] > 0.99
        assert child[name]["auc_same_sets"] > 0.99
        assert child[name]["children_missed"] < 0.1
    assert child["validation"]["adults_refused"] <= 0.01
    assert 0.5 <= made.weights.child.threshold <= 1
    weight = np.abs(made.weights.child.weight)
    assert int(weight.argmax()) == 1
    assert weight[2] < weight[1] / 5, "the set is not what tells a child"


def test_what_tells_the_set_alone_tells_no_child() -> None:
    child = fit(people(aged=0.0, childish=0.0, of_set=0.5)).metrics["child"]
    assert child["folds"]["auc"] > 0.7, "the set is easily told"
    assert 0.35 < child["folds"]["auc_same_sets"] < 0.65
    assert child["folds"]["adults_refused"] < 0.05


def test_probabilities_of_a_child_are_calibrated(made: AgeFit) -> None:
    """Of new speakers who are told with a probability between a quarter and three quarters, about half are children."""
    weak = fit(people(childish=0.06))
    fresh = people(9, childish=0.06)
    told = np.array([hear_age(weak.weights, row.astype(np.float32)).child for row in fresh.embedding])
    child, adult = fresh.child, fresh.adult & (fresh.corpus == "school")
    balanced = np.r_[told[child], told[adult]]
    truth = np.r_[np.ones(child.sum()), np.zeros(adult.sum())]
    unsure = (balanced > 0.25) & (balanced < 0.75)
    assert unsure.sum() > 100
    assert 0.3 < truth[unsure].mean() < 0.7


def test_years_beat_the_mean_age_where_the_voice_tells_them(made: AgeFit) -> None:
    years = made.metrics["years"]
    assert years["told"]
    assert made.weights.years is not None
    test = years["test"]
    assert test["error"]["age"] < test["error"]["mean_age"] - 1
    assert test["gain_interval"]["mean_age"][0] > 0
    assert test["error"]["teacher"] < test["error"]["age"] + 0.5
    assert 0.7 < test["covered"] < 0.9
    assert int(np.abs(made.weights.years.weight).argmax()) == 0
    old, young = np.zeros(SIZE), np.zeros(SIZE)
    old[0], young[0] = 0.1, -0.1
    found = [hear_age(made.weights, row.astype(np.float32)).age for row in (old, young)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].years > found[1].years + 10


def test_where_the_voice_tells_no_years_the_bundle_tells_none() -> None:
    untold = fit(people(aged=0.0))
    assert untold.metrics["years"]["told"] is False
    assert untold.weights.years is None
    assert "an age is not told" in in_words(untold.metrics)


def test_ranges_of_ages_are_fitted_as_ranges() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4000, 2))
    years = np.exp(3.5 + 0.2 * x[:, 0] + rng.normal(0, 0.25, 4000))
    exact, decade = years.astype(int).astype(float), years.astype(int) // 10 * 10.0
    weight = np.ones(4000)
    for youngest, oldest, wider in ((exact, exact, 0.01), (decade, decade + 9, 0.06)):
        found = fit_years(x, youngest, oldest, weight, 0.01)
        np.testing.assert_allclose(found.mean.weight, [0.2, 0.0], atol=0.02)
        assert found.mean.bias == pytest.approx(3.5, abs=0.02)
        assert found.sd == pytest.approx(0.25, abs=0.02)
        said = np.exp(found.mean(x))
        spread = spread_that_covers(0.8, said, youngest, oldest, weight, 3.0)
        assert coverage(said, spread, youngest, oldest, weight) == pytest.approx(0.8, abs=1e-3)
        assert 1.2816 * 0.25 - 0.02 < spread < 1.2816 * 0.25 + wider


def test_a_logistic_regression_ends_where_it_could_not() -> None:
    line = fit_logistic(np.array([[0.0], [1.0]]), np.array([False, True]), np.ones(2), 0.1)
    assert line(np.array([[0.5]]))[0] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(fit_logistic(np.ones((3, 1)), np.ones(3, np.bool_), np.ones(3), 0.0).bias)


@pytest.mark.parametrize(
    ("lacks", "said"), [("child", "no child of known age among the train"), ("adult", "no adult of known age")]
)
def test_voices_that_cannot_be_fitted(lacks: str, said: str) -> None:
    clips = people()
    kept = ~(clips.child if lacks == "child" else clips.adult)
    few = AgeClips(*(getattr(clips, name)[kept] for name in AgeClips.__dataclass_fields__))
    with pytest.raises(InputError, match=said):
        fit(few)


def test_clips_of_rendered_voices(tmp_path: Path) -> None:
    rendered = small_renderings(tmp_path)
    heard: list[int] = []

    def encode(frames: Any) -> Any:
        heard.append(len(frames))
        return frames.mean(0)

    clips = age_clips([rendered], encode)
    assert len(clips.speaker) == len(heard) > 0
    assert clips.embedding.shape == (len(heard), 64)
    assert clips.teacher.shape == (len(heard), 4)
    np.testing.assert_allclose(clips.seconds, np.array(heard) / 100)
    assert set(clips.seconds[clips.seconds >= 1].round(2)) & {1.0, 2.0}
    assert set(clips.youngest[~np.isnan(clips.youngest)].tolist()) <= {23.0, 13.0}
    assert not (clips.child | (clips.adult & (clips.youngest != 23))).any()
    assert not (np.isnan(clips.oldest) & (clips.split == "train")).any()
    as_recorded = np.count_nonzero(rendered.speed == 1)
    assert len(clips.speaker) <= 4 * as_recorded


def test_the_command_writes_a_bundle(
    made: AgeFit,
    default_bundle: Bundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    small_renderings(tmp_path)
    out = tmp_path / "aged.voxface"
    words = ["age", "--voices", str(tmp_path / "voices"), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", words)
    assert age.main() == 3
    assert "no child of known age among the train voices" in capsys.readouterr().err
    assert not out.exists()
    monkeypatch.setattr(age, "age_clips", lambda rendered, encode: people())
    assert age.main() == 0
    assert capsys.readouterr().out.startswith(f"{out}: children: AUC ")
    bundle = Bundle.open(out)
    assert bundle.age == made.weights
    entry = bundle.manifest.age
    assert entry is not None
    assert entry.encoder_sha256 == default_bundle.graph_digests()["encoder"]
    assert entry.trained_on is not None
    assert [line.split(":")[0] for line in entry.trained_on] == ["many", "school"]
    assert bundle.manifest.metrics is not None
    assert bundle.manifest.metrics["age"] == json.loads(json.dumps(made.metrics))
    assert age.main() == 2
    monkeypatch.setattr(sys, "argv", [*words, "--force"])
    assert age.main() == 0
    assert with_age(default_bundle, replace(made, trained_on=())).age == made.weights
