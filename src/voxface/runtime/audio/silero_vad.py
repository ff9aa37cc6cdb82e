"""Silero's voice activity detector in ONNX Runtime, an alternative to `voxface.runtime.audio.vad` with the same events.

It is steadier in noise than WebRTC's. But it cuts speech at other places than the detector that the encoder was trained with,
so estimates differ from those of `voxface run` on the same sound. The network's file comes from the user or from the package
silero-vad, which is located but never imported, since that would load torch.
"""

import importlib.util
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.vad_events import SpeechAudio, SpeechEnded, SpeechStarted, VadEvent
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, InputError, ProviderError

CHUNK: Final = 512  # samples that the network judges at once
CONTEXT_SAMPLES: Final = 64  # the newest samples before a chunk, which the network sees too
ENTER, LEAVE = 0.5, 0.35  # speech probability that opens a segment, and below which a chunk counts as a pause
PRE_ROLL: Final = 2  # chunks that a segment begins with: the first voiced one and the one before it
HANGOVER: Final = 4  # chunks of pause in a row that close a segment
STATE, OLD_STATE = 128, 64  # the size of the recurrent state in versions 5 and 6, and before
FLOATS: Final = ("float32", "float16")
LARGEST: Final = 1 << 26  # bytes; Silero's files have two million


@dataclass(frozen=True)
class SileroInputs:
    """Which input of a network does what. Silero's files differ: some take no rate, some have their state in two parts.

    Attributes:
        sound: input of CONTEXT_SAMPLES and CHUNK samples, [1, 576].
        rate: input for the sample rate; None: the network is for 16 kHz only.
        states: inputs that are fed with what the call before gave, in the order of those outputs.
        probability: output that is the probability of speech.
        next_states: outputs that are the next states.
    """

    sound: str
    rate: str | None
    states: tuple[str, ...]
    probability: str
    next_states: tuple[str, ...]


def open_silero(path: Path | None = None) -> Engine:
    """Loads the network from `path`, or from the installed package, and tries it.

    Raises:
        ProviderError: no path is given and the package is not installed.
        InputError: the file is not Silero's network of version 5 or 6 for 16 kHz.
    """
    if path is None:
        found = importlib.util.find_spec("silero_vad")
        if found is None or found.origin is None:
            raise ProviderError("no Silero VAD; pip install --no-deps silero-vad, or give --vad-model silero_vad.onnx")
        path = Path(found.origin).parent / "data" / "silero_vad.onnx"
        if not path.is_file():
            raise ProviderError(f"the package silero-vad has no {path}; give --vad-model silero_vad.onnx")
    try:
        engine = open_engine(_read(path), name=str(path), threads=1)
    except BundleError as error:
        raise InputError(f"{error}; --vad-model takes the silero_vad.onnx of version 5 or 6") from error
    try:
        inputs_of(engine)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error
    detector = SileroDetector(engine)
    try:
        probability = detector.judge(np.zeros(CHUNK, np.int16))
    except Exception as error:  # ONNX Runtime raises its own classes, RuntimeError and ValueError alike
        why = str(error).strip().splitlines()[0]
        raise InputError(
            f"{path}: not Silero's network, for it does not run on a chunk of {CHUNK} samples: {why}"
        ) from error
    if not 0 <= probability <= 1:
        raise InputError(
            f"{path}: not Silero's network, for it calls silence speech with a probability of {probability:g}"
        )
    return engine


