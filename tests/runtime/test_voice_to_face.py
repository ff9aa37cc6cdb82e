"""The front door for programs: samples of any kind, streams with the bundle's settings, several threads, closing."""

import copy
import multiprocessing
import pickle
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import SAMPLES, speech_like
from tests.stand_ins.live_session import lines, nothing, voice
from tests.stand_ins.sounds import tones
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.json_record import Settings
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.vad import VadConfig
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import InputError, NoSpeechError, UsageError
from voxface.runtime.inference.estimate import Estimate
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.session import LiveSession
from voxface.runtime.voice_to_face import VoiceToFace

SELDOM = LiveConfig(hop=8000)


def assert_same(one: Estimate, other: Estimate) -> None:
    for name in ("embedding", "image", "coefficients", "vertices"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert (one.start, one.end, one.frames, one.confidence) == (other.start, other.end, other.frames, other.confidence)


def test_samples_give_the_face_of_their_file(voice_to_face: VoiceToFace) -> None:
    _, of_file = voice_to_face.estimate_file(SAMPLES[0])
    whole = voice()
    assert_same(voice_to_face.estimate(whole, 16_000), of_file)
    as_float = whole / np.float32(32768)
    assert_same(voice_to_face.estimate(as_float, 16_000), of_file)
    for both in (np.stack([whole, whole], 1), np.stack([as_float, as_float], 1), as_float[:, None]):
        assert_same(voice_to_face.estimate(both, 16_000), of_file)


@pytest.mark.parametrize("rate", [8_000, 44_100, np.int32(48_000)])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_any_rate_is_that_of_a_file(
    voice_to_face: VoiceToFace, tmp_path_factory: pytest.TempPathFactory, rate: int, dtype: type
) -> None:
    import soundfile
    import soxr

    sound = soxr.resample(voice().astype(np.float32) / 32768, 16_000, rate)
    samples = np.rint(np.stack([sound, sound / 2], 1) * 32767).astype(np.int16)
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    soundfile.write(path, samples, rate, "PCM_16")
    given = samples if dtype is np.int16 else samples / np.float32(32768)
    assert_same(voice_to_face.estimate(given, rate), voice_to_face.estimate_file(path)[1])


@pytest.mark.parametrize("samples", [np.empty(0, np.int16), np.empty((0, 2), np.float32), nothing(2.0)])
def test_without_speech_there_is_no_face(voice_to_face: VoiceToFace, samples: np.ndarray) -> None:
    with pytest.raises(NoSpeechError, match="no speech"):
        voice_to_face.estimate(samples, 16_000)


BROKEN = voice().astype(np.float32) / 32768
BROKEN[8000] = np.nan


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (BROKEN, r"NaN or infinity at 0\.500 s \(sample 8000\)"),
        (np.full((9, 2), np.inf, np.float32), r"NaN or infinity at 0\.000 s \(sample 0\)"),
        (voice().astype(np.float32), r"must lie in \[-1, 1\]: divide by 32768, or give int16$"),
        (256 * voice().astype(np.float32), r"must lie in \[-1, 1\]: divide by 8388608$"),
        (voice().astype(np.float32) / 1024, r"must lie in \[-1, 1\]$"),
    ],
    ids=["nan", "infinity", "int16 scale", "int24 scale", "no scale"],
)
def test_samples_that_are_no_sound(voice_to_face: VoiceToFace, samples: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        voice_to_face.estimate(samples, 16_000)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (voice().astype(np.float64), r"samples are float64; give int16, or float32 in \[-1, 1\]; samples\.astype"),
        (voice().astype(np.int32), "samples are int32"),
        (voice().astype(">i2"), "samples are >i2"),
        (voice()[None, None], r"the shape \[1, 1, \d+\]"),
        (np.stack([voice(), voice()]), "transposed"),
        (np.empty((16_000, 0), np.int16), "0 channels"),
        ([0.0] * 16_000, "samples are a list; give a numpy array"),
    ],
)
def test_arrays_that_are_no_samples(voice_to_face: VoiceToFace, samples: np.ndarray, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        voice_to_face.estimate(samples, 16_000)
    with voice_to_face.stream() as stream, pytest.raises(UsageError, match=says):
        stream.feed(samples)


@pytest.mark.parametrize("rate", [0, -16_000, 3_999, 768_001, 16_000.5, "16000", None])
def test_rates_that_cannot_be(voice_to_face: VoiceToFace, rate: int) -> None:
    with pytest.raises(UsageError, match="sample rate"):
        voice_to_face.estimate(voice(), rate)
    with pytest.raises(UsageError, match="sample rate"):
        voice_to_face.stream(sample_rate=rate)


def test_closed_twice_and_used_after_it(default_bundle: Bundle) -> None:
    with VoiceToFace(default_bundle, threads=1) as face:
        stream = face.stream()
        stream.feed(voice()[:32_000])
    face.close()
    speech = face.listen([voice()])
    for use in (
        lambda: face.estimate(voice(), 16_000),
        lambda: face.estimate_file(SAMPLES[0]),
        lambda: face.estimate_speech(speech),
        lambda: face.estimator.frame_embeddings(speech),
        face.warm_up,
        face.stream,
        face.live_session,
        face.__enter__,
        lambda: face.estimator.decode(speech, np.zeros(64, np.float32), np.zeros((64, 1), np.float32)),
        lambda: stream.feed(voice()[32_000:]),
        stream.finish,
    ):
        with pytest.raises(UsageError, match="its engines were closed"):
            use()


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy])
def test_what_holds_engines_is_not_taken_to_another_process(voice_to_face: VoiceToFace, take: Any) -> None:
    stream = voice_to_face.stream()
    for held in (
        voice_to_face,
        voice_to_face.estimator,
        stream,
        voice_to_face.live_session(),
        voice_to_face.stream_async(),
    ):
        with pytest.raises(UsageError, match=r"holds |belongs |uses |has a thread") as caught:
            take(held)
        assert isinstance(caught.value, TypeError), "what pickling raises elsewhere"
        assert "\n" not in str(caught.value)
    assert stream.feed(voice()[:32_000]), "it goes on all the same"


