"""What an embedding tells of an age, and what becomes of a child's voice."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import SAMPLES
from tests.stand_ins.age import with_age
from tests.stand_ins.live_session import voice
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.age import AgeWeights, ChildWeights, YearsWeights
from voxface.runtime.errors import NoSpeechError
from voxface.runtime.face.ageing import Ageing
from voxface.runtime.inference.age import Age, AgeHeard, hear_age
from voxface.runtime.inference.attributes import age_in_words, attributes_json, read_attributes
from voxface.runtime.inference.estimate import estimate_json
from voxface.runtime.voice_to_face import VoiceToFace

CHILD = ChildWeights((2.0, 0.0), -1.0, 0.5)
YEARS = YearsWeights((0.0, 1.0), math.log(30), math.log(1.4))


def heard(*embedding: float, years: YearsWeights | None = YEARS) -> AgeHeard:
    return hear_age(AgeWeights(CHILD, years), np.array(embedding, np.float32))


def test_an_embedding_tells_a_child_or_years() -> None:
    found = heard(0.0, 0.0)
    assert found.child == pytest.approx(1 / (1 + math.e))
    assert found.age is not None
    assert (found.age.years, found.age.low, found.age.high) == pytest.approx((30, 30 / 1.4, 42))
    child = heard(1.0, 0.0)
    assert (child.is_child, child.age) == (True, None)
    assert child.child == pytest.approx(1 / (1 + math.exp(-1)))
    assert heard(0.0, 0.0, years=None) == AgeHeard(found.child, False, None)


def test_years_stay_within_those_of_adults_however_large_the_numbers() -> None:
    for number, expected in ((1e6, 90.0), (-1e6, 18.0)):
        age = heard(0.0, number).age
        assert age is not None
        assert (age.years, age.low, age.high) == pytest.approx((expected,) * 3)
    assert heard(-1e6, 0.0).child == pytest.approx(0.0, abs=1e-9)
    assert heard(1e6, 0.0).child == pytest.approx(1.0)


def test_words_and_json(default_bundle: Bundle) -> None:
    model = default_bundle.morphable
    nobody = np.zeros(model.modes, np.float32)
    unknown = attributes_json(read_attributes(model, nobody))
    assert (unknown["age"], unknown["child"], unknown["is_child"], age_in_words(unknown)) == (None, None, False, "")
    adult = attributes_json(read_attributes(model, nobody, 1.0, AgeHeard(0.02, False, Age(34.4, 24.0, 49.0))))
    assert adult["age"] == {"years": 34.4, "low": 24.0, "high": 49.0}
    assert (adult["child"], age_in_words(adult)) == (0.02, "about 34 years old (24 to 49)")
    child = attributes_json(read_attributes(model, nobody, 1.0, AgeHeard(0.97, True, None)))
    assert (child["age"], age_in_words(child)) == (None, "a child's voice (97%)")
    assert unknown.keys() == adult.keys()


def test_a_bundle_without_the_part_tells_nothing_and_makes_the_same_face(default_bundle: Bundle) -> None:
    with VoiceToFace(with_age(default_bundle)) as old, VoiceToFace(default_bundle.replacing(age=None)) as plain:
        told, without = old.estimate(voice(), 16_000), plain.estimate(voice(), 16_000)
    assert told.attributes.age == Age(pytest.approx(40), pytest.approx(40 / 1.5), pytest.approx(60))  # type: ignore[arg-type]
    assert told.attributes.child == pytest.approx(0.1)
    assert (without.attributes.age, without.attributes.child) == (None, None)
    np.testing.assert_array_equal(told.image, without.image)
    np.testing.assert_array_equal(told.coefficients, without.coefficients)
    json.dumps(estimate_json(told), allow_nan=False)


def test_a_childs_voice_gets_no_face_unless_it_is_asked_for(default_bundle: Bundle) -> None:
    with VoiceToFace(with_age(default_bundle, child=0.97)) as voice_to_face:
        for use in (
            lambda **more: voice_to_face.estimate(voice(), 16_000, **more),
            lambda **more: voice_to_face.estimate_file(SAMPLES[0], **more)[1],
            lambda **more: voice_to_face.estimate_speech(voice_to_face.listen([voice()]), **more),
        ):
            with pytest.raises(NoSpeechError, match=r"no face of a child's voice \(probability: 0\.97\)") as raised:
                use()
            assert raised.value.reason == "child"
            attributes = use(any_age=True).attributes
            assert (attributes.is_child, attributes.age) == (True, None)


def test_the_head_ages_with_the_voice(default_bundle: Bundle) -> None:
    model = default_bundle.morphable
    per_decade = np.zeros((2, *model.mean.shape), np.float32)
    per_decade[0, :, 1], per_decade[1, :, 1] = -0.5, -1.0  # down, a woman half as far as a man
    ageing = Ageing(per_decade, 30.0)
    with VoiceToFace(with_age(default_bundle, years=50.0)) as voice_to_face:
        made = voice_to_face.estimate(voice(), 16_000)
    estimate, aged = (made.with_model(replace(model, ageing=known)) for known in (None, ageing))
    female = estimate.attributes.sex["female"]
    moved = aged.vertices - estimate.vertices
    np.testing.assert_allclose(moved[:, 1], -2 * (0.5 * female + 1.0 * (1 - female)), atol=1e-4)
    np.testing.assert_allclose(moved[:, [0, 2]], 0, atol=1e-6)
    untold = replace(aged, attributes=replace(aged.attributes, age=None))
    np.testing.assert_array_equal(untold.vertices, estimate.vertices)
