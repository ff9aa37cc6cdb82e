"""The newest seconds of speech of a stream: log-mel frames, places in the stream, periodicity."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.front_end import PROVISIONAL, STRIDE, FrontEndConfig
from voxface.runtime.features.log_mel import FrameWindow, LogMelStream
from voxface.runtime.features.periodicity import RunningPeriodicity
from voxface.runtime.features.speech import Speech
from voxface.runtime.features.speech_modulation import RunningSpeechModulation

Float32 = NDArray[np.float32]


class SpeechWindow:
    """Collects the speech of a stream and keeps no more than an estimate needs.

    Places in it are numbers of samples of speech since the beginning of the stream: pauses do not count.

    Attributes:
        voiced: samples of speech so far.
        origin: place at which the present speaker's speech begins, a multiple of the frame hop.
    """

    def __init__(self, config: FrontEndConfig, longest: int) -> None:
        """`longest`: samples of speech that a full window holds; it may hold up to 31 frames more."""
        self._hop = config.hop
        self._frames_kept = longest // config.hop + STRIDE
        self._mel = LogMelStream(config)
        # Twice the room, so that frames are moved to the front once per window length and not at every hop.
        self._room = 2 * self._frames_kept + 1024
        tail = -(-config.window // config.hop)
        self._frames = np.empty((self._room + tail, config.mels), np.float32)
        self._peaks = np.empty(len(self._frames), np.float32)
        self._first = self._count = 0  # number of frames dropped, and held
        self._waiting: list[NDArray[np.int16]] = []
        self._ranges: deque[tuple[int, int, int]] = deque()  # absolute start and end, and the place of the start
        self._speech_modulation = RunningSpeechModulation()
        self._periodicity = RunningPeriodicity(longest)
        self._longest = longest
        self.voiced = 0
        self.origin = 0

    def add(self, start: int, samples: NDArray[np.int16]) -> None:
        """Takes speech int16 [n] that begins at absolute sample `start`."""
        if self._ranges and self._ranges[-1][1] == start:
            first, _, voiced = self._ranges[-1]
            self._ranges[-1] = (first, start + len(samples), voiced)
        else:
            self._ranges.append((start, start + len(samples), self.voiced))
        self._waiting.append(samples)
        self.voiced += len(samples)

    def restart(self, voiced: int) -> int:
        """Forgets the speech before place `voiced`; returns the absolute sample at which the rest begins."""
        self._flush()
        self.origin = min(self._first + self._count, -(-voiced // self._hop)) * self._hop
        self._trim()
        return self._ranges[0][0] if self._ranges else 0

    def _flush(self) -> Float32:
        """Computes the frames of the speech added; returns the tail frames that it would have if it ended here."""
        audio = np.concatenate(self._waiting) if self._waiting else np.empty(0, np.int16)
        self._waiting.clear()
        self._periodicity.feed(audio)
        fresh, tail = self._mel.feed_with_tail(audio)
        self._hold(fresh)
        self._trim()
        return tail

    def speech(self, heard: int) -> Speech:
        """The window, as `voxface.runtime.features.front_end.FrontEnd.finish` would give it for the same samples.

        Its frames are not copied: they are valid until more speech is added.

        Args:
            heard: number of samples heard so far, pauses included.
        """
        tail = self._flush()
        count = self._count + len(tail)
        self._put(self._count, tail)
        start = self._start(self._first + count)
        first = start // self._hop
        frames = self._frames[first - self._first : count]
        window = FrameWindow(first, frames, max(0, len(frames) - PROVISIONAL))
        segments = [
            (begin + max(0, start - voiced), end) for begin, end, voiced in self._ranges if voiced + end - begin > start
        ]
        return Speech(
            samples=heard - segments[0][0] if segments else 0,
            segments=segments,
            voiced_samples=self.voiced - start,
            periodic=self._periodicity.share(self.voiced - self.origin),
            window=window,
            known_peaks=self._peaks[first - self._first : count],
            known_movement=self._speech_modulation.measure(window),
        )

    def _put(self, place: int, frames: Float32) -> None:
        self._frames[place : place + len(frames)] = frames
        np.maximum.reduce(frames, 1, out=self._peaks[place : place + len(frames)])

    def _start(self, end: int) -> int:
        """The place at which a window that ends before frame `end` begins: a multiple of the voice encoder's stride after the
        origin, see `FrameWindow`. Frame embeddings at fixed places change less, and so does the face."""
        longer = end - self.origin // self._hop - self._longest // self._hop
        return self.origin + max(0, longer) // STRIDE * STRIDE * self._hop

    def _hold(self, fresh: Float32) -> None:
        while len(fresh):
            part = fresh[: self._room - self._count]
            self._put(self._count, part)
            self._count += len(part)
            fresh = fresh[len(part) :]
            if self._count == self._room:
                self._drop(self._count - self._frames_kept)

    def _trim(self) -> None:
        self._drop(self.origin // self._hop - self._first)
        oldest = self._start(self._first + self._count)
        while self._ranges and self._ranges[0][2] + self._ranges[0][1] - self._ranges[0][0] <= oldest:
            self._ranges.popleft()
        if self._ranges and self._ranges[0][2] < oldest:  # a segment that never ends must not grow for ever
            start, end, voiced = self._ranges[0]
            self._ranges[0] = (start + oldest - voiced, end, oldest)

    def _drop(self, count: int) -> None:
        if count > 0:
            for held in (self._frames, self._peaks):
                held[: self._count - count] = held[count : self._count].copy()
            self._first += count
            self._count -= count
