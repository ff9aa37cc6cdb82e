"""One person's files: speech as log-mel frames, photographs as aligned pictures, and the face that is fitted to them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError, NoSpeechError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.features.log_mel import log_mel
from voxface.runtime.files.damage import is_damage, reason
from voxface.training.data.speech_corpus import LeftOut, voiced_audio
from voxface.training.faces.aligned_picture import Template
from voxface.training.faces.fitting import LandmarkFitter
from voxface.training.faces.landmark_noise import MOST_RESIDUAL, fit_with_noise, of_one_person, relative_residual
from voxface.training.faces.picture_landmarks import read_picture
from voxface.training.faces.prior import Prior
from voxface.training.own_data.listing import FRAMES, OwnPerson
from voxface.training.own_data.photographs import ALIGNED, DetectorChoice, Seen, look_at

SHORTEST: Final = 4_800
"""Least number of speech samples (0.3 s) in a recording."""
_MELS: Final = 64
_LARGEST: Final = 100.0  # of logarithms; int16 sound gives 35 at most


@dataclass(frozen=True)
class OwnDataConfig:
    """What is done with each person's files.

    Attributes:
        detector: what finds landmarks; None: photographs are not looked at.
        size: height and width of the aligned pictures, px.
        yaw, pitch: most that a face may be turned to the side, and up or down, degrees; others are no frontal pictures.
    """

    detector: DetectorChoice | None = None
    size: int = 64
    yaw: float = 30.0
    pitch: float = 25.0


@dataclass(frozen=True)
class PreparedPerson:
    """What came of a person's files.

    Attributes:
        frames: log-mel float16 [T, 64] of each recording that can be used.
        sessions: for each, the number of its session.
        pictures: uint8 [K, size, size, 3], aligned.
        coefficients: float32 [P], the face fitted to all of them; NaN without any.
        reference: name of the photograph that shows it best, "" without any.
        rejected: files that cannot be used, with the reason.
    """

    frames: list[NDArray[np.float16]]
    sessions: list[int]
    pictures: NDArray[np.uint8]
    coefficients: NDArray[np.float32]
    reference: str = ""
    rejected: list[LeftOut] = field(default_factory=list)


def prepare_person(person: OwnPerson, config: OwnDataConfig, model: MorphableModel, prior: Prior) -> PreparedPerson:
    """Reads, checks and fits all files of a person."""
    frames, sessions, rejected = _hear(person)
    pictures = np.empty((0, config.size, config.size, 3), np.uint8)
    coefficients = np.full(model.modes, np.nan, np.float32)
    reference = ""
    if config.detector is not None and config.detector.what == ALIGNED:
        pictures, unread = _take(person, config.size)
        rejected += unread
    elif config.detector is not None and person.photographs:
        seen = []
        for found in _look(person, config.detector):
            if isinstance(found, LeftOut):
                rejected.append(found)
            else:
                seen.append(found)
        if seen:
            pictures, coefficients, reference, unfit = _fit(seen, config, config.detector, model, prior)
            rejected += unfit
    return PreparedPerson(frames, sessions, pictures, coefficients, reference, rejected)


def _hear(person: OwnPerson) -> tuple[list[NDArray[np.float16]], list[int], list[LeftOut]]:
    frames: list[NDArray[np.float16]] = []
    sessions: list[int] = []
    rejected: list[LeftOut] = []
    numbers: dict[str, int] = {}
    heard: dict[bytes, Path] = {}
    for session, file in person.recordings:
        try:
            if file.suffix.lower() == FRAMES:
                arrays = _read_frames(file)
                frames.append(arrays)
                sessions.append(numbers.setdefault(session, len(numbers)))
                continue
            samples = voiced_audio(file)
            if len(samples) < SHORTEST:
                raise NoSpeechError(f"{len(samples) / 16_000:.2f} s of speech in it, {SHORTEST / 16_000:g} needed")
        except (InputError, NoSpeechError) as error:
            rejected.append(LeftOut(str(file), str(error).removeprefix(f"{file}: "), error.exit_code))
            continue
        same = heard.setdefault(hashlib.sha256(samples.tobytes()).digest(), file)
        if same is not file:
            rejected.append(LeftOut(str(file), f"the same speech as in {same.name}"))
            continue
        frames.append(log_mel(samples).astype(np.float16))
        sessions.append(numbers.setdefault(session, len(numbers)))
    return frames, sessions, rejected


def _look(person: OwnPerson, detector: DetectorChoice) -> Iterator[Seen | LeftOut]:
    known: dict[bytes, Path] = {}
    for file in person.photographs:
        try:
            same = known.setdefault(hashlib.sha256(file.read_bytes()).digest(), file)
        except OSError as error:
            yield LeftOut(str(file), f"cannot be read ({error.strerror or error})")
            continue
        yield LeftOut(str(file), f"the same picture as {same.name}") if same is not file else look_at(file, detector)


def _take(person: OwnPerson, size: int) -> tuple[NDArray[np.uint8], list[LeftOut]]:
    """Pictures that are aligned already, in this size; no face is fitted to them."""
    from PIL import Image

    taken, rejected = [np.empty((0, size, size, 3), np.uint8)], []
    for file in person.photographs:
        try:
            picture = Image.fromarray(read_picture(file))
        except InputError as error:
            rejected.append(LeftOut(str(file), str(error).removeprefix(f"{file}: ")))
            continue
        taken.append(np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC), np.uint8)[None])
    return np.concatenate(taken), rejected


def _read_frames(file: Path) -> NDArray[np.float16]:
    """Log-mel frames float16 [T, 64] from an array of them, [T, 64] or [64, T], natural logarithms as Wen 2019's authors keep.

    Raises:
        InputError: it holds something else.
    """
    try:
        found = np.load(file, allow_pickle=False)
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: cannot be read as an array ({reason(error)})") from error
    if found.ndim == 2 and found.shape[1] != _MELS and found.shape[0] == _MELS:
        found = found.T
    if found.ndim != 2 or found.shape[1] != _MELS or found.dtype.kind != "f" or not len(found):
        raise InputError(f"{file}: holds {found.dtype} {list(found.shape)[:8]}; log-mel frames [T, {_MELS}] are needed")
    if not (np.abs(found) < _LARGEST).all():  # false for NaN
        raise InputError(f"{file}: holds numbers that are no logarithms of a power")
    return np.asarray(found, np.float16)


def _fit(
    seen: list[Seen], config: OwnDataConfig, detector: DetectorChoice, model: MorphableModel, prior: Prior
) -> tuple[NDArray[np.uint8], NDArray[np.float32], str, list[LeftOut]]:
    """Aligned pictures of the frontal faces among these, the face that is fitted to them, the best one's name, the others."""
    fitter = LandmarkFitter(model, prior=prior, contour=detector.contour)
    result, _ = fit_with_noise(fitter, np.array([one.landmarks for one in seen], np.float64))
    off, angles = relative_residual(fitter, result), result.pose.angles
    turned = np.abs(angles[:, :2]) / [config.yaw, config.pitch]
    rejected = []
    for one, share, angle, far in zip(seen, off, angles, turned, strict=True):
        if share > MOST_RESIDUAL:
            rejected.append(
                LeftOut(str(one.file), f"the landmarks are of no face (off by {share:.0%} of the eye distance)")
            )
        elif far.max() > 1:
            rejected.append(
                LeftOut(str(one.file), f"not seen from the front (yaw {angle[0]:.0f}°, pitch {angle[1]:.0f}°)")
            )
    kept = np.flatnonzero((off <= MOST_RESIDUAL) & (turned.max(1) <= 1))
    coefficients = np.full(model.modes, np.nan, np.float32)
    if not len(kept):
        return np.empty((0, config.size, config.size, 3), np.uint8), coefficients, "", rejected
    identity, _ = of_one_person(result.of(kept), prior.mean, prior.covariance, model.identity_modes)
    coefficients[:] = 0
    coefficients[: model.identity_modes] = identity
    template = Template.of_model(model, config.size)
    pictures = np.stack([template.align(seen[k].picture, seen[k].landmarks) for k in kept])
    best = kept[int(np.argmin(turned[kept].max(1) + off[kept] / MOST_RESIDUAL))]
    return pictures, coefficients, seen[best].file.name, rejected
