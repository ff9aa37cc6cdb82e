"""Landmark detectors: an ONNX graph made here, stand-ins for packages that are not installed, and what is said without them."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stand_ins.landmark_networks import heat_maps, write_graph
from voxface.runtime.errors import InputError, ProviderError, UsageError
from voxface.training.faces.landmark_detectors import MEDIAPIPE_68, open_detector, peaks, resize

PICTURE = np.random.default_rng(0).integers(0, 256, (96, 80, 3), dtype=np.uint8)
MIRRORED = {
    **{k: 16 - k for k in range(17)},
    **{k: 43 - k for k in range(17, 27)},
    **{k: k for k in (27, 28, 29, 30)},
    **{k: 66 - k for k in range(31, 36)},
    36: 45,
    37: 44,
    38: 43,
    39: 42,
    40: 47,
    41: 46,
    42: 39,
    43: 38,
    44: 37,
    45: 36,
    46: 41,
    47: 40,
    48: 54,
    49: 53,
    50: 52,
    51: 51,
    52: 50,
    53: 49,
    54: 48,
    55: 59,
    56: 58,
    57: 57,
    58: 56,
    59: 55,
    60: 64,
    61: 63,
    62: 62,
    63: 61,
    64: 60,
    65: 67,
    66: 66,
    67: 65,
}


@pytest.fixture
def places(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.uniform(0.1, 0.9, (68, 2)).astype(np.float32)


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 48, 64, 3), ("N", 3, "H", "W")])
def test_heat_maps_in_an_onnx_file(tmp_path: Path, places: NDArray[np.float32], shape: tuple[Any, ...]) -> None:
    file = write_graph(tmp_path / "heat.onnx", heat_maps(places), shape=shape)
    with open_detector(f"onnx:{file}", crops=True) as detector:
        found = detector.detect(PICTURE)
        assert detector.contour == "silhouette"
    assert found is not None
    assert found.dtype == np.float32
    assert found == pytest.approx(places * [80, 96], abs=0.15)


@pytest.mark.parametrize(("unit", "shape"), [(1.0, (1, 68, 2)), (1.0, (1, 136)), (64.0, (68, 2))])
def test_coordinates_in_an_onnx_file(
    tmp_path: Path, places: NDArray[np.float32], unit: float, shape: tuple[int, ...]
) -> None:
    file = write_graph(tmp_path / "places.onnx", (places * unit).reshape(shape))
    with open_detector(f"onnx:{file}", crops=True) as detector:
        assert detector.detect(PICTURE) == pytest.approx(places * [80, 96], abs=1e-3)


def test_nothing_found_is_none(tmp_path: Path) -> None:
    for name, output in (("flat", np.full((1, 68, 16, 16), 0.01)), ("nan", np.full((1, 136), np.nan))):
        with open_detector(f"onnx:{write_graph(tmp_path / f'{name}.onnx', output)}", crops=True) as detector:
            assert detector.detect(PICTURE) is None


def test_onnx_files_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such file; give the ONNX file"):
        open_detector(f"onnx:{tmp_path / 'nowhere.onnx'}", crops=True)
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(InputError, match=r"text\.onnx: the graph is refused: it is damaged.*give the ONNX file"):
        open_detector(f"onnx:{tmp_path / 'text.onnx'}", crops=True)
    good = np.zeros((1, 136))
    for shape, dtype in (((1, 64, 64), "float32"), ((1, 3, 64, 64), "int64"), ((2, 3, 64, 64), "float32")):
        with pytest.raises(InputError, match="one float32 picture"):
            open_detector(f"onnx:{write_graph(tmp_path / 'odd.onnx', good, shape=shape, dtype=dtype)}", crops=True)
    with pytest.raises(InputError, match="neither axis 1 nor 3"):
        open_detector(f"onnx:{write_graph(tmp_path / 'grey.onnx', good, shape=(1, 1, 64, 64))}", crops=True)
    five = write_graph(tmp_path / "five.onnx", np.zeros((1, 10)))
    with (
        open_detector(f"onnx:{five}", crops=True) as detector,
        pytest.raises(InputError, match=r"gives \[1, 10\]; 68 heat maps"),
    ):
        detector.detect(PICTURE)


def test_resizing_keeps_places() -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 200, dtype=np.float32)[None, :, None], (100, 200, 1))
    for height, width in ((50, 50), (100, 200), (37, 61), (230, 410)):
        small = resize(ramp, height, width)
        assert small.shape == (height, width, 1)
        middle = small[height // 2, 2:-2, 0]
        wanted = ((np.arange(width) + 0.5) * 200 / width - 0.5) / 199
        assert middle == pytest.approx(wanted[2:-2], abs=2e-3)
    assert resize(ramp[:1, :1], 4, 4) == pytest.approx(0)


def test_peaks_at_the_border() -> None:
    maps = np.zeros((2, 4, 8), np.float32)
    maps[0, 0, 0] = maps[1, 3, 7] = 1
    assert peaks(maps) == pytest.approx(np.array([[0.5 / 8, 0.5 / 4], [7.5 / 8, 3.5 / 4]]))


def test_the_mediapipe_mapping_names_each_landmark_once() -> None:
    assert len(set(MEDIAPIPE_68.tolist())) == 68
    assert MEDIAPIPE_68.min() >= 0
    assert MEDIAPIPE_68.max() < 468  # the iris landmarks are none of the 68
    # MediaPipe's mesh is symmetric; these are pairs of its mirror images, as far as they are commonly listed.
    for right, left in ((127, 356), (58, 288), (172, 397), (148, 377), (70, 300), (107, 336), (33, 263), (133, 362)):
        k = int(np.nonzero(MEDIAPIPE_68 == right)[0][0])
        assert MEDIAPIPE_68[MIRRORED[k]] == left


class FakeMediaPipe(ModuleType):
    """As much of mediapipe 0.10–1.2 as the adapter uses; sees a face in any picture that is not black."""

    def __init__(self) -> None:
        super().__init__("mediapipe")
        fake = self
        self.closed = False

        class Landmarker:
            @staticmethod
            def create_from_options(options: Any) -> "Landmarker":
                if b"task" not in Path(options.base_options.model_asset_path).read_bytes():
                    raise RuntimeError("Unable to open zip archive.\nmore")
                return Landmarker()

            def detect(self, image: Any) -> Any:
                assert image.image_format == "srgb"
                assert image.data.flags.c_contiguous
                marks = [SimpleNamespace(x=k / 478, y=1 - k / 478, z=0.0) for k in range(478)]
                small = [SimpleNamespace(x=k / 4780, y=k / 4780, z=0.0) for k in range(478)]
                return SimpleNamespace(face_landmarks=[small, marks, small] if image.data.any() else [])

            def close(self) -> None:
                fake.closed = True

        self.Image = SimpleNamespace
        self.ImageFormat = SimpleNamespace(SRGB="srgb")
        self.tasks = SimpleNamespace(
            BaseOptions=SimpleNamespace,
            vision=SimpleNamespace(FaceLandmarkerOptions=SimpleNamespace, FaceLandmarker=Landmarker),
        )


def test_mediapipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeMediaPipe()
    monkeypatch.setitem(sys.modules, "mediapipe", fake)
    task = tmp_path / "face_landmarker.task"
    task.write_bytes(b"task")
    with open_detector(f"mediapipe:{task}") as detector:
        assert detector.contour == "anatomical"
        found = detector.detect(PICTURE[:, ::-1])
        assert detector.detect(np.zeros_like(PICTURE)) is None
    assert fake.closed
    assert found is not None
    assert found == pytest.approx(np.stack([MEDIAPIPE_68 / 478 * 80, (1 - MEDIAPIPE_68 / 478) * 96], axis=1), rel=1e-5)
    task.write_bytes(b"something else")
    with pytest.raises(InputError, match=r"cannot use it as a face landmarker \(Unable to open zip archive\.\)"):
        open_detector(f"mediapipe:{task}")


def test_mediapipe_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"nowhere\.task: no such file; download face_landmarker\.task"):
        open_detector(f"mediapipe:{tmp_path / 'nowhere.task'}")
    (tmp_path / "a.task").write_bytes(b"task")
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ProviderError, match="pip install mediapipe"):
        open_detector(f"mediapipe:{tmp_path / 'a.task'}")


class FakeFaceAlignment(ModuleType):
    """As much of face-alignment 1.4–1.5 as the adapter uses: two faces, the second larger."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__("face_alignment")
        fake = self
        self.hub = ""

        class FaceAlignment:
            def __init__(self, kind: str, device: str, flip_input: bool, **_: Any) -> None:
                assert (kind, device) == ("2d", "cpu")
                import torch

                fake.hub = torch.hub.get_dir()
                if error is not None:
                    raise error
                self.face_detector = self

            def detect_from_image(self, image: NDArray[np.uint8]) -> list[Any]:
                return [[0, 0, 10, 10, 0.9], [20, 20, 60, 80, 0.8]] if image.any() else []

            def get_landmarks_from_image(self, image: NDArray[np.uint8], detected_faces: list[Any]) -> list[Any]:
                return [np.full((68, 2), box[0], np.float64) for box in detected_faces]

        self.FaceAlignment = FaceAlignment
        self.LandmarksType = SimpleNamespace(TWO_D="2d")