def test_a_bundle_is_taken_to_another_process_whatever_was_done_with_it() -> None:
    bundle = Bundle.open()
    fresh = pickle.dumps(bundle)
    bundle.read_ahead()
    assert pickle.dumps(bundle) == fresh
    _ = bundle.morphable, bundle.fused, bundle.plans, bundle.speech_modulation
    for again in (pickle.loads(pickle.dumps(bundle)), copy.deepcopy(bundle), copy.copy(bundle)):
        assert again == bundle
        np.testing.assert_array_equal(again.morphable.basis, bundle.morphable.basis)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        (coefficients,) = pool.map(_coefficients, [bundle])
    with VoiceToFace(bundle, threads=1) as face:
        np.testing.assert_array_equal(face.estimate(voice(), 16_000).coefficients, coefficients)


def _coefficients(bundle: Bundle) -> Any:
    with VoiceToFace(bundle, threads=1) as face:
        return face.estimate(voice(), 16_000).coefficients


def test_streams_have_the_settings_of_the_bundle(default_bundle: Bundle) -> None:
    vad = VadConfig(mode=3, frame=480, ring=10)
    bundle = default_bundle.replacing(vad=Settings.complete(vad))
    with VoiceToFace(bundle, threads=1) as face:
        expected = LiveSession(face.estimator, SELDOM, features=bundle.front_end, vad=vad).feed(voice())
        plain = LiveSession(face.estimator, SELDOM).feed(voice())
        ours = face.stream(SELDOM).feed(voice())[1:]
    assert lines(ours) == lines(expected)
    assert lines(expected) != lines(plain)


@lru_cache
def alone(face: VoiceToFace, which: int) -> list[dict[str, object]]:
    with face.stream(SELDOM) as stream:
        return lines(stream.feed(voice(which)) + stream.finish())


