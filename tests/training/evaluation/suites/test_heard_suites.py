"""Suites that give a bundle parts of speech, noise and windows, on a bundle of three small graphs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")
pytest.importorskip("onnx", reason="onnx comes with voxface[export]")

from tests.stand_ins.patterned_pairs import patterned_pairs  # noqa: E402
from tests.stand_ins.small_bundle import small_bundle  # noqa: E402
from tests.stand_ins.sphere import sphere  # noqa: E402
from tests.training.seeds import varied  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.evaluation.hearing.heard_people import examples, heard_people  # noqa: E402
from voxface.training.evaluation.hearing.speech_windows import evenly, frames_of, speech_of  # noqa: E402
from voxface.training.evaluation.inputs import Inputs  # noqa: E402
from voxface.training.evaluation.pictures import judges  # noqa: E402
from voxface.training.evaluation.pictures.judges import picture_judge  # noqa: E402
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig  # noqa: E402
from voxface.training.evaluation.subject import BundleSubject  # noqa: E402
from voxface.training.evaluation.suites import duration, noise, segments  # noqa: E402
from voxface.training.evaluation.suites.noise import unlikeness  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

TINY_JUDGE = JudgeConfig(channels=(4, 4, 4, 8, 8), embedding=6, steps=3, batch=8, seed=varied())


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inputs]:
    """Everybody speaks for 9 s, in three clean recordings."""
    torch.set_num_threads(1)
    pairs = patterned_pairs(40, frames=290)
    folder = tmp_path_factory.mktemp("heard")
    with (
        pytest.MonkeyPatch.context() as patch,
        BundleSubject(small_bundle(folder / "bundle"), pairs, threads=1) as bundle,
    ):
        patch.setattr(judges, "judge_config", lambda inputs: TINY_JUDGE)
        yield Inputs(folder / "out", given_bundle=bundle, given_pairs=pairs, quick=True, seed=3)


# -- speech ----------------------------------------------------------------------------------------------------------------


def test_speech_of_a_person_is_its_recordings_one_after_another(inputs: Inputs) -> None:
    pairs = inputs.pairs
    own = pairs.clean_utterances[2]
    whole = speech_of(pairs, own)
    assert len(whole) == frames_of(pairs, own) == 290 + 300 + 310
    np.testing.assert_array_equal(whole[290:590], pairs.utterance(int(own[1])))
    np.testing.assert_array_equal(speech_of(pairs, own, 400), whole[:400])


def test_windows_are_evenly_apart() -> None:
    frames = np.arange(100, dtype=np.float32)[:, None]
    assert [int(part[0, 0]) for part in evenly(frames, 40, 4)] == [0, 20, 40, 60]
    assert [len(part) for part in evenly(frames, 100, 2)] == [100, 100]
    with pytest.raises(ValueError, match="fewer than 101"):
        evenly(frames, 101, 2)


def test_known_people_are_the_readers_and_new_ones_are_not(inputs: Inputs) -> None:
    found = heard_people(inputs, picture_judge(inputs, TINY_JUDGE), 500, most_people=7, most_frames=600)
    train, test = (set(inputs.pairs.split(split).tolist()) for split in ("train", "test"))
    assert {one.person for one in found if one.known} <= train
    assert {one.person for one in found if not one.known} <= test
    assert [sum(one.known == known for one in found) for known in (True, False)] == [7, 7]
    assert all(len(one.speech) == 600 for one in found)
    assert not heard_people(inputs, picture_judge(inputs, TINY_JUDGE), 5000, most_people=7)
    shown = examples(inputs, found)
    assert [int(inputs.pairs.sexes[one.person]) for one in shown] == [0, 1, 0, 1]
    assert not any(one.known for one in shown)


# -- suites ----------------------------------------------------------------------------------------------------------------


def complete(found: Any) -> Any:
    assert all(data.startswith(b"\x89PNG") for data in found.figures.values())
    assert all(any(row.kind == "trivial" for row in table.rows) for table in found.tables)
    assert found.markdown()
    return found


def test_durations_that_nobody_speaks_for_are_left_out(inputs: Inputs) -> None:
    found = complete(duration.run(inputs))
    rows = [row.method for row in found.tables[0].rows if row.kind == "ours"]
    assert rows == ["1 s", "2 s", "3 s", "5 s"]
    assert found.missing == ("10 s: 0 of the people evaluated speak for so long; give longer recordings.",)
    assert set(found.figures) == {"duration.png", "duration-faces.png"}
    assert set(found.per_person) == {f"matching, {k} s" for k in (1, 2, 3, 5)}


def test_the_change_of_a_face_is_from_that_of_the_longest_speech(inputs: Inputs) -> None:
    rows = [row for row in duration.run(inputs).tables[0].rows if row.kind == "ours"]
    assert all(row.values["change of the face"].value > 0 for row in rows[:-1])
    assert "change of the face" not in rows[-1].values


def test_nobody_who_speaks_for_a_second_is_an_error(inputs: Inputs) -> None:
    short = replace(inputs, given_pairs=patterned_pairs(16, frames=20))
    with pytest.raises(InputError, match="fewer than two of the people evaluated speak for 1 s"):
        duration.run(short)
    with pytest.raises(InputError, match="fewer than two of the people evaluated speak for 1 s"):
        noise.run(short)
    with pytest.raises(InputError, match="speak for 6 s; give longer recordings"):
        segments.run(short)


@pytest.mark.slow
def test_noise_beside_voices_and_alone(inputs: Inputs) -> None:
    found = complete(noise.run(inputs))
    rows = {row.method: row for row in found.tables[0].rows}
    assert {"no noise", "white noise, 20 dB", "mains hum, 0 dB", "brown noise alone", "chance"} <= rows.keys()
    alone = [row for name, row in rows.items() if name.endswith("alone")]
    for row in alone:  # nobody was heard
        assert row.values["matching"].value == pytest.approx(0.5, abs=0.25)
    alike = {row.method: row.values["difference"].value for row in found.tables[1].rows}
    assert alike["white noise alone"] < alike["any noise alone"]
    assert set(found.figures) == {"noise.png", "noise-faces.png", "noise-alone.png"}


def test_unlikeness_is_the_mean_over_all_pairs(rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, (5, 3, 3, 3), dtype=np.uint8)
    pairs = [np.abs(a.astype(int) - b.astype(int)).mean() for k, a in enumerate(pictures) for b in pictures[:k]]
    assert unlikeness(pictures) == pytest.approx(np.mean(pairs))
    assert unlikeness(np.repeat(pictures[:1], 4, axis=0)) == 0


@pytest.mark.slow
def test_segments_of_one_voice_beside_other_voices(inputs: Inputs) -> None:
    found = complete(segments.run(inputs))
    rows = {row.method: row for row in found.tables[0].rows}
    six = [rows[f"window {offset:+d}"].values["distance"].value for offset in (-3, -2, -1, 1, 2, 3)]
    assert rows["all six"].values["distance"].value == pytest.approx(np.mean(six))
    assert min(six) > 0
    assert rows["the same windows of different speakers"].values["distance"].value > 0
    assert set(found.figures) == {"segments-faces.png", "segments-variation.png", "segments-heat.png"}


def test_vertex_distances_by_hand() -> None:
    model = sphere()
    coefficients = np.zeros((6, 2), np.float32)
    coefficients[0, 0] = 2  # the first window of the first of two people
    found = segments.vertex_distances(model, coefficients, 3)
    assert found.shape == (2, 3, len(model.mean))
    np.testing.assert_allclose(found[0, 0], 2 * np.linalg.norm(model.basis[0], axis=1), atol=1e-4)
    assert not found[0, 1:].any()
    assert not found[1].any()
    apart = segments.between(model, np.array([[0, 0], [1, 0]], np.float32), np.random.default_rng(0))
    np.testing.assert_allclose(apart, np.repeat(np.linalg.norm(model.basis[0], axis=1)[None], 2, axis=0), atol=1e-4)
