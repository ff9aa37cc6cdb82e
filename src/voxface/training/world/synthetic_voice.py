"""Source–filter synthesis of voices: an LF glottal source, a moving vocal tract, and noise at constrictions.

    python -m voxface.training.world.synthetic_voice --out examples --seed 1

writes `sample_female.flac` and `sample_male.flac`. The pseudo-speech has no meaning; pitch, formants, rhythm and loudness are
like those of speech (source–filter theory: Fant 1960; formant synthesis: Klatt 1980).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.files.atomic import write_atomically
from voxface.training.world.articulation import CONTROL_RATE, ConstrictionNoise, ControlTracks, plan_articulation
from voxface.training.world.glottal_source import glottal_source
from voxface.training.world.speaker import Sex, Speaker
from voxface.training.world.vocal_tract import filter_source

__all__ = ["Sex", "Speaker", "render", "synthesise"]

SPEECH_LEVEL_DBFS: Final = -20.0
"""RMS level within phrases, dB relative to full scale (a constant signal of 1)."""

_PEAK: Final = 0.95
_ROOM_DBFS: Final = -72.0  # a silent room is not digital zero
_JITTER: Final = 0.006
_SHIMMER: Final = 0.04
_BREATH: Final = (0.012, 0.09)  # aspiration relative to the pulse's peak, for breathiness 0 and 1


def synthesise(
    speaker: Speaker, seconds: float, rng: np.random.Generator, sample_rate: int = 16_000
) -> NDArray[np.float32]:
    """Synthesises connected pseudo-speech.

    Args:
        speaker: parameters of the voice.
        seconds: length of the result, 0.3 s to 600 s, pauses included.
        rng: source of every random choice; the same state gives the same samples.
        sample_rate: Hz, 16 000 to 48 000.

    Returns:
        float32 [round(seconds · sample_rate)] in [−1, 1], about −20 dBFS RMS within phrases.

    Raises:
        ValueError: `seconds` or `sample_rate` out of range.
    """
    if not 0.3 <= seconds <= 600:
        raise ValueError(f"seconds must lie between 0.3 and 600, not {seconds}")
    if not 16_000 <= sample_rate <= 48_000:
        raise ValueError(f"sample_rate must lie between 16000 and 48000 Hz, not {sample_rate}")
    return render(speaker, plan_articulation(speaker, seconds, rng), seconds, rng, sample_rate)


def render(
    speaker: Speaker, tracks: ControlTracks, seconds: float, rng: np.random.Generator, sample_rate: int = 16_000
) -> NDArray[np.float32]:
    """Renders control tracks as sound; the other arguments and the result are those of `synthesise`."""
    count = round(seconds * sample_rate)
    control = np.arange(count) * (CONTROL_RATE / sample_rate)
    frames = np.arange(len(tracks.f0_hz))
    f0_hz, voicing, aspiration, rd = (
        np.interp(control, frames, track) for track in (tracks.f0_hz, tracks.voicing, tracks.aspiration, tracks.rd)
    )
    source = glottal_source(f0_hz, rd, jitter=_JITTER, shimmer=_SHIMMER, rng=rng, sample_rate=sample_rate)
    turbulence = rng.standard_normal(count)
    breath = _BREATH[0] + (_BREATH[1] - _BREATH[0]) * speaker.breathiness
    excitation = voicing * (source.flow_derivative + breath * turbulence * source.opening) + aspiration * turbulence
    speech = filter_source(excitation, tracks.tract, sample_rate)

    full_voicing = np.sqrt(np.mean(speech[voicing > 0.5] ** 2)) if (voicing > 0.5).any() else 1.0
    for noise in tracks.noises:
        start, end = max(0, round(noise.start_s * sample_rate)), min(count, round(noise.end_s * sample_rate))
        speech[start:end] += full_voicing * _shaped(noise, speaker.formant_scale, end - start, rng, sample_rate)
    speech = _without_rumble(speech, sample_rate)

    spoken = np.concatenate(
        [speech[round(p.start_s * sample_rate) : round(p.end_s * sample_rate)] for p in tracks.phrases]
    )
    speech *= 10 ** (SPEECH_LEVEL_DBFS / 20) / np.sqrt(np.mean(spoken**2))
    speech += 10 ** (_ROOM_DBFS / 20) * _without_rumble(rng.standard_normal(count), sample_rate)
    speech *= min(1.0, _PEAK / float(np.abs(speech).max()))  # a lower level is better than clipping
    return speech.astype(np.float32)


def _shaped(
    noise: ConstrictionNoise, formant_scale: float, count: int, rng: np.random.Generator, sample_rate: int
) -> NDArray[np.float64]:
    """Noise float64 [count] with the given spectrum, flanks and level, relative to voicing of RMS 1.

    The spectral peaks scale with the size of the tract as formants do.
    """
    size = 1 << max(8, (count - 1).bit_length())
    frequency = np.fft.rfftfreq(size, 1 / sample_rate)
    power = 1e-3 * (frequency > 300)
    for peak in noise.frication.peaks:
        centre, width = peak.centre_hz * formant_scale, peak.width_hz * formant_scale
        power += 10 ** (peak.gain_db / 10) * np.exp(-0.5 * ((frequency - centre) / width) ** 2)
    shaped = np.fft.irfft(np.fft.rfft(rng.standard_normal(size)) * np.sqrt(power / power.mean()), size)[:count]
    time = (np.arange(count) + 0.5) / sample_rate
    left = count / sample_rate - time
    flanks = np.minimum(np.clip(time / noise.rise_s, 0.0, 1.0), np.clip(left / noise.fall_s, 0.0, 1.0))
    return np.asarray(10 ** (noise.frication.level_db / 20) * np.sin(np.pi / 2 * flanks) ** 2 * shaped)


def _without_rumble(signal: NDArray[np.float64], sample_rate: int) -> NDArray[np.float64]:
    """The signal after a second-order high-pass at 60 Hz, like a microphone's; it removes any offset."""
    size = 1 << (len(signal) + sample_rate // 10 - 1).bit_length()
    frequency = np.fft.rfftfreq(size, 1 / sample_rate) / 60.0
    response = -(frequency**2) / (1 - frequency**2 + 1j * np.sqrt(2.0) * frequency)
    return np.fft.irfft(np.fft.rfft(signal, size) * response, size)[: len(signal)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes one sample per sex as 16-bit FLAC at 16 kHz."""
    import soundfile

    parser = argparse.ArgumentParser(description="Write synthetic speech samples, one per sex, as 16 kHz FLAC.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same samples (default: 1)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each sample (default: 8)")
    chosen = parser.parse_args(arguments)
    sexes: tuple[Sex, ...] = get_args(Sex)
    for index, sex in enumerate(sexes):
        rng = np.random.default_rng([chosen.seed, index])
        samples = synthesise(Speaker.sample(rng, sex), chosen.seconds, rng)

        def write(part: Path, samples: NDArray[np.float32] = samples) -> None:
            soundfile.write(part, samples, 16_000, format="FLAC", subtype="PCM_16")

        write_atomically(chosen.out / f"sample_{sex}.flac", write)


if __name__ == "__main__":
    main()
