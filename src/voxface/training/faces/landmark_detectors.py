"""Detectors of 68 landmarks in a picture, behind one interface.

No detector comes with voxface. Each adapter wraps one that the user installs, and names what is missing if it is not there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError, InputError, ProviderError, UsageError
from voxface.training.faces.face_boxes import FaceDetector
from voxface.training.faces.fitting import Contour

Picture = NDArray[np.uint8]
Landmarks = NDArray[np.float32]
KINDS = "onnx:FILE, mediapipe:FILE.task, face-alignment or face-alignment:FOLDER"


class LandmarkDetector(Protocol):
    """Finds the landmarks of the largest face in a picture. A context manager that frees its resources when it is left."""

    @property
    def contour(self) -> Contour:
        """Place of its jaw-line landmarks; see `voxface.training.faces.fitting.Contour`."""
        ...

    def detect(self, image: Picture) -> Landmarks | None:
        """Landmarks float32 [68, 2] in Multi-PIE order of a picture uint8 [H, W, 3] (RGB), or None without a face.

        In pixels, x to the right and y down, (0.5, 0.5) the centre of the first pixel.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_detector(what: str, faces: Path | None = None, *, crops: bool = False) -> LandmarkDetector:
    """The detector named "onnx:FILE", "mediapipe:FILE.task", "face-alignment" or "face-alignment:FOLDER".

    Args:
        faces: ONNX file of a face detector (`face_boxes`), which an "onnx:FILE" needs to know where a face is.
        crops: whether every picture is a crop of one face, so that "onnx:FILE" needs none.

    Raises:
        UsageError: no detector of that name, its file is not named, or nothing says where a face is.
        InputError: the model file is missing or unusable.
        ProviderError: the package is not installed.
    """
    kind, _, place = what.partition(":")
    if kind == "face-alignment":
        return FaceAlignmentDetector(Path(place) if place else None)
    if kind not in ("onnx", "mediapipe"):
        raise UsageError(f"no landmark detector {kind!r}; there are {KINDS}")
    if not place:
        raise UsageError(f"detector {kind} needs its model file: {kind}:FILE")
    if kind == "mediapipe":
        return MediaPipeDetector(Path(place))
    if faces is None and not crops:
        raise UsageError(
            "detector onnx: finds landmarks in the crop of one face, and in any other picture something; name what finds the "
            "faces (--face-detector FILE.onnx), or say that each picture is such a crop (--crops)"
        )
    return (
        OnnxDetector(Path(place)) if faces is None else CroppedDetector(OnnxDetector(Path(place)), FaceDetector(faces))
    )