def test_streams_and_estimates_share_the_networks_from_any_thread(voice_to_face: VoiceToFace) -> None:
    found: dict[int, list[dict[str, object]]] = {}
    estimates: list[Estimate] = []

    def hear(which: int) -> None:
        with voice_to_face.stream(SELDOM) as stream:
            events = [event for block in np.array_split(voice(which), 40) for event in stream.feed(block)]
            found[which] = lines(events + stream.finish())

    def ask() -> None:
        estimates.extend(voice_to_face.estimate(speech_like(3.0), 16_000) for _ in range(5))

    threads = [threading.Thread(target=hear, args=(which,)) for which in (0, 1)] + [threading.Thread(target=ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for which in (0, 1):
        assert found[which] == alone(voice_to_face, which)
    for estimate in estimates:
        assert_same(estimate, estimates[0])


def test_closing_waits_for_what_is_under_way(default_bundle: Bundle) -> None:
    face = VoiceToFace(default_bundle, threads=1)
    begun, events = threading.Event(), []
    stream = face.stream()

    def hear() -> None:
        begun.set()
        events.extend(stream.feed(voice()))

    thread = threading.Thread(target=hear)
    with face._lock:  # it waits for the engines until here
        thread.start()
        begun.wait()
    thread.join()
    face.close()
    assert any(event.kind == "face" for event in events)
    assert not any(event.kind == "engine-failed" for event in events)


@pytest.mark.parametrize("threads", [0, -1, 257, 100_000, 2**70, 1.5, "2"])
def test_a_number_of_threads_that_cannot_be_is_refused(default_bundle: Bundle, threads: Any) -> None:
    with pytest.raises(UsageError, match="threads: at least 1, at most 256"):
        VoiceToFace(default_bundle, threads=threads)
    with pytest.raises(UsageError, match="threads: at least 1, at most 256"):
        FaceEstimator(default_bundle, threads=threads)
    with pytest.raises(UsageError, match="threads: at least 1, at most 256"):
        open_engine(default_bundle.graph("mesh"), threads=threads)


def test_lengths_of_a_stream_are_whole_numbers_of_samples() -> None:
    with pytest.raises(TypeError, match=r"window is 16000\.0, no whole number of samples"):
        LiveConfig(window=16_000.0)  # type: ignore[arg-type]


# -- what is no speech -----------------------------------------------------------------------------------------------------


def test_a_tone_gets_no_face_in_any_way(voice_to_face: VoiceToFace, tmp_path: Path) -> None:
    import soundfile

    tone = tones(440)
    soundfile.write(tmp_path / "tone.wav", tone, 16_000)
    heard = voice_to_face.listen([tone])
    for use in (
        lambda: voice_to_face.estimate(tone, 16_000),
        lambda: voice_to_face.estimate(tone / np.float32(32768), 16_000),
        lambda: voice_to_face.estimate_speech(heard),
        lambda: voice_to_face.estimate_file(tmp_path / "tone.wav"),
    ):
        with pytest.raises(NoSpeechError, match=r"no speech found in 4\.00 s \(music: ") as raised:
            use()
        assert raised.value.reason == "music"


def test_an_error_keeps_its_reason_when_it_is_pickled() -> None:
    again = pickle.loads(pickle.dumps(NoSpeechError("nothing", "silence")))
    assert (str(again), again.reason, again.exit_code) == ("nothing", "silence", 4)
    assert NoSpeechError("several").reason is None


def test_the_least_confidence_of_programs(voice_to_face: VoiceToFace, tmp_path: Path) -> None:
    sure = voice_to_face.estimate(voice(), 16_000).confidence
    assert voice_to_face.estimate(voice(), 16_000, min_confidence=sure).confidence == sure
    above = np.nextafter(sure, 1)
    for use in (
        lambda: voice_to_face.estimate(voice(), 16_000, min_confidence=above),
        lambda: voice_to_face.estimate_file(SAMPLES[0], min_confidence=above),
        lambda: voice_to_face.estimate_speech(voice_to_face.listen([voice()]), min_confidence=above),
    ):
        with pytest.raises(NoSpeechError, match="confidence") as raised:
            use()
        assert raised.value.reason == "confidence"
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(UsageError, match=r"0 \(none\) to 1"):
            voice_to_face.estimate(voice(), 16_000, min_confidence=wrong)
        with pytest.raises(ValueError, match="confidence"):
            LiveConfig(min_confidence=wrong)


def test_one_channel_of_what_a_program_has(voice_to_face: VoiceToFace, tmp_path: Path) -> None:
    import soundfile

    both = np.stack([tones(440)[: 3 * 16_000], voice()[: 3 * 16_000]], 1)
    soundfile.write(tmp_path / "both.wav", both, 16_000)
    alone = voice_to_face.estimate(both[:, 1], 16_000)
    assert_same(voice_to_face.estimate(both, 16_000, channel=1), alone)
    assert_same(voice_to_face.estimate_file(tmp_path / "both.wav", channel=np.int64(1))[1], alone)
    for use in (
        lambda: voice_to_face.estimate(both, 16_000, channel=0),
        lambda: voice_to_face.estimate_file(tmp_path / "both.wav", channel=0),
    ):
        with pytest.raises(NoSpeechError):
            use()
    for wrong in (2, -1, 1.5, "1"):
        with pytest.raises(UsageError, match="channel"):
            voice_to_face.estimate(both, 16_000, channel=wrong)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="channel"):
            voice_to_face.estimate_file(tmp_path / "both.wav", channel=wrong)  # type: ignore[arg-type]


def test_the_face_of_a_file_is_of_its_speech(voice_to_face: VoiceToFace, tmp_path: Path) -> None:
    import soundfile

    chord = np.resize(tones(261.6, 329.6, 392.0), 16_000 * 15)
    soundfile.write(tmp_path / "show.wav", np.concatenate([chord, voice(1)]), 16_000)
    speech, estimate = voice_to_face.estimate_file(tmp_path / "show.wav")
    assert speech.seconds == 23
    assert speech.segments[0][0] == estimate.start > 10 * 16_000
    assert estimate.voiced_seconds == speech.voiced_seconds < 13
    assert estimate.frames == len(speech.log_mel)
    assert np.dot(estimate.embedding, voice_to_face.estimate(voice(1), 16_000).embedding) > 0.7
