"""Cameras: projection of a face's points into an image, and its derivatives by the points and by the pose.

Images have x to the right and y down, in pixels, with (0, 0) at the outer corner of the first pixel, so that the first
pixel's centre is (0.5, 0.5): the renderer's convention. The camera's axes are the model's, seen from the front: x to the right,
y up, z towards the camera; a face with the identity as rotation looks into it.

A pose is the same for every camera: rotation R, scale s and translation t, with q = s·R·v for a vertex v (Wu 2022, §3.1:
R·A + t, and s of the twelve pose numbers of its code).
"""

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pose:
    """Poses of B faces.

    Attributes:
        rotation: float64 [B, 3, 3], from the model's axes to the camera's.
        scale: float64 [B], pixels per millimetre at the model's origin.
        translation: float64 [B, 2], the image of the model's origin in pixels; float64 [B, 3] for 3-D landmarks.
    """

    rotation: Array
    scale: Array
    translation: Array

    def __len__(self) -> int:
        return len(self.scale)

    def __getitem__(self, faces: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Pose":
        """The poses of some of the faces."""
        return Pose(self.rotation[faces], self.scale[faces], self.translation[faces])

    def moved(self, step: Array) -> "Pose":
        """The pose after a step float64 [B, Q]: rotation vector (radians, about the camera's axes), log scale, translation."""
        return Pose(
            rotation_matrices(step[:, :3]) @ self.rotation,
            self.scale * np.exp(step[:, 3]),
            self.translation + step[:, 4:],
        )

    @property
    def angles(self) -> Array:
        """(yaw, pitch, roll) float64 [B, 3] in degrees; see `from_angles`."""
        r = self.rotation
        # R = Rz(roll)·Rx(−pitch)·Ry(yaw): its last row is (−sin yaw cos pitch, −sin pitch, cos yaw cos pitch).
        pitch = np.arcsin(np.clip(-r[:, 2, 1], -1, 1))
        yaw = np.arctan2(-r[:, 2, 0], r[:, 2, 2])
        roll = np.arctan2(-r[:, 0, 1], r[:, 1, 1])
        angles: Array = np.degrees(np.stack([yaw, pitch, roll], axis=1))
        return angles

    @classmethod
    def from_angles(cls, degrees: Array, scale: Array, translation: Array) -> Self:
        """Poses of (yaw, pitch, roll) float64 [B, 3] in degrees.

        Yaw > 0 turns the face to the subject's left, the picture's right; pitch > 0 looks up; roll > 0 then turns the
        picture counter-clockwise.
        """
        yaw, pitch, roll = np.radians(degrees).T
        zero = np.zeros_like(yaw)
        about_y = rotation_matrices(np.stack([zero, yaw, zero], axis=1))
        about_x = rotation_matrices(np.stack([-pitch, zero, zero], axis=1))
        about_z = rotation_matrices(np.stack([zero, zero, roll], axis=1))
        return cls(about_z @ about_x @ about_y, scale, translation)


def rotation_matrices(vectors: Array) -> Array:
    """Rotations float64 [B, 3, 3] by vectors float64 [B, 3], axis times angle in radians (Rodrigues' formula)."""
    angle = np.linalg.norm(vectors, axis=1)
    cross = cross_matrices(vectors)
    # sin(a)/a and (1 − cos a)/a² without dividing by zero.
    first = np.sinc(angle / np.pi)
    second = 0.5 * np.sinc(angle / (2 * np.pi)) ** 2
    turned: Array = np.eye(3) + first[:, None, None] * cross + second[:, None, None] * (cross @ cross)
    return turned


def cross_matrices(vectors: Array) -> Array:
    """[a]× float64 [..., 3, 3] of vectors a float64 [..., 3], so that [a]×·b = a × b."""
    matrices = np.zeros((*vectors.shape, 3))
    x, y, z = np.moveaxis(vectors, -1, 0)
    matrices[..., 0, 1], matrices[..., 0, 2] = -z, y
    matrices[..., 1, 0], matrices[..., 1, 2] = z, -x
    matrices[..., 2, 0], matrices[..., 2, 1] = -y, x
    return matrices


@dataclass(frozen=True)
class Linearised:
    """Projected points and their derivatives.

    Attributes:
        image: float64 [B, K, D], the projected points.
        by_point: float64 [B, K, D, 3], by the point in the model's frame.
        by_pose: float64 [B, K, D, Q], by the step of `Pose.moved`.
    """

    image: Array
    by_point: Array
    by_pose: Array


class Projection(Protocol):
    """A camera, or the identity for landmarks in three dimensions."""

    @property
    def dimensions(self) -> int:
        """D, the number of coordinates of a landmark."""
        ...

    def project(self, pose: Pose, points: Array) -> Array:
        """Places float64 [B, K, D] of points float64 [B, K, 3] in the model's frame."""
        ...

    def linearise(self, pose: Pose, points: Array) -> Linearised:
        """The same with derivatives."""
        ...

    def first_pose(self, points: Array, places: Array, weights: Array) -> Pose:
        """The pose that best brings points float64 [K, 3] to places float64 [B, K, D], weighted by float64 [B, K].

        A closed form without perspective, from which the fit starts near its result.
        """
        ...


@dataclass(frozen=True)
class Camera:
    """A pinhole camera, or the weak perspective it becomes with an infinite focal length.

    With q = s·R·v + (t, 0) measured from the principal point c: x = c + q_xy / (1 − q_z / focal), y turned downwards. Both
    cameras have the same pose parameters in this form, and a long focal length does not make the fit ill-conditioned.

    Attributes:
        focal: focal length in pixels; infinite: weak perspective.
        centre: principal point (x, y) in pixels, usually the middle of the image; without effect in weak perspective.
    """

    focal: float = np.inf
    centre: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        if not self.focal > 0:
            raise UsageError(f"focal length {self.focal}: give a positive number of pixels")

    @property
    def dimensions(self) -> int:
        """2: pixels right and down."""
        return 2

    def depth(self, pose: Pose) -> Array:
        """Distance float64 [B] from the camera to the model's origin, millimetres; infinite in weak perspective."""
        depth: Array = self.focal / pose.scale
        return depth

    def project(self, pose: Pose, points: Array) -> Array:
        """Pixels float64 [B, K, 2] of points float64 [B, K, 3] in the model's frame."""
        image, _, _ = self._project(pose, points)
        return image

    def linearise(self, pose: Pose, points: Array) -> Linearised:
        """Pixels with their derivatives; see `Linearised`."""
        image, q, nearer = self._project(pose, points)
        by_q = np.zeros((*image.shape, 3))
        by_q[..., 0, 0], by_q[..., 1, 1] = nearer, -nearer
        if np.isfinite(self.focal):
            by_q[..., 2] = (image - np.array(self.centre)) * (nearer / self.focal)[..., None]
        by_pose = np.empty((*image.shape, 6))
        # dq = ω × q = −[q]× ω, dq = q · d log s.
        by_pose[..., :3] = np.cross(q[..., None, :], by_q)
        by_pose[..., 3] = np.einsum("bkdi,bki->bkd", by_q, q)
        by_pose[..., 4:] = nearer[..., None, None] * np.eye(2)
        turn = pose.scale[:, None, None] * pose.rotation
        return Linearised(image, by_q @ turn[:, None], by_pose)

    def first_pose(self, points: Array, places: Array, weights: Array) -> Pose:
        """The weak-perspective pose nearest to the best affine one (DeMenthon & Davis 1995, first step)."""
        up = places * np.array([1.0, -1.0])
        affine, shift = _affine(points, up, weights)
        u, scale, v = np.linalg.svd(affine, full_matrices=False)
        two = u @ v
        rotation = np.concatenate([two, np.cross(two[:, 0], two[:, 1])[:, None]], axis=1)
        return Pose(rotation, scale.mean(axis=1), shift * np.array([1.0, -1.0]))

    def _project(self, pose: Pose, points: Array) -> tuple[Array, Array, Array]:
        """Pixels [B, K, 2], s·R·v [B, K, 3], and the magnification 1 / (1 − q_z / focal) [B, K]."""
        q = points @ (pose.scale[:, None, None] * pose.rotation).transpose(0, 2, 1)
        nearer = 1 / np.maximum(1 - q[..., 2] / self.focal, 1e-3)
        centre = np.array(self.centre)
        image = q[..., :2] * np.array([1.0, -1.0]) + (pose.translation - centre)[:, None]
        return centre + image * nearer[..., None], q, nearer


@dataclass(frozen=True)
class Space:
    """Landmarks in three dimensions, without a camera: y = s·R·v + t, x right, y up, z towards the viewer, in any unit."""

    @property
    def dimensions(self) -> int:
        """3."""
        return 3

    def project(self, pose: Pose, points: Array) -> Array:
        """Places float64 [B, K, 3] of points float64 [B, K, 3] in the model's frame."""
        turn = pose.scale[:, None, None] * pose.rotation
        placed: Array = points @ turn.transpose(0, 2, 1) + pose.translation[:, None]
        return placed

    def linearise(self, pose: Pose, points: Array) -> Linearised:
        """Places with their derivatives; see `Linearised`."""
        turn = pose.scale[:, None, None] * pose.rotation
        q = points @ turn.transpose(0, 2, 1)
        by_pose = np.empty((*q.shape, 7))
        by_pose[..., :3] = -cross_matrices(q)
        by_pose[..., 3] = q
        by_pose[..., 4:] = np.eye(3)
        by_point = np.broadcast_to(turn[:, None], (*q.shape, 3))
        return Linearised(q + pose.translation[:, None], by_point, by_pose)

    def first_pose(self, points: Array, places: Array, weights: Array) -> Pose:
        """The similarity nearest to the best affine map (Umeyama 1991, without noise)."""
        affine, shift = _affine(points, places, weights)
        u, scale, v = np.linalg.svd(affine)
        mirrored = np.sign(np.linalg.det(u @ v))
        u[:, :, 2] *= mirrored[:, None]
        return Pose(u @ v, scale.mean(axis=1), shift)


def _affine(points: Array, places: Array, weights: Array) -> tuple[Array, Array]:
    """The affine maps float64 ([B, D, 3], [B, D]) of points [K, 3] to places [B, K, D], by weighted least squares."""
    rows = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    square = np.einsum("bk,ki,kj->bij", weights, rows, rows, optimize=True)
    right = np.einsum("bk,ki,bkd->bid", weights, rows, places, optimize=True)
    solved = np.linalg.solve(square, right).transpose(0, 2, 1)
    return solved[..., :3], solved[..., 3]
