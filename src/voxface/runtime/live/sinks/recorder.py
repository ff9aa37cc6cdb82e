"""A recording of a live run: its sound, its events, every face and mesh. `live.recording` reads it, and
`live.replay` gives the same results bit for bit.

recording.json     bundle, settings and format of the run; "complete" once the recording was closed
audio/*.wav        the sound that the session was fed, 16 kHz; a new file each hour and after every loss, named by its start
inputs.jsonl       the events between the samples: streams, losses, rejected samples, estimates left out
events.jsonl       every event
faces/*.png        the image of each estimate, named by the estimate's position
vertices.npy       float32 [K, N, 3], millimetres: the mesh of each estimate
mesh.glb           the last mesh
"""

import json
import os
import shutil
import struct
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError, UsageError
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.face.png import png
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.live.audio_input import Audio
from voxface.runtime.live.events import FaceEstimated, Lost, Rejected, Skipped, StreamEnded, StreamStarted
from voxface.runtime.live.sink_worker import SinkEvent
from voxface.runtime.live.sinks.json_lines import event_json, line
from voxface.runtime.provenance.mark import OF_NO_BUNDLE, Mark

FORMAT: Final = 1
MANIFEST: Final = "recording.json"
VERTICES: Final = "vertices.npy"
FOLDERS: Final = ("audio", "faces")
LONGEST_FILE: Final = 3600 * SAMPLE_RATE
INPUTS: Final = (StreamStarted, StreamEnded, Lost, Rejected, Skipped)


class Recorder:
    """A sink that writes a recording to a folder."""

    name = "recorder"
    keeps_all = True
    wants_audio = True

    def __init__(self, folder: Path, about: dict[str, Any], model: MorphableModel | None = None) -> None:
        """Makes the folder, which must not exist yet or be empty; what a kill has left before anything was heard is empty.

        Args:
            about: the contents of `recording.json`.
            model: gives the colours and triangles of `mesh.glb`; None: there will be no such file.

        Raises:
            UsageError: the folder is not empty.
            InputError: the folder cannot be written.
        """
        if folder.exists() and (not folder.is_dir() or not _is_empty(folder)):
            raise UsageError(f"--record {folder}: exists already; give a new folder")
        self._folder, self._about, self._model = folder, {"format": FORMAT, **about}, model
        self._wav: _Wav | None = None
        self._vertices: _Rows | None = None
        self._last: NDArray[np.float32] | None = None
        self._mark: Mark = OF_NO_BUNDLE
        self._next = -1
        self._closed = self._broken = False
        try:
            for part in FOLDERS:
                (folder / part).mkdir(parents=True, exist_ok=True)
            self._write_manifest(complete=False)
            self._events = (folder / "events.jsonl").open("w")
            self._inputs = (folder / "inputs.jsonl").open("w")
        except OSError as error:
            raise InputError(f"--record {folder}: cannot be written ({error.strerror})") from error

    def audio(self, audio: Audio) -> None:
        """Adds sound to the recording."""
        with self._noticing():
            self._add_audio(audio)

    def event(self, sink_event: SinkEvent) -> None:
        """Adds an event; of a face also the image and the mesh."""
        with self._noticing():
            self._add_event(sink_event)

    def close(self) -> None:
        """Closes every file. After a failure the recording stays readable, but is not marked complete."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError) if self._broken else nullcontext():
            for part in (self._wav, self._vertices, self._events, self._inputs):
                if part is not None:
                    part.close()
            if self._last is not None and self._model is not None:
                triangles = self._model.triangles
                mesh = glb(self._last, vertex_normals(self._last, triangles), self._model.albedo, triangles, self._mark)
                write_bytes(self._folder / "mesh.glb", mesh)
            self._write_manifest(complete=not self._broken)

    def discard(self) -> None:
        """Deletes the closed recording, for a run that heard nothing: the next try can use the same folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._broken = True
            raise

    def _add_audio(self, audio: Audio) -> None:
        if self._wav is None or audio.start != self._next or self._wav.samples >= LONGEST_FILE:
            if self._wav:
                self._wav.close()
            self._wav = _Wav(self._folder / "audio" / f"{audio.start:016d}.wav")
        self._wav.write(audio.samples)
        self._next = audio.start + len(audio.samples)

    def _add_event(self, sink_event: SinkEvent) -> None:
        event = sink_event.event
        if isinstance(event, INPUTS):
            document = {"fed": sink_event.fed, **event_json(event)}
            self._inputs.write(json.dumps(document, separators=(",", ":")) + "\n")
            self._inputs.flush()
        if isinstance(event, FaceEstimated):
            write_bytes(image_path(self._folder, event), png(event.estimate.image, event.estimate.mark))
            vertices = event.estimate.vertices
            if self._vertices is None:
                self._vertices = _Rows(self._folder / VERTICES, vertices.shape)
            self._vertices.add(vertices)
            self._last, self._mark = vertices, event.estimate.mark
        self._events.write(line(sink_event))
        self._events.flush()

    def _write_manifest(self, *, complete: bool) -> None:
        text = json.dumps({**self._about, "complete": complete}, indent=1, allow_nan=False)
        write_bytes(self._folder / MANIFEST, text.encode() + b"\n")


def _is_empty(folder: Path) -> bool:
    """Whether nothing lies in the folder but the folders of a recording, which are empty, and hidden leftovers of writing."""
    return all(
        (each.name in FOLDERS and each.is_dir() and not any(each.iterdir()))
        or (each.name.startswith(".") and each.name.endswith(".part"))
        for each in folder.iterdir()
    )


def image_path(folder: Path, event: FaceEstimated) -> Path:
    """The file in which a recording keeps the image of a face."""
    return folder / "faces" / f"{event.position:016d}.png"


class _Wav:
    """A WAV file whose header is correct after every block, however the process ends."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.samples = 0
        self._header()

    def write(self, samples: NDArray[np.int16]) -> None:
        self._file.write(samples.astype("<i2").tobytes())
        self.samples += len(samples)
        self._header()

    def close(self) -> None:
        self._file.close()

    def _header(self) -> None:
        size = 2 * self.samples
        header = struct.pack(
            "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16,
            b"data", size,
        )  # fmt: skip
        _rewrite_start(self._file, header)


class _Rows:
    """A .npy file float32 [K, ...] that grows row by row; its header is correct after every row."""

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self._file = path.open("wb")
        self._shape, self._rows = shape, 0
        self._header()

    def add(self, row: NDArray[np.float32]) -> None:
        self._file.write(np.ascontiguousarray(row, "<f4").tobytes())
        self._rows += 1
        self._header()

    def close(self) -> None:
        self._file.close()

    def _header(self) -> None:
        text = repr({"descr": "<f4", "fortran_order": False, "shape": (self._rows, *self._shape)})
        padded = text.ljust(128 - 10 - 1) + "\n"
        _rewrite_start(self._file, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode())


def _rewrite_start(file: IO[bytes], header: bytes) -> None:
    file.seek(0)
    file.write(header)
    file.seek(0, os.SEEK_END)
    file.flush()
