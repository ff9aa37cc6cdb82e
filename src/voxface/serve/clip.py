"""The face of a whole clip that came by HTTP: the same computation and the same document as of `voxface run`.

The clip lies in memory that has a name only for this process, so nothing of it is written to a disk.
"""

import base64
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import MIN_CONFIDENCE
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError, NoSpeechError, UsageError, VoxfaceError
from voxface.runtime.face.glb import glb
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.png import png
from voxface.runtime.features.speech import Speech
from voxface.runtime.inference.estimate import Estimate, estimate_json
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.serve.protocol.binary import BinaryMessage

PNG: Final = "image/png"
GLB: Final = "model/gltf-binary"
BINARY: Final = "application/octet-stream"
LONGEST_NAME: Final = 120


class ClipTooLongError(InputError):
    """A clip that is longer than the server takes, however small its file is."""


class ClipStoppedError(VoxfaceError):
    """Work on a clip that nobody waits for any more."""


@dataclass(frozen=True)
class ClipOptions:
    """How a clip is heard: the options of `voxface run` of the same names. `channel` counts from 1; None: the mean of all."""

    channel: int | None = None
    min_confidence: float = MIN_CONFIDENCE
    any_age: bool = False


class Face(Protocol):
    """The face of a clip, wherever it was made."""

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        ...

    @property
    def png(self) -> bytes:
        """The picture."""
        ...

    @property
    def glb(self) -> bytes:
        """The mesh, in metres."""
        ...

    def to_json(self, *, uncertainty: bool = False) -> dict[str, Any]:
        """Its entry in a document of `voxface run`, where files are `data:` URLs; with the uncertainty if asked for."""
        ...


@dataclass(frozen=True)
class ClipFace:
    """The face of a clip."""

    name: str
    speech: Speech
    estimate: Estimate
    total_ns: int

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return self.speech.seconds

    @cached_property
    def png(self) -> bytes:
        """The picture."""
        return png(self.estimate.image, self.estimate.mark)

    @cached_property
    def glb(self) -> bytes:
        """The mesh, in metres."""
        model, vertices = self.estimate.model, self.estimate.vertices
        if model is None:
            raise UsageError("an estimate without its model has no mesh")
        normals = vertex_normals(vertices, model.triangles)
        return glb(vertices, normals, model.albedo, model.triangles, self.estimate.mark)

    @property
    def uncertainty(self) -> bytes | None:
        """How far each vertex may be off, as a binary message of the live protocol; None if the bundle does not know."""
        posterior = self.estimate.posterior
        return None if posterior is None else BinaryMessage("uncertainty", 0, posterior.vertex_sd_mm[:, None]).pack()

    def to_json(self, *, uncertainty: bool = False) -> dict[str, Any]:
        """Its entry in a document of `voxface run`, where files are `data:` URLs; with the uncertainty if asked for."""
        spread = self.uncertainty if uncertainty else None
        stages = {stage: ns / 1e6 for stage, ns in self.estimate.stages_ns.items()}
        return {
            "file": self.name,
            "duration_s": self.speech.seconds,
            "voiced_s": self.speech.voiced_seconds,
            "segments": [[start / SAMPLE_RATE, end / SAMPLE_RATE] for start, end in self.speech.segments],
            "frames": self.estimate.frames,
            "face": _data_url(PNG, self.png),
            "mesh": _data_url(GLB, self.glb),
            **({} if spread is None else {"uncertainty": _data_url(BINARY, spread)}),
            **estimate_json(self.estimate),
            "timings_ms": {**stages, "total": self.total_ns / 1e6},
        }


def face_of_clip(
    data: bytes,
    name: str,
    estimator: FaceEstimator,
    options: ClipOptions,
    *,
    longest_s: float,
    stopped: Callable[[], bool] = lambda: False,
) -> ClipFace:
    """The face of a sound file.

    Args:
        data: its contents.
        name: what errors and the document call it.
        longest_s: the longest clip.
        stopped: whether nobody waits for it any more.

    Raises:
        InputError: it is no sound that can be read, or longer than that.
        NoSpeechError: no face is made of it; `reason` says why.
        UsageError: an option that cannot be.
        ClipStoppedError: it was stopped.
    """
    began = time.perf_counter_ns()
    channel = None if options.channel is None else options.channel - 1
    with named(data) as path:
        try:
            blocks = _bounded(read_blocks(path, channel), longest_s, stopped)
            speech = estimator.listen(blocks)
            heard, estimate = estimator.face_of_sound(speech, options.min_confidence, any_age=options.any_age)
        except (ClipStoppedError, ClipTooLongError):
            raise
        except NoSpeechError as error:
            raise NoSpeechError(f"{name}: {error}", error.reason) from None
        except InputError as error:
            raise InputError(str(error).replace(str(path), name)) from None
        except UsageError as error:
            raise UsageError(str(error).replace(str(path), name).replace(path.name, name)) from None
    return ClipFace(name, heard, estimate, time.perf_counter_ns() - began)


@contextmanager
def named(data: bytes) -> Iterator[Path]:
    """A file of these bytes, in memory where the system can do that, for as long as the context lasts."""
    if hasattr(os, "memfd_create"):
        number = os.memfd_create("clip")
        try:
            with open(number, "wb", closefd=False) as file:
                file.write(data)
            yield Path(f"/proc/{os.getpid()}/fd/{number}")  # ffmpeg, a child, finds it under this name too
        finally:
            os.close(number)
        return
    with tempfile.TemporaryDirectory() as folder:  # no memfd: not Linux
        path = Path(folder) / "clip"
        path.write_bytes(data)
        yield path


def safe_name(given: str | None) -> str:
    """A client's name for its clip, as a document may show it: without folders and without what cannot be printed."""
    last = (given or "").replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(letter for letter in last if letter.isprintable())[:LONGEST_NAME].strip()
    return shown if shown.strip(".") else "clip"


def _bounded(
    blocks: Iterator[NDArray[np.int16]], longest_s: float, stopped: Callable[[], bool]
) -> Iterator[NDArray[np.int16]]:
    heard = 0
    for block in blocks:
        if stopped():
            raise ClipStoppedError("nobody waits for this clip any more")
        heard += len(block)
        if heard > longest_s * SAMPLE_RATE:
            raise ClipTooLongError(f"the clip is longer than {longest_s:g} s; cut it, or send it to /v1/stream")
        yield block


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