def inputs_of(engine: Engine) -> SileroInputs:
    """Finds out which input does what, by types and shapes: names differ.

    Raises:
        ValueError: it is no network of version 5 or 6 for 16 kHz; the message says what it is instead.
    """
    rates = [name for name, spec in engine.inputs.items() if spec.dtype == "int64" and len(spec.shape) <= 1]
    floats = {name: spec.shape for name, spec in engine.inputs.items() if spec.dtype in FLOATS}
    sounds = [name for name, shape in floats.items() if len(shape) == 2]
    states = [name for name, shape in floats.items() if len(shape) == 3]
    ranks = {name: len(spec.shape) for name, spec in engine.outputs.items() if spec.dtype in FLOATS}
    probabilities = [name for name, rank in ranks.items() if rank < 3]
    next_states = [name for name, rank in ranks.items() if rank == 3]
    sizes = {floats[name][-1] for name in states}
    named = f"it has inputs {', '.join(engine.inputs)}"
    if sizes == {OLD_STATE}:
        raise ValueError(f"Silero's network of version 3 or 4 ({named}); version 5 or 6 is needed")
    complete = len(rates) <= 1 and len(rates) + len(sounds) + len(states) == len(engine.inputs)
    if not complete or len(sounds) != 1 or not states or not sizes <= {STATE}:
        raise ValueError(f"not Silero's network of version 5 or 6 ({named})")
    if len(probabilities) != 1 or len(next_states) != len(states):
        raise ValueError(f"not Silero's network of version 5 or 6 (it has outputs {', '.join(engine.outputs)})")
    length = floats[sounds[0]][-1]
    if isinstance(length, int) and length != CONTEXT_SAMPLES + CHUNK:
        kind = " for 8 kHz" if length == (CONTEXT_SAMPLES + CHUNK) // 2 else ""
        raise ValueError(
            f"a network{kind} that takes {length} samples; the one for 16 kHz takes {CONTEXT_SAMPLES + CHUNK}"
        )
    return SileroInputs(sounds[0], rates[0] if rates else None, tuple(states), probabilities[0], tuple(next_states))


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"{path}: a folder; --vad-model takes a file, silero_vad.onnx")
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if not path.is_file():
        raise InputError(f"{path}: not a regular file")
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path}: {path.stat().st_size} bytes, more than any network of Silero's has")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


class SileroDetector:
    """Cuts a stream of int16 samples at 16 kHz into speech segments; the same events however the samples are split.

    Attributes:
        position: absolute index of the next sample to be fed.
    """

    def __init__(self, engine: Engine) -> None:
        """Starts at sample 0 with a fresh state; several detectors may share an engine."""
        self._engine = engine
        self._inputs = inputs_of(engine)
        self._states = {
            name: np.zeros([d if isinstance(d, int) else 1 for d in engine.inputs[name].shape], np.float32)
            for name in self._inputs.states
        }
        self._context = np.zeros(CONTEXT_SAMPLES, np.float32)
        self._held = np.empty(0, np.int16)
        self._ring: deque[tuple[int, NDArray[np.int16]]] = deque(maxlen=PRE_ROLL)
        self._start: int | None = None
        self._pauses = 0
        self.position = 0

    def feed(self, samples: NDArray[np.int16]) -> list[VadEvent]:
        """Takes any number of samples, int16 [n]; returns the events that they complete, in order."""
        events: list[VadEvent] = []
        at = self.position - len(self._held)
        audio = np.concatenate([self._held, samples])
        self.position += len(samples)
        whole = len(audio) // CHUNK * CHUNK
        for first in range(0, whole, CHUNK):
            self._step(at + first, audio[first : first + CHUNK], events)
        self._held = audio[whole:].copy()
        return events

    def finish(self) -> list[VadEvent]:
        """Ends the input and closes an open segment. Samples that never filled a chunk are not speech."""
        if self._start is None:
            return []
        ended = SpeechEnded(self._start, self.position - len(self._held))
        self._start = None
        return [ended]

    def _step(self, start: int, chunk: NDArray[np.int16], events: list[VadEvent]) -> None:
        probability = self.judge(chunk)
        if self._start is None:
            self._ring.append((start, chunk))
            if probability >= ENTER:
                self._start = self._ring[0][0]
                self._pauses = 0
                events.append(SpeechStarted(self._start))
                events.append(SpeechAudio(self._start, np.concatenate([held for _, held in self._ring])))
                self._ring.clear()
            return
        events.append(SpeechAudio(start, chunk))
        self._pauses = self._pauses + 1 if probability < LEAVE else 0
        if self._pauses >= HANGOVER:
            events.append(SpeechEnded(self._start, start + CHUNK))
            self._start = None

    def judge(self, chunk: NDArray[np.int16]) -> float:
        """The probability of speech in the next chunk, int16 [CHUNK]."""
        samples = chunk.astype(np.float32) / np.float32(32768)
        inputs = self._inputs
        feeds: dict[str, Any] = {inputs.sound: np.concatenate([self._context, samples])[None], **self._states}
        feeds = {name: fed.astype(self._engine.inputs[name].dtype) for name, fed in feeds.items()}
        if inputs.rate is not None:
            feeds[inputs.rate] = np.full([1] * len(self._engine.inputs[inputs.rate].shape), SAMPLE_RATE, np.int64)
        given = self._engine.run(feeds)
        self._states = {name: given[after] for name, after in zip(inputs.states, inputs.next_states, strict=True)}
        self._context = samples[-CONTEXT_SAMPLES:]
        return float(given[inputs.probability].ravel()[0])
