"""Suites of Wen 2019 on methods whose answers are known: one that shows the speaker, and one that shows anybody."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests.stand_ins.patterned_pairs import ShownFaces, patterned_pairs, shown  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError, UsageError  # noqa: E402
from voxface.training.data.pairs import Pairs  # noqa: E402
from voxface.training.engine.trained_networks import save_networks  # noqa: E402
from voxface.training.evaluation.pictures import judges  # noqa: E402
from voxface.training.evaluation.pictures.judges import picture_judge  # noqa: E402
from voxface.training.evaluation.pictures.picture_classifier import ClassifierConfig  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig  # noqa: E402
from voxface.training.evaluation.result import Row, SuiteResult, Table  # noqa: E402
from voxface.training.evaluation.suites import attributes, duration, identity, matching, noise, realness, segments  # noqa: E402
from voxface.training.models import Classifier, Discriminator, FaceEmbedding  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

QUICK_JUDGE = JudgeConfig(
    channels=(8, 8, 16, 16, 32),
    embedding=16,
    steps=150,
    batch=32,
    rate=4e-3,
    augmentations=("translation",),
    seed=varied(),
)
QUICK_CLASSIFIER = ClassifierConfig(
    channels=(4, 8, 8, 8, 16), embedding=8, steps=60, batch=32, rate=4e-3, augmentations=("translation",), seed=varied()
)
NEW, NEW_BY_SEX = "new people, unstratified", "new people, by sex"
KNOWN, KNOWN_BY_SEX = "known people, unstratified", "known people, by sex"


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    return patterned_pairs(40)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder whose judges all tests of this module share; they are small and quickly trained."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judges, "judge_config", lambda inputs: QUICK_JUDGE)
        patch.setattr(attributes, "_config", lambda inputs: QUICK_CLASSIFIER)
        yield tmp_path_factory.mktemp("results")


def rows_of(table: Table, kind: str) -> list[Row]:
    return [row for row in table.rows if row.kind == kind]


def value(row: Row, column: str) -> float:
    return row.values[column].value


def complete(found: SuiteResult) -> SuiteResult:
    """Checks what every suite owes: it is JSON and Markdown, its tables have a trivial row, its figures are PNG."""
    assert SuiteResult.from_json(found.to_json()).markdown().split("![")[0].strip()
    assert all(rows_of(table, "trivial") for table in found.tables)
    assert all(data.startswith(b"\x89PNG") for data in found.figures.values())
    return found


# -- matching --------------------------------------------------------------------------------------------------------------


@pytest.mark.learns
@pytest.mark.slow
def test_matching_of_the_speakers_own_pictures_is_right_and_of_anybodys_is_chance(results: Path, pairs: Pairs) -> None:
    oracle, random = (complete(matching.run(shown(results, pairs, whose))) for whose in ("speaker", "anybody"))
    (own,), (guess,) = (rows_of(found.tables[0], "ours") for found in (oracle, random))
    for column in (NEW, NEW_BY_SEX, KNOWN, KNOWN_BY_SEX):
        assert value(own, column) > 0.97, column
        # 40 or 60 recordings, each with a picture drawn once: the share varies by some 0.06.
        assert value(guess, column) == pytest.approx(0.5, abs=0.2), column
    (backwards,) = rows_of(oracle.tables[1], "ours")
    assert value(backwards, NEW) > 0.97
    (limit,) = rows_of(oracle.tables[0], "limit")
    assert value(limit, NEW) > 0.97
    assert set(oracle.per_person["voice to face, unstratified"].values) == {
        pairs.people[i].name for i in pairs.split("test")
    }
    assert any("DIMNet and SVHF" in line for line in oracle.missing), "without a bundle there is no voice encoder"


def test_matching_stands_beside_the_published_numbers_and_the_sexes(results: Path, pairs: Pairs) -> None:
    table = matching.run(shown(results, pairs, "anybody")).tables[0]
    published = {row.method: row for row in rows_of(table, "published")}
    wen = published["Wen et al. 2019, Table 3"]
    assert [value(wen, column) for column in (KNOWN, NEW, KNOWN_BY_SEX, NEW_BY_SEX)] == [0.9683, 0.7607, 0.9398, 0.5969]
    sexes = next(row for row in rows_of(table, "trivial") if "sexes" in row.method)
    # Of ten new people five are of each sex: of nine others four are of the same.
    assert value(sexes, NEW) == pytest.approx(1 - 0.5 * 4 / 9, abs=0.02)
    assert value(sexes, NEW_BY_SEX) == 0.5


def test_a_network_that_knows_people_who_are_evaluated_fails_the_run(
    results: Path, pairs: Pairs, tmp_path: Path
) -> None:
    save_critics(tmp_path / "gan", [pairs.people[int(i)].name for i in pairs.split("test")])
    with pytest.raises(InputError, match=r"F_c, which looks at the faces: .* are both learnt from and evaluated"):
        matching.run(shown(results, pairs, "speaker", critics=tmp_path / "gan"))


def test_one_person_cannot_be_matched(results: Path) -> None:
    few = patterned_pairs(4)  # two to learn from, one to validate on, one to test on
    people = tuple(replace(person, split="validation") if k == 0 else person for k, person in enumerate(few.people))
    alone = replace(few, people=people, digest="alone")
    with pytest.raises(InputError, match="no trial of matching can be drawn"):
        matching.run(shown(results, alone, "speaker"))


def test_what_makes_no_pictures_is_refused(results: Path, pairs: Pairs) -> None:
    inputs = shown(results, pairs, "speaker")
    meshes = ShownFaces(pairs, "speaker")
    meshes.makes = frozenset({"meshes"})
    for suite in (matching, identity, attributes):
        with pytest.raises(UsageError, match="makes no pictures of faces"):
            suite.run(replace(inputs, predictions=meshes))


@pytest.mark.parametrize("suite", [duration, noise, segments])
def test_what_needs_a_bundles_networks_says_so(suite: Any, results: Path, pairs: Pairs) -> None:
    with pytest.raises(UsageError, match="--predictions cannot be scored"):
        suite.run(shown(results, pairs, "speaker"))


# -- identity --------------------------------------------------------------------------------------------------------------


@pytest.mark.learns
def test_identity_of_the_speakers_own_pictures_is_known_and_of_anybodys_is_chance(results: Path, pairs: Pairs) -> None:
    oracle, random = (complete(identity.run(shown(results, pairs, whose))) for whose in ("speaker", "anybody"))
    (own,), (guess,) = (rows_of(found.tables[0], "ours") for found in (oracle, random))
    (limit,) = rows_of(oracle.tables[0], "limit")
    assert value(own, "top 1") > 0.9
    assert value(own, "top 5") >= value(limit, "top 5") - 0.1
    assert value(guess, "top 1") == pytest.approx(1 / 20, abs=0.12)
    assert value(guess, "top 5") == pytest.approx(1 / 4, abs=0.2)
    chance, frequent, sex = rows_of(oracle.tables[0], "trivial")
    assert (value(chance, "top 1"), value(chance, "top 5")) == pytest.approx((1 / 20, 1 / 4))
    assert value(frequent, "top 1") == pytest.approx(1 / 20)
    assert (value(sex, "top 1"), value(sex, "top 5")) == pytest.approx((1 / 10, 1 / 2))


def test_identity_takes_the_recordings_kept_from_training_first(results: Path, pairs: Pairs) -> None:
    inputs = shown(results, pairs, "speaker")
    found = identity.recordings_of(pairs, picture_judge(inputs, QUICK_JUDGE).people, inputs)
    assert len(found.utterances) == 3 * len(pairs.split("train"))
    first = found.utterances.reshape(-1, 3)[:, 0]
    assert found.held.reshape(-1, 3).tolist() == [[True, False, False]] * len(first), (
        "each has one clean recording that is kept"
    )
    assert pairs.utterance_clean[found.utterances].all()


def test_identity_by_the_critics_classifier(results: Path, pairs: Pairs, tmp_path: Path) -> None:
    save_critics(tmp_path / "gan", [pairs.people[int(i)].name for i in pairs.split("train")])
    found = identity.run(shown(results, pairs, "speaker", critics=tmp_path / "gan"))
    assert [row.method.split(", by ")[1] for row in rows_of(found.tables[0], "ours")] == ["F_c", "the judge"]
    assert "top 1 by F_c" in found.per_person
    save_critics(tmp_path / "others", ["nobody", "somebody"])
    with pytest.raises(InputError, match="knows nobody with a recording"):
        identity.run(shown(results, pairs, "speaker", critics=tmp_path / "others"))


# -- attributes --------------------------------------------------------------------------------------------------------------


@pytest.mark.learns
def test_the_sex_of_the_speakers_own_pictures_is_seen_and_of_anybodys_is_chance(results: Path, pairs: Pairs) -> None:
    oracle, random = (complete(attributes.run(shown(results, pairs, whose))) for whose in ("speaker", "anybody"))
    (own,), (guess,), (limit,) = (
        rows_of(found.tables[0], kind) for found, kind in ((oracle, "ours"), (random, "ours"), (oracle, "limit"))
    )
    assert value(limit, "all") > 0.95
    assert value(own, "all") > 0.95
    assert value(guess, "all") == pytest.approx(0.5, abs=0.25)
    (always,) = rows_of(oracle.tables[0], "trivial")
    assert {value(always, "women"), value(always, "men")} == {0.0, 1.0}
    assert [value(row, "all") for row in rows_of(oracle.tables[0], "published")] == [0.9897, 0.9645]
    assert any("no ages" in line for line in oracle.missing)


def test_age_groups_where_the_data_carry_ages(results: Path, pairs: Pairs) -> None:
    ages = {person.name: 20 + 25 * (k // 2 % 2) for k, person in enumerate(pairs.people)}
    aged = replace(pairs, about={**pairs.about, "ages": ages}, digest="aged")
    found = complete(attributes.run(shown(results, aged, "speaker")))
    table = found.tables[1]
    assert table.name == "age"
    (ours,) = rows_of(table, "ours")
    assert set(ours.values) == {"all", "18 to 29", "45 to 59"}
    assert not found.missing


# -- realness --------------------------------------------------------------------------------------------------------------


def save_critics(folder: Path, names: list[str]) -> None:
    torch.manual_seed(varied(6))
    channels: Any = (4, 4, 8, 8, 8)
    save_networks(
        folder,
        {
            "critic": FaceEmbedding(channels),
            "discriminator": Discriminator(),
            "classifier": Classifier(len(names)),
        },
        {"critic": {"channels": channels}, "discriminator": {}, "classifier": {"identities": len(names)}},
        {},
        identities=names,
    )


def test_realness_without_critics_says_what_to_give(results: Path, pairs: Pairs) -> None:
    with pytest.raises(UsageError, match=r"--critics: .*train face-gan"):
        realness.run(shown(results, pairs, "speaker"))


def test_realness_of_real_pictures_is_that_of_real_pictures(results: Path, pairs: Pairs, tmp_path: Path) -> None:
    save_critics(tmp_path / "gan", ["somebody"])
    found = complete(realness.run(shown(results, pairs, "speaker", critics=tmp_path / "gan")))
    (ours,), (limit,) = (rows_of(found.tables[0], kind) for kind in ("ours", "limit"))
    assert value(ours, "voices") == pytest.approx(value(limit, "voices"), abs=0.02)
    (published,) = rows_of(found.tables[0], "published")
    assert [(published.values[c].value, published.values[c].sd) for c in ("voices", "noises")] == [
        (0.09, 0.13),
        (0.06, 0.07),
    ]
    assert any("Noises" in line for line in found.missing)
