"""A speaker encoder of others in an ONNX file, as a teacher.

It has one input, batch first: either sound [B, samples] at 16 kHz in [−1, 1], or log mel filter banks [B, frames, bands] as
Kaldi computes them of sound at int16 scale (25 ms every 10 ms, Hamming window, no dither), each band minus its mean, which is
the convention of WeSpeaker's and 3D-Speaker's published files. Its first output is a vector for each item.
"""

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.engines.onnx_file import check_onnx_file
from voxface.runtime.engines.onnxruntime import import_onnxruntime
from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.files.regular import read_bytes
from voxface.runtime.install_advice import how_to_install

Float32 = NDArray[np.float32]
HOP: Final = 160  # samples
PIECE: Final = 25_600  # samples, 1.6 s
_BATCH: Final = 16  # pieces
_BANDS: Final = range(20, 129)


class OnnxTeacher:
    """See the module; it is sent to other processes as the file's bytes."""

    def __init__(self, path: Path) -> None:
        """Opens the file.

        Raises:
            InputError: it is not there, no ONNX graph, or its input or output has another form.
            ProviderError: kaldi-native-fbank, which computes filter banks, is not installed.
        """
        self.name = f"speaker encoder {path.name}"
        self.piece = PIECE
        self._path, self._data = path, read_bytes(path)
        try:
            check_onnx_file(self._data)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        self._open()
        self.size = self._vectors_of(np.zeros((1, PIECE), np.int16)).shape[1]

    def _open(self) -> None:
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1  # there is a process for each core
        options.log_severity_level = 4
        try:
            self._session = ort.InferenceSession(self._data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise InputError(
                f"{self._path}: cannot be opened as an ONNX graph ({' '.join(str(error).split())})"
            ) from error
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if inputs else []
        self._bands = shape[2] if len(shape) == 3 else 0
        if len(inputs) != 1 or len(shape) not in (2, 3) or (self._bands and self._bands not in _BANDS):
            raise InputError(
                f"{self._path}: no speaker encoder that can teach: it needs one input, sound [B, samples] or filter banks "
                f"[B, frames, bands]; it has {', '.join(f'{i.name} {i.shape}' for i in inputs) or 'none'}"
            )
        if self._bands:
            try:
                import kaldi_native_fbank  # noqa: F401 (asked for before hours of work)
            except ImportError as error:
                raise ProviderError(
                    f"{self._path}: its input is filter banks, which kaldi-native-fbank computes; {how_to_install('teacher')}"
                ) from error

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

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
        name = self._session.get_inputs()[0].name
        try:
            rows = np.asarray(self._session.run(None, {name: heard.astype(np.float32)})[0], np.float32)
        except Exception as error:
            raise InputError(f"{self._path}: does not run ({' '.join(str(error).split())})") from error
        if rows.ndim != 2 or len(rows) != len(pieces) or rows.shape[1] < 2 or not np.isfinite(rows).all():
            raise InputError(f"{self._path}: its first output is not one vector of finite numbers for each item")
        unit: Float32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
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