def test_face_alignment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    fake = FakeFaceAlignment()
    monkeypatch.setitem(sys.modules, "face_alignment", fake)
    before = torch.hub.get_dir()
    with pytest.raises(InputError, match=r"no s3fd-619a316812\.pth and no 2DFAN4-11f355bf06\.pth\.tar there"):
        open_detector(f"face-alignment:{tmp_path}")
    (tmp_path / "checkpoints").mkdir()
    for name in ("s3fd-619a316812.pth", "2DFAN4-11f355bf06.pth.tar"):
        (tmp_path / "checkpoints" / name).touch()
    with open_detector(f"face-alignment:{tmp_path}") as detector:
        assert fake.hub == str(tmp_path)
        assert torch.hub.get_dir() == before
        assert detector.contour == "silhouette"
        assert detector.detect(PICTURE) == pytest.approx(20.5)  # the larger; pixel 20 has its centre at 20.5
        assert detector.detect(np.zeros_like(PICTURE)) is None
    with open_detector("face-alignment") as detector:
        assert fake.hub == before


def test_face_alignment_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "face_alignment", FakeFaceAlignment(OSError("no route to host")))
    pytest.importorskip("torch")
    with pytest.raises(ProviderError, match=r"could not load its weights \(no route to host\); run it once"):
        open_detector("face-alignment")
    monkeypatch.setitem(sys.modules, "face_alignment", None)
    with pytest.raises(ProviderError, match="pip install face-alignment"):
        open_detector("face-alignment")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("dlib:x", "no landmark detector 'dlib'; there are onnx:FILE"),
        ("onnx", "onnx:FILE"),
        ("onnx:x.onnx", "--face-detector"),
        ("mediapipe:", "mediapipe:FILE"),
    ],
)
def test_detectors_that_are_none(what: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_detector(what)
