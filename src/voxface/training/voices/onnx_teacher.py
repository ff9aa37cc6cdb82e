"""A speaker encoder of others in an ONNX file, as a teacher.

It has one input, batch first: either sound [B, samples] at 16 kHz in [−1, 1], or log mel filter banks [B, frames, bands] as
Kaldi computes them of sound at int16 scale (25 ms every 10 ms, Hamming window, no dither), each band minus its mean, which is
the convention of WeSpeaker's and 3D-Speaker's published files. Its first output is a vector for each item.

Nothing in such a file is believed: it may point outside of it, never end, or give more than a vector.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.engines.memory_bound import PER_BYTE, MemoryBound
from voxface.runtime.engines.onnxruntime import OnnxRuntimeEngine, import_onnxruntime
from voxface.runtime.engines.watch import Watch
from voxface.runtime.errors import BundleError, InputError, ProviderError
from voxface.runtime.files.damage import reason
from voxface.runtime.files.npz import to_float32
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.install_advice import how_to_install

Float32 = NDArray[np.float32]
T = TypeVar("T")
HOP: Final = 160  # samples
PIECE: Final = 25_600  # samples, 1.6 s
_BATCH: Final = 16  # pieces
_BANDS: Final = range(20, 129)
_SIZES: Final = range(2, 4097)  # numbers of a vector; published encoders give 128 to 1024
_SECONDS: Final = 60.0  # to open the graph, or for a batch, which takes a large encoder 2 s
_MEMORY: Final = 1 << 30  # bytes for a batch


class OnnxTeacher:
    """See the module; it is sent to other processes as the file's bytes."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            InputError: it is not there, no ONNX graph, or its input or output has another form.
            ProviderError: kaldi-native-fbank, which computes filter banks, is not installed.
        """
        plain = "".join(letter if letter.isprintable() else "?" for letter in path.name)
        self.name = f"speaker encoder {plain}"
        self.piece = PIECE
        self._path, self._data = path, read_bytes(path)
        self._open()
        tone = 8_000 * np.sin(np.arange(PIECE) / 10)  # of silence an encoder may make nothing
        self.size = self._vectors_of(tone.astype(np.int16)[None]).shape[1]

    def _open(self) -> None:
        import_onnxruntime()  # before memory is bounded
        self._watch = Watch(_SECONDS)
        # There is a process for each core.
        self._engine = self._watched(
            lambda: OnnxRuntimeEngine(self._data, name=str(self._path), threads=1, watch=self._watch)
        )
        (first, spec), *others = self._engine.inputs.items() or [("", TensorSpec("none", ()))]
        self._input, shape = first, spec.shape
        bands = shape[2] if len(shape) == 3 else 0
        self._bands = bands if isinstance(bands, int) else -1
        if others or spec.dtype != "float32" or len(shape) not in (2, 3) or (self._bands and self._bands not in _BANDS):
            there = ", ".join(f"{name} {of.dtype} {list(of.shape)}" for name, of in self._engine.inputs.items())
            raise InputError(
                f"{self._path}: no speaker encoder that can teach: it needs one input float32, sound [B, samples] or filter "
                f"banks [B, frames, bands]; it has {there or 'none'}"
            )
        if self._bands:
            try:
                import kaldi_native_fbank  # noqa: F401 (asked for before hours of work)
            except ImportError as error:
                raise ProviderError(
                    f"{self._path}: its input is filter banks, which kaldi-native-fbank computes; {how_to_install('teacher')}"
                ) from error

    def _watched(self, work: Callable[[], T]) -> T:
        """Does something with the graph, within limits of time and memory.

        Raises:
            InputError: it fails, or does not end.
        """
        try:
            return self._watch.run(work, MemoryBound(_MEMORY + PER_BYTE * len(self._data)))
        except TimeoutError:
            raise InputError(f"{self._path}: does not end within {_SECONDS:.0f} s; do not use this file") from None
        except (BundleError, MemoryError, ValueError, TypeError, RuntimeError) as error:
            said = reason(error).removeprefix(f"{self._path}: ")
            raise InputError(f"{self._path}: cannot be used as a teacher ({said})") from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_engine", "_watch")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def vectors(self, samples: NDArray[np.int16], every: int) -> Float32:
        """Unit vectors float32 [P, size] of the pieces that begin every `every` frames of 10 ms; short sound is repeated."""
        sound = np.resize(samples, max(len(samples), PIECE))
        pieces = np.lib.stride_tricks.sliding_window_view(sound, PIECE)[:: every * HOP]
        return np.concatenate([self._vectors_of(pieces[at : at + _BATCH]) for at in range(0, len(pieces), _BATCH)])

    def _vectors_of(self, pieces: NDArray[np.int16]) -> Float32:
        heard = np.stack([self._banks(piece) for piece in pieces]) if self._bands else pieces / np.float32(32768)
        feeds = {self._input: heard.astype(np.float32)}
        rows = self._watched(lambda: _first(self._engine.run(feeds)))
        size = rows.shape[1] if rows.ndim == 2 else 0
        if len(rows) != len(pieces) or size not in _SIZES or size != getattr(self, "size", size):
            raise InputError(
                f"{self._path}: its first output is not one vector for each item: {list(rows.shape)} of {len(pieces)} items"
            )
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise InputError(f"{self._path}: its vectors are zero, infinite or no numbers")
        unit: Float32 = rows / lengths
        return unit

    def _banks(self, samples: NDArray[np.int16]) -> Float32:
        import kaldi_native_fbank as kaldi

        options = kaldi.FbankOptions()
        options.frame_opts.dither = 0
        options.frame_opts.window_type = "hamming"
        options.mel_opts.num_bins = self._bands
        computer = kaldi.OnlineFbank(options)
        computer.accept_waveform(16_000, samples.astype(np.float32).tolist())
        computer.input_finished()
        banks = np.stack([computer.get_frame(k) for k in range(computer.num_frames_ready)])
        centred: Float32 = banks - banks.mean(0)
        return centred


def _first(outputs: Mapping[str, NDArray[Any]]) -> Float32:
    """The first output, at least one axis.

    Raises:
        ValueError: it holds no real numbers.
    """
    return to_float32(np.atleast_1d(next(iter(outputs.values()))))
