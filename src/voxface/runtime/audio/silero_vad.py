"""Silero's voice activity detector in ONNX Runtime, an alternative to `voxface.runtime.audio.vad` with the same events.

It is steadier in noise than WebRTC's. But it cuts speech at other places than the detector that the encoder was trained with,
so estimates differ from those of `voxface run` on the same sound. The network's file comes from the user or from the package
silero-vad, which is located but never imported, since that would load torch.
"""

import importlib.util
from collections import deque
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.vad_events import SpeechAudio, SpeechEnded, SpeechStarted, VadEvent
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import InputError, ProviderError

CHUNK: Final = 512  # samples that the network judges at once
CONTEXT_SAMPLES: Final = 64  # the newest samples before a chunk, which the network sees too
ENTER, LEAVE = 0.5, 0.35  # speech probability that opens a segment, and below which a chunk counts as a pause
PRE_ROLL: Final = 2  # chunks that a segment begins with: the first voiced one and the one before it
HANGOVER: Final = 4  # chunks of pause in a row that close a segment


def open_silero(path: Path | None = None) -> Engine:
    """Loads the network from `path`, or from the installed package.

    Raises:
        ProviderError: no path is given and the package is not installed.
        InputError: the file is not Silero's network.
    """
    if path is None:
        found = importlib.util.find_spec("silero_vad")
        if found is None or found.origin is None:
            raise ProviderError("no Silero VAD; pip install --no-deps silero-vad, or give --vad-model silero_vad.onnx")
        path = Path(found.origin).parent / "data" / "silero_vad.onnx"
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    engine = open_engine(path.read_bytes(), name=str(path), threads=1)
    if set(engine.inputs) != {"input", "state", "sr"} or len(engine.outputs) != 2:
        raise InputError(f"{path}: not Silero's network of version 5 or 6 (inputs {', '.join(engine.inputs)})")
    return engine


class SileroDetector:
    """Cuts a stream of int16 samples at 16 kHz into speech segments; the same events however the samples are split.

    Attributes:
        position: absolute index of the next sample to be fed.
    """

    def __init__(self, engine: Engine) -> None:
        """Starts at sample 0 with a fresh state; several detectors may share an engine."""
        self._engine = engine
        self._state = np.zeros((2, 1, 128), np.float32)
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
        probability = self._judge(chunk)
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

    def _judge(self, chunk: NDArray[np.int16]) -> float:
        samples = chunk.astype(np.float32) / np.float32(32768)
        feeds: dict[str, Any] = {
            "input": np.concatenate([self._context, samples])[None],
            "state": self._state,
            "sr": np.array(SAMPLE_RATE, np.int64),
        }
        probability, self._state = self._engine.run(feeds).values()
        self._context = samples[-CONTEXT_SAMPLES:]
        return float(probability.ravel()[0])
