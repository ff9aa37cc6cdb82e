"""A person's photographs: aligned pictures of the frontal faces among them, a face of each, and the person's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.data.speech_corpus import LeftOut
from voxface.training.faces.aligned_picture import Template
from voxface.training.faces.fitting import LandmarkFitter
from voxface.training.faces.landmark_noise import MOST_RESIDUAL, fit_with_noise, of_one_person, relative_residual
from voxface.training.faces.prior import Prior
from voxface.training.own_data.config import OwnDataConfig
from voxface.training.own_data.expert_fits import crop
from voxface.training.own_data.listing import OwnPerson
from voxface.training.own_data.person_faces import PersonFaces, neutral
from voxface.training.own_data.photographs import look_at
from voxface.training.own_data.pictures import pictures_of


@dataclass(frozen=True)
class _Found:
    """What is kept of a picture with a face, which itself may be large: its name, the place of its file among the
    photographs, landmarks [68, 2], the aligned face uint8 [size, size, 3] and, for an expert, its crop."""

    name: str
    place: int
    landmarks: NDArray[np.float32]
    aligned: NDArray[np.uint8]
    crop: NDArray[np.uint8] | None


def faces_in_photographs(
    person: OwnPerson, config: OwnDataConfig, model: MorphableModel, prior: Prior
) -> tuple[NDArray[np.uint8], list[int], PersonFaces, list[LeftOut]]:
    """Aligned pictures uint8 [K, size, size, 3], the places of their files, a face of each, and what was rejected.

    The person's reference is the face that is fitted to all pictures together. Where an expert reads the faces, which tells no
    variance to weigh them by, it is the face of the picture that shows it best: from the front, and near what a face may be.
    """
    detector = config.detector
    assert detector is not None
    template = Template.of_model(model, config.size)
    seen: list[_Found] = []
    rejected: list[LeftOut] = []
    for picture in pictures_of(person, config.frames):
        found = picture if isinstance(picture, LeftOut) else look_at(picture, detector)
        if isinstance(found, LeftOut):
            rejected.append(found)
            continue
        own = None if config.expert is None else crop(found.picture, found.landmarks)
        aligned = template.align(found.picture, found.landmarks)
        seen.append(_Found(found.name, found.place, found.landmarks, aligned, own))
    none = np.empty((0, config.size, config.size, 3), np.uint8)
    if not seen:
        return none, [], PersonFaces.none(model.modes), rejected
    fitter = LandmarkFitter(model, prior=prior, contour=detector.contour)
    result, _ = fit_with_noise(fitter, np.array([one.landmarks for one in seen], np.float64))
    off, angles = relative_residual(fitter, result), result.pose.angles
    turned = np.abs(angles[:, :2]) / [config.yaw, config.pitch]
    for one, share, angle, far in zip(seen, off, angles, turned, strict=True):
        if share > MOST_RESIDUAL:
            why = f"the landmarks are of no face (off by {share:.0%} of the eye distance)"
        elif far.max() > 1:
            why = f"not seen from the front (yaw {angle[0]:.0f}°, pitch {angle[1]:.0f}°)"
        else:
            continue
        rejected.append(LeftOut(one.name, why))
    kept = np.flatnonzero((off <= MOST_RESIDUAL) & (turned.max(1) <= 1))
    if not len(kept):
        return none, [], PersonFaces.none(model.modes), rejected
    best = int(np.argmin(turned[kept].max(1) + off[kept] / MOST_RESIDUAL))
    reference = seen[kept[best]].name.replace("\\", "/").rpartition("/")[2]
    pictures = np.stack([seen[k].aligned for k in kept])
    numbers = np.arange(len(kept), dtype=np.int32)
    if config.expert is not None:
        fits = config.expert.read([part for k in kept if (part := seen[k].crop) is not None])
        coefficients, variance = neutral(fits[best], model.identity_modes), np.full_like(fits, np.nan)
    else:
        frontal = result.of(kept)
        identity, _ = of_one_person(frontal, prior.mean, prior.covariance, model.identity_modes)
        coefficients = np.zeros(model.modes, np.float32)
        coefficients[: model.identity_modes] = identity
        fits, variance = frontal.coefficients, np.diagonal(frontal.covariance, axis1=1, axis2=2).astype(np.float32)
    places = [seen[k].place for k in kept]
    return pictures, places, PersonFaces(coefficients, reference, fits, variance, numbers), rejected


def aligned_pictures(person: OwnPerson, config: OwnDataConfig) -> tuple[NDArray[np.uint8], list[int], list[LeftOut]]:
    """Pictures that are aligned faces already, in this size, and the places of their files; no face is fitted to them."""
    from PIL import Image

    size = (config.size, config.size)
    taken, rejected = [np.empty((0, *size, 3), np.uint8)], []
    places: list[int] = []
    for picture in pictures_of(person, config.frames):
        if isinstance(picture, LeftOut):
            rejected.append(picture)
            continue
        image = Image.fromarray(picture.pixels)
        taken.append(np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.uint8)[None])
        places.append(picture.place)
    return np.concatenate(taken), places, rejected
