"""What telephones and codecs do to speech; rooms, noise and equalisers are in `data.voice_augmentation`."""

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
SAMPLE_RATE: Final = 16_000
TELEPHONE_RATE: Final = 8_000
BAND_HZ: Final = (300.0, 3_400.0)  # of a telephone line (ITU-T G.712)
# Format, subtype and range of the compression level of libsndfile: 0 is the highest rate. Above 0.99994 MP3 is refused.
CODECS: Final = (("OGG", "OPUS", 0.5, 1.0), ("OGG", "VORBIS", 0.5, 1.0), ("MP3", "MPEG_LAYER_III", 0.6, 0.999))
TELEPHONE_CODECS: Final = ("ULAW", "ALAW", "GSM610")


def telephone(samples: Samples, rng: np.random.Generator) -> Samples:
    """Speech int16 [n] at 16 kHz as a telephone line gives it: 300 to 3,400 Hz, coded by µ-law, A-law or GSM."""
    import soxr

    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    spectrum[(hz < rng.uniform(0.5, 1) * BAND_HZ[0]) | (hz > BAND_HZ[1])] = 0
    narrow = soxr.resample(np.fft.irfft(spectrum, len(samples)), SAMPLE_RATE, TELEPHONE_RATE)
    coded = _through("WAV", str(rng.choice(TELEPHONE_CODECS)), narrow, TELEPHONE_RATE)
    return _of_length(soxr.resample(coded, TELEPHONE_RATE, SAMPLE_RATE), len(samples))


def codec(samples: Samples, rng: np.random.Generator) -> Samples:
    """Speech int16 [n] at 16 kHz after Opus, Vorbis or MP3 at a low rate."""
    container, subtype, least, most = CODECS[int(rng.integers(len(CODECS)))]
    wave = samples.astype(np.float64)
    return _of_length(_through(container, subtype, wave, SAMPLE_RATE, float(rng.uniform(least, most))), len(samples))


def _through(
    container: str, subtype: str, wave: NDArray[Any], rate: int, compression: float | None = None
) -> NDArray[np.float64]:
    import soundfile

    file = io.BytesIO()
    more = {} if compression is None else {"compression_level": compression}
    soundfile.write(file, np.clip(wave / 32768, -1, 1), rate, format=container, subtype=subtype, **more)
    file.seek(0)
    decoded: NDArray[np.float64] = soundfile.read(file, dtype="float64")[0] * 32768
    return decoded


def _of_length(wave: NDArray[np.float64], count: int) -> Samples:
    """The first `count` samples; a codec may give some more or fewer at the end."""
    whole = np.zeros(count)
    whole[: min(count, len(wave))] = wave[:count]
    return np.clip(np.rint(whole), -32768, 32767).astype(np.int16)
