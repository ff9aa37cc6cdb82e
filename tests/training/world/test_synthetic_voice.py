"""Synthetic voices: what is asked for (pitch, tract length, level, length) is what is heard."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webrtcvad
from numpy.typing import NDArray

from voxface.training.world import glottal_source, synthetic_voice
from voxface.training.world.articulation import ControlTracks, plan_articulation
from voxface.training.world.speaker import Sex, Speaker
from voxface.training.world.synthetic_voice import synthesise

RATE = 16_000
SEXES: tuple[Sex, Sex] = ("female", "male")


def voice(sex: Sex, seconds: float = 6.0, seed: int = 3) -> tuple[Speaker, NDArray[np.float32], ControlTracks]:
    speaker = Speaker.sample(np.random.default_rng(seed), sex)
    samples = synthesise(speaker, seconds, np.random.default_rng(seed))
    return speaker, samples, plan_articulation(speaker, seconds, np.random.default_rng(seed))


def voiced_frames(
    samples: NDArray[np.float32], tracks: ControlTracks, length: int
) -> list[tuple[int, NDArray[np.float64]]]:
    """(control frame at the centre, samples) every 10 ms, where voicing is strong throughout."""
    frames = []
    for start in range(0, len(samples) - length, RATE // 100):
        first, last = start * 1000 // RATE, (start + length) * 1000 // RATE
        if tracks.voicing[first:last].min() > 0.35:
            frames.append(((first + last) // 2, samples[start : start + length].astype(np.float64)))
    return frames


def autocorrelation_f0(frame: NDArray[np.float64]) -> float:
    """f0 in Hz by generalised autocorrelation (Tolonen & Karjalainen 2000): its root flattens misleading formants."""
    size = len(frame)
    magnitude = np.abs(np.fft.rfft((frame - frame.mean()) * np.hanning(size), 2 * size)) ** 0.67
    correlation = np.fft.irfft(magnitude)[:size]
    low, high = RATE // 400, RATE // 65
    part = correlation[low:high]
    peaks = np.flatnonzero((part[1:-1] >= part[:-2]) & (part[1:-1] > part[2:]) & (part[1:-1] > 0.85 * part.max())) + 1
    return RATE / (low + float(peaks[0] if len(peaks) else part.argmax()))


def lpc_formants(frame: NDArray[np.float64], order: int = 18) -> NDArray[np.float64]:
    """Resonances in Hz by linear prediction (autocorrelation method)."""
    emphasised = np.append(frame[0], frame[1:] - 0.97 * frame[:-1]) * np.hamming(len(frame))
    lags = np.correlate(emphasised, emphasised, "full")[len(frame) - 1 :][: order + 1]
    lags[0] *= 1.0001
    matrix = lags[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
    roots = np.roots(np.append(1.0, -np.linalg.solve(matrix, lags[1:])))
    roots = roots[roots.imag > 0]
    frequency, bandwidth = np.angle(roots) * RATE / (2 * np.pi), -np.log(np.abs(roots)) * RATE / np.pi
    return np.asarray(np.sort(frequency[(bandwidth < 500) & (frequency > 200)]))


def test_the_same_seed_gives_the_same_speech_and_another_seed_another() -> None:
    speaker = Speaker.sample(np.random.default_rng(1), "male")
    first, again, other = (synthesise(speaker, 2.0, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert Speaker.sample(np.random.default_rng(1), "male") == speaker


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.21])
def test_length_range_and_no_offset(seconds: float, rate: int) -> None:
    speaker = Speaker.sample(np.random.default_rng(2), "female")
    samples = synthesise(speaker, seconds, np.random.default_rng(2), rate)
    assert samples.dtype == np.float32
    assert samples.shape == (round(seconds * rate),)
    assert np.isfinite(samples).all()
    assert np.abs(samples).max() < 0.96
    assert abs(float(samples.mean())) < 1e-3


@pytest.mark.parametrize("sex", SEXES)
def test_speech_is_at_minus_20_dbfs_and_pauses_are_quiet(sex: Sex) -> None:
    _, samples, tracks = voice(sex)
    inside = np.zeros(len(samples), bool)
    for phrase in tracks.phrases:
        inside[round(phrase.start_s * RATE) : round((phrase.end_s + 0.05) * RATE)] = True
    speech, pause = (20 * np.log10(np.sqrt(np.mean(samples[part] ** 2))) for part in (inside, ~inside))
    assert -23.0 < speech < -19.0
    assert pause < speech - 35


def test_phrases_are_parted_by_natural_pauses() -> None:
    _, _, tracks = voice("female", seconds=30.0)
    pauses = [after.start_s - before.end_s for before, after in zip(tracks.phrases, tracks.phrases[1:], strict=False)]
    assert len(pauses) >= 5
    assert all(0.2 <= pause <= 0.5 for pause in pauses)
    assert all(0.5 < phrase.end_s - phrase.start_s < 3.0 for phrase in tracks.phrases)


@pytest.mark.parametrize("sex", SEXES)
@pytest.mark.parametrize("seed", [0, 3])
def test_fundamental_frequency_is_the_speakers(sex: Sex, seed: int) -> None:
    speaker, samples, tracks = voice(sex, seed=seed)
    frames = voiced_frames(samples, tracks, 640)
    measured = np.array([autocorrelation_f0(frame) for _, frame in frames])
    assert np.exp(np.log(measured).mean()) == pytest.approx(speaker.f0_hz, rel=0.05)
    true = tracks.f0_hz[[centre for centre, _ in frames]]
    assert np.mean(np.abs(measured / true - 1) < 0.05) > 0.9  # and moves as the melody does


@pytest.mark.parametrize("sex", SEXES)
def test_formants_are_where_the_tract_puts_them(sex: Sex) -> None:
    speaker = Speaker(
        sex=sex, f0_hz=110.0, f0_range_semitones=4.0, vocal_tract_length_cm=14.5 if sex == "female" else 17
    )
    samples = synthesise(speaker, 6.0, np.random.default_rng(8))
    tracks = plan_articulation(speaker, 6.0, np.random.default_rng(8))
    errors = []
    for centre, frame in voiced_frames(samples, tracks, 480):
        found, targets = lpc_formants(frame), tracks.tract.formants_hz[centre, :4]
        if len(found):
            errors.append([float(np.min(np.abs(found / target - 1))) for target in targets])
    assert np.median(errors, axis=0) == pytest.approx(0.0, abs=0.06)


def test_a_longer_tract_has_lower_formants() -> None:
    medians = []
    for length in (13.5, 15.2, 17.8):
        speaker = Speaker(sex="male", f0_hz=115.0, f0_range_semitones=4.0, vocal_tract_length_cm=length)
        samples = synthesise(speaker, 6.0, np.random.default_rng(4))
        tracks = plan_articulation(speaker, 6.0, np.random.default_rng(4))
        third = 2500 * speaker.formant_scale
        found = [lpc_formants(frame) for _, frame in voiced_frames(samples, tracks, 480)]
        medians.append(np.median([peaks[np.abs(peaks - third).argmin()] for peaks in found if len(peaks)]))
    assert medians[0] > medians[1] > medians[2]
    assert medians[0] / medians[2] == pytest.approx(17.8 / 13.5, rel=0.05)


@pytest.mark.parametrize("sex", SEXES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_voice_activity_detection_takes_it_for_speech(sex: Sex, seed: int) -> None:
    _, samples, tracks = voice(sex, seed=seed)
    detector, hop = webrtcvad.Vad(2), RATE // 50
    pcm = (samples * 32767).astype(np.int16)
    accepted = []
    for start in range(0, len(pcm) - hop + 1, hop):
        speech = detector.is_speech(pcm[start : start + hop].tobytes(), RATE)
        middle = (start + hop / 2) / RATE
        if any(phrase.start_s <= middle < phrase.end_s for phrase in tracks.phrases):
            accepted.append(speech)
    assert np.mean(accepted) >= 0.8


@pytest.mark.parametrize(("sex", "f0_hz", "tract_cm"), [("female", 210.0, 14.1), ("male", 120.0, 16.9)])
def test_sampled_speakers_follow_the_population(sex: Sex, f0_hz: float, tract_cm: float) -> None:
    rng = np.random.default_rng(0)
    speakers = [Speaker.sample(rng, sex) for _ in range(400)]
    assert np.mean([speaker.f0_hz for speaker in speakers]) == pytest.approx(f0_hz, abs=5)
    assert np.mean([speaker.vocal_tract_length_cm for speaker in speakers]) == pytest.approx(tract_cm, abs=0.15)
    assert len(set(speakers)) == 400


def test_glottal_pulses_return_to_zero_flow_and_open_longer_when_lax() -> None:
    count = RATE
    pulses = glottal_source.glottal_source(
        np.full(count, 100.0),
        np.full(count, 0.8),
        jitter=0.0,
        shimmer=0.0,
        rng=np.random.default_rng(0),
        sample_rate=RATE,
    )
    assert abs(float(pulses.flow_derivative[160:-160].mean())) < 2e-3
    assert float(pulses.flow_derivative.min()) == pytest.approx(-1.0, abs=0.15)
    quotients = [glottal_source.open_quotient(rd) for rd in (0.3, 0.6, 1.0, 2.0)]
    assert quotients == sorted(quotients)
    assert 0.3 < quotients[0] < quotients[-1] < 0.85


def test_bad_arguments_are_refused_by_name() -> None:
    speaker, rng = Speaker.sample(np.random.default_rng(0), "male"), np.random.default_rng(0)
    for seconds in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="seconds must lie between"):
            synthesise(speaker, seconds, rng)
    with pytest.raises(ValueError, match="sample_rate must lie between 16000 and 48000"):
        synthesise(speaker, 1.0, rng, 8000)
    with pytest.raises(ValueError, match="f0_hz must lie between 50 and 500 Hz"):
        replace(speaker, f0_hz=5.0)
    with pytest.raises(ValueError, match="vocal_tract_length_cm must lie between"):
        replace(speaker, vocal_tract_length_cm=float("nan"))
    with pytest.raises(ValueError, match="formant_offsets of F2"):
        replace(speaker, formant_offsets=(0.0, 0.5, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="sex must be 'female' or 'male', not 'other'"):
        Speaker.sample(rng, "other")  # type: ignore[arg-type]


def test_command_writes_one_flac_per_sex(tmp_path: Path) -> None:
    synthetic_voice.main(["--out", str(tmp_path / "new"), "--seed", "1", "--seconds", "1"])
    written = sorted(path.name for path in (tmp_path / "new").iterdir())
    assert written == ["sample_female.flac", "sample_male.flac"]
    for name in written:
        info = soundfile.info(tmp_path / "new" / name)
        assert (info.samplerate, info.frames, info.channels) == (RATE, RATE, 1)
        assert (info.format, info.subtype) == ("FLAC", "PCM_16")