class _ClosedOnExit:
    """Context manager that closes a detector."""

    def close(self) -> None:
        """Frees the detector's resources."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class FaceAlignmentDetector(_ClosedOnExit):
    """`face-alignment` (Bulat & Tzimiropoulos 2017), the landmark detector of Voxceleb-3D (Wu 2022, §3.2, reference [5]).

    Its 2-D network is used, which places the jaw line on the outline.
    """

    contour: Contour = "silhouette"
    # Weight files that the package looks for before it downloads them: of the face detector, of the landmark network.
    WEIGHTS = ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar")

    def __init__(self, folder: Path | None = None) -> None:
        """Loads its networks.

        Args:
            folder: a torch hub folder with the package's two weight files in its subfolder `checkpoints`; None: the package's
                default folder, to which it downloads them.

        Raises:
            InputError: a weight file is not there.
            ProviderError: the package is not installed, or could not load or download its weights.
        """
        package = _import("face_alignment", "face-alignment")
        try:
            with _hub(folder, self.WEIGHTS):
                self._network: Any = package.FaceAlignment(
                    package.LandmarksType.TWO_D, device="cpu", flip_input=False, compile=False
                )
        except InputError:
            raise
        except Exception as error:  # a failed download raises what the network library raises
            raise ProviderError(
                f"face-alignment could not load its weights ({_line(error)}); run it once with a network connection, or put "
                f"{' and '.join(self.WEIGHTS)} into FOLDER/checkpoints and name it: face-alignment:FOLDER"
            ) from error

    def detect(self, image: Picture) -> Landmarks | None:
        """Landmarks of the largest face; see `LandmarkDetector.detect`."""
        boxes = self._network.face_detector.detect_from_image(image)
        if boxes is None or len(boxes) == 0:
            return None
        largest = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
        found = self._network.get_landmarks_from_image(image, detected_faces=[largest])
        if not found:
            return None
        # Its coordinates have (0, 0) at the centre of the first pixel.
        return np.asarray(found[0], np.float32)[:, :2] + np.float32(0.5)


# MediaPipe's landmark (of 478) for each of the 68 landmarks, right half and midline first, by places on its canonical face:
# jaw along the face oval, upper edge of the brow, bridge and base of the nose, corners and lids of the eye, lips.
_MEDIAPIPE_RIGHT = {
    0: 127, 1: 93, 2: 132, 3: 58, 4: 172, 5: 150, 6: 176, 7: 148, 8: 152,
    17: 70, 18: 63, 19: 105, 20: 66, 21: 107,
    27: 168, 28: 197, 29: 5, 30: 4, 31: 98, 32: 97, 33: 2,
    36: 33, 37: 160, 38: 158, 39: 133, 40: 153, 41: 144,
    48: 61, 49: 39, 50: 37, 51: 0, 57: 17, 58: 84, 59: 181,
    60: 78, 61: 81, 62: 13, 66: 14, 67: 178,
}  # fmt: skip
_MEDIAPIPE_LEFT = {
    9: 377, 10: 400, 11: 379, 12: 397, 13: 288, 14: 361, 15: 323, 16: 356,
    22: 336, 23: 296, 24: 334, 25: 293, 26: 300,
    34: 326, 35: 327,
    42: 362, 43: 385, 44: 387, 45: 263, 46: 373, 47: 380,
    52: 267, 53: 269, 54: 291, 55: 405, 56: 314,
    63: 311, 64: 308, 65: 402,
}  # fmt: skip
MEDIAPIPE_68 = np.array([(_MEDIAPIPE_RIGHT | _MEDIAPIPE_LEFT)[k] for k in range(68)])


class MediaPipeDetector(_ClosedOnExit):
    """MediaPipe's face landmarker, from its `.task` file; 68 of its 478 landmarks are used (`MEDIAPIPE_68`).

    All its landmarks are fixed places on the skin, including the jaw line.
    """

    contour: Contour = "anatomical"
    MOST_FACES = 16  # of which the largest is taken; MediaPipe gives them in no order

    def __init__(self, task: Path) -> None:
        """Opens the landmarker.

        Raises:
            InputError: the file is missing or no face landmarker.
            ProviderError: MediaPipe is not installed.
        """
        if not task.is_file():
            raise InputError(
                f"{task}: no such file; download face_landmarker.task (Google AI Edge, face landmarker models) and name it"
            )
        self._package = _import("mediapipe", "mediapipe")
        try:
            tasks = self._package.tasks
            options = tasks.vision.FaceLandmarkerOptions(
                base_options=tasks.BaseOptions(model_asset_path=str(task)), num_faces=self.MOST_FACES
            )
            self._landmarker: Any = tasks.vision.FaceLandmarker.create_from_options(options)
        except (ValueError, RuntimeError, OSError) as error:
            raise InputError(
                f"{task}: MediaPipe cannot use it as a face landmarker ({_line(error)}); download face_landmarker.task again"
            ) from error

    def detect(self, image: Picture) -> Landmarks | None:
        """Landmarks of the largest face; see `LandmarkDetector.detect`."""
        package = self._package
        picture = package.Image(image_format=package.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        faces = self._landmarker.detect(picture).face_landmarks
        if not faces:
            return None
        places = np.array([[[mark.x, mark.y] for mark in face] for face in faces], np.float32)
        places = places[:, MEDIAPIPE_68] * np.array([image.shape[1], image.shape[0]], np.float32)
        largest: Landmarks = places[int(np.ptp(places, axis=1).prod(1).argmax())]
        return largest

    def close(self) -> None:
        """Closes the landmarker."""
        self._landmarker.close()


class OnnxDetector(_ClosedOnExit):
    """A network in an ONNX file that maps a cropped picture of one face to 68 heat maps or coordinates.

    Input: float32 [1, 3, H, W] or [1, H, W, 3], RGB in [0, 1]; the picture is resized to the graph's size (a graph with free
    sizes gets the picture unchanged). First output: heat maps [1, 68, h, w], whose peaks are refined between pixels, or
    coordinates [1, 68, 2] or [1, 136], in pixels of the input or, when none lies outside −0.5…1.5, in shares of it.
    """

    contour: Contour = "silhouette"
    # Least peak of a heat map that counts as found; there is a face if the median peak reaches it.
    LOWEST_PEAK = 0.05

    def __init__(self, file: Path, provider: str = "cpu") -> None:
        """Opens the graph.

        Raises:
            InputError: the file is missing, no ONNX graph, or one with another signature.
            ProviderError: the provider is not there.
        """
        if not file.is_file():
            raise InputError(f"{file}: no such file; give the ONNX file of a 68-landmark network")
        try:
            self._engine = open_engine(file.read_bytes(), provider, name=str(file))
        except BundleError as error:
            raise InputError(f"{error}; give the ONNX file of a 68-landmark network") from error
        self._file = file
        (self._input, spec), *others = self._engine.inputs.items()
        shape = spec.shape
        if others or spec.dtype != "float32" or len(shape) != 4 or (isinstance(shape[0], int) and shape[0] != 1):
            raise InputError(
                f"{file}: wants {self._signature()}; one float32 picture [1, 3, H, W] or [1, H, W, 3] is needed"
            )
        if 3 not in (shape[1], shape[3]):
            raise InputError(f"{file}: wants {self._signature()}; neither axis 1 nor 3 holds the three colours")
        self._planes = shape[1] == 3
        self._size = shape[2:4] if self._planes else shape[1:3]

    def detect(self, image: Picture) -> Landmarks | None:
        """Landmarks of the face that fills the picture; see `LandmarkDetector.detect`.

        Raises:
            InputError: the graph gives neither heat maps nor coordinates of 68 landmarks.
        """
        height, width = (
            int(own) if isinstance(own, int) else given for own, given in zip(self._size, image.shape[:2], strict=True)
        )
        picture = resize(image.astype(np.float32) / np.float32(255), height, width)
        feed = np.ascontiguousarray(picture.transpose(2, 0, 1) if self._planes else picture)[None]
        out = next(iter(self._engine.run({self._input: feed}).values()))
        scale = np.array([image.shape[1], image.shape[0]], np.float32)
        if out.ndim == 4 and out.shape[:2] == (1, 68):
            if float(np.median(out.max(axis=(2, 3)))) < self.LOWEST_PEAK:
                return None
            return peaks(out[0]) * scale
        if out.size != 136:
            raise InputError(
                f"{self._file}: gives {list(out.shape)}; 68 heat maps [1, 68, h, w] or coordinates [1, 68, 2] are needed"
            )
        places = out.reshape(68, 2).astype(np.float32)
        if not np.isfinite(places).all():
            return None
        if places.min() < -0.5 or places.max() > 1.5:
            places /= np.array([width, height], np.float32)
        return (places * scale).astype(np.float32)

    def close(self) -> None:
        """Frees the graph."""
        self._engine.__exit__(None, None, None)

    def _signature(self) -> str:
        return ", ".join(f"{name} {spec.dtype}{list(spec.shape)}" for name, spec in self._engine.inputs.items())


class CroppedDetector(_ClosedOnExit):
    """A detector of landmarks in crops behind a face detector: the largest face is cropped a few times and the mean taken.

    The crops differ a little in place and size; a network of this kind errs otherwise in each.
    """

    contour: Contour = "silhouette"
    # Side of a square crop over the longer side of the face's box, and how far its middle lies below that of the box, in box
    # heights. Chosen on six photographs: the median error is 4.0 % of the outer canthal distance; with 1.4 and 0, 7.2 %.
    CROPS = ((0.95, 0.1), (1.05, 0.05), (1.05, 0.1), (1.15, 0.1))

    def __init__(self, landmarks: OnnxDetector, faces: FaceDetector) -> None:
        self._landmarks, self._faces = landmarks, faces

    def detect(self, image: Picture) -> Landmarks | None:
        """Landmarks of the largest face; see `LandmarkDetector.detect`."""
        boxes = self._faces.detect(image)
        if not len(boxes):
            return None
        left, top, right, bottom = (float(number) for number in boxes[0, :4])
        found = []
        for side, lower in self.CROPS:
            length = max(2, round(side * max(right - left, bottom - top)))
            x = round((left + right - length) / 2)
            y = round((top + bottom - length) / 2 + lower * (bottom - top))
            rows = np.clip(np.arange(y, y + length), 0, image.shape[0] - 1)
            columns = np.clip(np.arange(x, x + length), 0, image.shape[1] - 1)
            landmarks = self._landmarks.detect(image[np.ix_(rows, columns)])
            if landmarks is not None:
                found.append(landmarks + np.array([x, y], np.float32))
        return np.mean(found, axis=0, dtype=np.float32) if found else None

    def close(self) -> None:
        """Frees both graphs."""
        self._landmarks.close()
        self._faces.close()


def peaks(maps: NDArray[np.float32]) -> Landmarks:
    """Peaks float32 [K, 2] of heat maps float32 [K, h, w], as shares of width and height, refined by a parabola."""
    count, height, width = maps.shape
    best = maps.reshape(count, -1).argmax(axis=1)
    row, column = best // width, best % width
    k = np.arange(count)

    def refined(at: NDArray[np.intp], length: int, low: NDArray[np.float32], high: NDArray[np.float32]) -> Landmarks:
        bend = low - 2 * maps[k, row, column] + high
        inside = (at > 0) & (at < length - 1) & (bend < 0)
        offset = np.where(inside, 0.5 * (low - high) / np.where(inside, bend, -1), 0)
        return ((at + 0.5 + offset) / length).astype(np.float32)

    x = refined(column, width, maps[k, row, np.maximum(column - 1, 0)], maps[k, row, np.minimum(column + 1, width - 1)])
    y = refined(row, height, maps[k, np.maximum(row - 1, 0), column], maps[k, np.minimum(row + 1, height - 1), column])
    return np.stack([x, y], axis=1)


def resize(image: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """A picture float32 [H, W, C] in another size: halved by averages while that is possible, then bilinear."""
    for axis, wanted in ((0, height), (1, width)):
        # Halve first: bilinear sampling alone would skip pixels.
        while image.shape[axis] >= 2 * wanted and image.shape[axis] % 2 == 0:
            even, odd = ((slice(None),) * axis + (slice(start, None, 2),) for start in (0, 1))
            image = (image[even] + image[odd]) * np.float32(0.5)
        length = image.shape[axis]
        at = np.clip((np.arange(wanted) + 0.5) * length / wanted - 0.5, 0, length - 1)
        low = np.minimum(at.astype(np.intp), max(length - 2, 0))
        share = (at - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(image.ndim)])
        upper = np.take(image, np.minimum(low + 1, length - 1), axis)
        image = (np.take(image, low, axis) * (1 - share) + upper * share).astype(np.float32)
    return image


def _import(module: str, package: str) -> ModuleType:
    import importlib

    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:  # OSError: one of its shared libraries
        raise ProviderError(f"detector {package} is not installed ({_line(error)}); pip install {package}") from error


@contextmanager
def _hub(folder: Path | None, names: tuple[str, ...]) -> Iterator[None]:
    """Makes `folder` torch hub's folder for a while, so that a package finds its weights `names` in `checkpoints` there."""
    if folder is None:
        yield
        return
    missing = [name for name in names if not (folder / "checkpoints" / name).is_file()]
    if missing:
        raise InputError(
            f"{folder / 'checkpoints'}: no {' and no '.join(missing)} there; put the weights of face-alignment there"
        )
    hub = _import("torch", "torch").hub
    before = hub.get_dir()
    hub.set_dir(str(folder))
    try:
        yield
    finally:
        hub.set_dir(before)


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
