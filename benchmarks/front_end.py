"""Front end per 10 ms of sound: our log-mel beside kaldi-native-fbank and librosa, our voice activity detector beside Silero.

    python -m benchmarks.front_end

Log-mel, 64 bins, of 8 s of speech: streaming with 10 and 100 ms a call (a live session computes features once per estimate,
every 0.1 s), and all of it in one call. kaldi-native-fbank streams with 512-point FFTs in single precision; ours are 1024-point
FFTs in double precision, because published encoders need them. librosa cannot stream and computes the whole at once. Voice
activity: 20 ms a call for WebRTC's (alone, and in the collector, which asks about most frames twice), 32 ms a call for Silero.
Every side runs the whole clip, in turns, on one thread; times are per 10 ms of sound.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleave import Neighbours, percentiles, take_turns, times_as_long
from benchmarks.options import no_options
from benchmarks.record import record
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.audio.silero_vad import SileroDetector, open_silero
from voxface.runtime.audio.vad import VoiceActivityDetector
from voxface.runtime.config.front_end import FrontEndConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import ProviderError
from voxface.runtime.features.log_mel import LogMelStream, log_mel

CLIP: Final = Path(__file__).parent.parent / "examples" / "sample_female.flac"
BUDGET_US: Final = 16.0
ROUNDS: Final = 60
WARM_UP: Final = 5
CALLS_MS: Final = (10, 100)
CONFIG: Final = FrontEndConfig()

Samples = NDArray[np.int16]


def main() -> None:
    """Runs the benchmark and records it."""
    no_options(__doc__)
    sound = np.concatenate(list(read_blocks(CLIP)))
    tens = len(sound) / (SAMPLE_RATE // 100)
    left_out: dict[str, str] = {}
    with Neighbours() as neighbours:
        found: dict[str, Any] = {}
        for name, sides, ours in (
            ("log_mel", _features(sound, left_out), "voxface, 100 ms a call"),
            ("voice_activity", _detectors(sound, left_out), "voxface, 20 ms a call"),
        ):
            times = {side: 1000 * t / tens for side, t in take_turns(sides, ROUNDS, WARM_UP).items()}
            found[name] = {
                "us_per_10_ms": {side: percentiles(t) for side, t in times.items()},
                "compared_with": ours,
                "times_as_long": times_as_long(times, ours),
            }
    packages = ["numpy", "webrtcvad-wheels", "onnxruntime"]
    packages += [name for name in ("kaldi-native-fbank", "librosa", "silero-vad") if name not in left_out]
    record(
        "front_end",
        "python -m benchmarks.front_end",
        {"rounds": ROUNDS, "budget_us": BUDGET_US, **neighbours.to_json(), **found, "left_out": left_out},
        tuple(packages),
    )


def _features(sound: Samples, left_out: dict[str, str]) -> dict[str, Callable[[], object]]:
    sides: dict[str, Callable[[], object]] = {}
    for ms in CALLS_MS:
        sides[f"voxface, {ms} ms a call"] = lambda size=ms * SAMPLE_RATE // 1000: _ours(sound, size)
    sides["voxface, in one call"] = lambda: log_mel(sound)
    scaled = sound.astype(np.float32)
    try:
        import kaldi_native_fbank as kaldi

        options = kaldi.FbankOptions()
        options.frame_opts.dither = 0
        options.frame_opts.window_type = "hamming"
        options.frame_opts.remove_dc_offset = False
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = CONFIG.mels
        options.mel_opts.low_freq, options.mel_opts.high_freq = CONFIG.low_hz, CONFIG.high_hz
        for ms in CALLS_MS:
            size = ms * SAMPLE_RATE // 1000
            sides[f"kaldi-native-fbank, {ms} ms a call"] = lambda size=size: _kaldi(kaldi, options, scaled, size)
    except ImportError as error:
        left_out["kaldi-native-fbank"] = str(error)
    try:
        import librosa

        unit = scaled / np.float32(32768)
        sides["librosa, in one call"] = lambda: np.log(
            np.maximum(
                librosa.feature.melspectrogram(
                    y=unit, sr=SAMPLE_RATE, n_fft=CONFIG.fft, hop_length=CONFIG.hop, win_length=CONFIG.window,
                    window="hamming", center=False, n_mels=CONFIG.mels, fmin=CONFIG.low_hz, fmax=CONFIG.high_hz, htk=True,
                ),
                CONFIG.floor,
            )
        )  # fmt: skip
    except ImportError as error:
        left_out["librosa"] = str(error)
    return sides


def _ours(sound: Samples, size: int) -> None:
    stream = LogMelStream(CONFIG)
    for at in range(0, len(sound), size):
        stream.feed(sound[at : at + size])


def _kaldi(kaldi: Any, options: Any, scaled: NDArray[np.float32], size: int) -> None:
    stream = kaldi.OnlineFbank(options)
    taken = 0
    for at in range(0, len(scaled), size):
        stream.accept_waveform(SAMPLE_RATE, scaled[at : at + size])
        while taken < stream.num_frames_ready:
            stream.get_frame(taken)
            taken += 1


def _detectors(sound: Samples, left_out: dict[str, str]) -> dict[str, Callable[[], object]]:
    import webrtcvad

    frame = SAMPLE_RATE // 50
    pieces = [sound[at : at + frame] for at in range(0, len(sound), frame)]

    def webrtc() -> None:
        vad = webrtcvad.Vad(2)
        for piece in pieces:
            vad.is_speech(piece.tobytes(), SAMPLE_RATE)

    def ours() -> None:
        vad = VoiceActivityDetector()
        for piece in pieces:
            vad.feed(piece)

    sides: dict[str, Callable[[], object]] = {"voxface, 20 ms a call": ours, "webrtcvad alone, 20 ms a call": webrtc}
    try:
        engine = open_silero()

        def silero() -> None:
            detector = SileroDetector(engine)
            for piece in pieces:
                detector.feed(piece)

        sides["Silero in ONNX Runtime, 32 ms a call"] = silero
    except ProviderError as error:
        left_out["silero-vad"] = str(error)
    return sides


if __name__ == "__main__":
    main()
