"""Landmarks of all pictures in a folder, found by a detector."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, ProviderError
from voxface.runtime.files.damage import is_damage, reading, reason
from voxface.runtime.files.folders import files_in
from voxface.runtime.files.kinds import kind_of_bytes
from voxface.runtime.files.regular import read_bytes
from voxface.training.faces.landmark_detectors import LandmarkDetector
from voxface.training.faces.landmark_files import LandmarkTable, Skipped, unusable

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
NOT_READ = (".heic", ".heif", ".avif", ".gif", ".tif", ".tiff")
"""Pictures all the same: they are listed, so that each is left out with a word and not without one."""


def find_pictures(folder: Path) -> list[Path]:
    """The pictures in a folder and its subfolders, sorted.

    Raises:
        InputError: there are none.
    """
    with reading(folder, "a folder of pictures"):
        files = files_in(folder, {*SUFFIXES, *NOT_READ}, below=True)
    if not files:
        raise InputError(f"{folder}: no picture in this folder ({', '.join(SUFFIXES)})")
    return files


def read_picture(file: Path) -> NDArray[np.uint8]:
    """A picture uint8 [H, W, 3], RGB, turned according to its EXIF data.

    Raises:
        InputError: the file cannot be read.
        ProviderError: Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError as error:
        raise ProviderError("reading pictures needs Pillow; pip install pillow") from error
    data = read_bytes(file)
    try:
        # Formats are named, because Pillow goes by the contents and hands some (EPS) to other programs.
        with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
            upright = ImageOps.exif_transpose(opened)
            if upright.mode.startswith("I"):  # 16 bits a pixel, which `convert` would cut off at 255
                levels = np.asarray(upright, np.int64).clip(0, 65_535) >> 8
                return np.repeat(levels.astype(np.uint8)[:, :, None], 3, 2)
            return np.asarray(upright.convert("RGB"), np.uint8)
    except UnidentifiedImageError as error:
        kind = kind_of_bytes(data[:512])
        what = f"it is {kind}" if kind is not None else "it is none"
        advice = "; save it as one of these" if kind is not None and kind.startswith("a picture") else ""
        raise InputError(
            f"{file}: cannot be read as a picture ({what}; {', '.join(FORMATS)} are read{advice})"
        ) from error
    except Exception as error:
        if not is_damage(error):
            raise
        kind = kind_of_bytes(data[:512])
        why = f"the file is {kind}" if kind is not None and not kind.startswith("a picture") else reason(error)
        raise InputError(f"{file}: cannot be read as a picture ({why})") from error


def detect_landmarks(
    folder: Path, files: list[Path], detector: LandmarkDetector, *, done: Callable[[str], None] = lambda _: None
) -> LandmarkTable:
    """Landmarks of the face in each picture; unreadable pictures and those without a face are left out and reported.

    Raises:
        ProviderError: Pillow is not installed.
    """
    found: list[NDArray[np.float32]] = []
    names: list[str] = []
    centres: list[tuple[float, float]] = []
    skipped: list[Skipped] = []
    for file in files:
        name = str(file.relative_to(folder))
        done(name)
        try:
            picture = read_picture(file)
        except InputError as error:
            skipped.append(Skipped(name, f"{error}; left out"))
            continue
        landmarks = detector.detect(picture)
        problem = "no face found" if landmarks is None else unusable(landmarks.astype(np.float64))
        if landmarks is None or problem is not None:
            skipped.append(Skipped(name, f"{file}: {problem}; left out"))
            continue
        found.append(landmarks)
        names.append(name)
        centres.append((picture.shape[1] / 2, picture.shape[0] / 2))
    places = np.array(found, np.float64).reshape(len(found), 68, 2)
    return LandmarkTable(places, names, skipped, "picture", np.array(centres).reshape(-1, 2))
