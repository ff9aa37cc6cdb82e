"""Fit of pose and coefficients to 68 landmarks, for faces without a scan (Wu 2022, §3.2, after 300W-LP).

The most probable pose and coefficients under a Gaussian prior and Gaussian noise, by Gauss–Newton over many faces at once:

    minimise over (c, R, s, t)   Σ_k ‖x_k − camera(R, s, t, v_k(c))‖² / σ_k²  +  (c − μ)ᵀ Σ⁻¹ (c − μ)

v_k is the vertex of landmark k. On the jaw line it is the point of the landmark's path that lies on the outline in the present
pose (`contour`), chosen anew in every iteration. The inverse of the last normal matrix is the posterior covariance (Laplace's
approximation): a coefficient that the landmarks do not determine has a variance near the prior's.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.camera import Array, Camera, Linearised, Pose, Projection
from voxface.training.faces.contour import JAW, ContourPaths, Outline
from voxface.training.faces.prior import Prior

# Place of the jaw line's landmarks: "silhouette", on the outline of the face (300-W, dlib, 2-D annotation); "anatomical", at
# the same place of the skin in every pose (3-D landmarks and their projections, MediaPipe).
Contour = Literal["silhouette", "anatomical"]

# Faces per batch: enough to hide numpy's overhead, few enough for the cache.
BATCH = 256
# Assumed noise of the first iteration in millimetres on the face, and its factor in each next one. Large noise at first keeps
# poorly determined coefficients small while the pose is still wrong.
FIRST_NOISE, NEXT_NOISE = 3.0, 0.2
# Least number of landmarks that determine a pose.
FEWEST = 6
# The largest turn of one iteration, radians.
LARGEST_TURN = 0.5


@dataclass(frozen=True)
class FitResult:
    """Result of fitting B faces.

    Attributes:
        coefficients: float32 [B, P].
        rotation: float64 [B, 3, 3], from the model's axes to the camera's (x right, y up, z towards the viewer).
        scale: float64 [B], pixels per millimetre at the model's origin.
        translation: float64 [B, 2], the image of the origin in pixels ([B, 3] for 3-D landmarks).
        covariance: float64 [B, P, P], posterior covariance of the coefficients.
        pose_covariance: float64 [B, Q, Q], of rotation vector (rad), log scale and translation (px).
        residual_px: float64 [B], root mean square distance of the fitted landmarks from those given, each axis counted,
            over landmarks of finite sigma; in the landmarks' unit.
        iterations: int64 [B].
        converged: bool [B], whether the last step was smaller than the tolerance.
    """

    coefficients: NDArray[np.float32]
    rotation: Array
    scale: Array
    translation: Array
    covariance: Array
    pose_covariance: Array
    residual_px: Array
    iterations: NDArray[np.int64]
    converged: NDArray[np.bool_]

    def of(self, faces: NDArray[np.intp]) -> "FitResult":
        """The result of some of the faces."""
        return FitResult(**{each.name: getattr(self, each.name)[faces] for each in fields(self)})

    @property
    def pose(self) -> Pose:
        """Rotation, scale and translation together."""
        return Pose(self.rotation, self.scale, self.translation)


class LandmarkFitter:
    """Fits one morphable model to landmarks seen by one kind of camera; one instance serves many faces."""

    def __init__(
        self,
        model: MorphableModel,
        projection: Projection | None = None,
        *,
        prior: Prior | None = None,
        contour: Contour = "silhouette",
    ) -> None:
        """Prepares the model.

        Args:
            projection: the camera, weak perspective by default; `Space` for 3-D landmarks.
            prior: prior of the coefficients, unit-normal by default.
            contour: place of landmarks 0–16; 3-D landmarks are anatomical.

        Raises:
            UsageError: the prior or the contour does not go with the model or the landmarks.
            BundleError: the model's landmarks lie where no jaw line can be traced.
        """
        self.projection: Projection = projection if projection is not None else Camera()
        self.prior = prior if prior is not None else Prior.unit(model.modes)
        if contour not in get_args(Contour):
            raise UsageError(f"contour {contour!r}: one of {', '.join(get_args(Contour))}")
        if contour == "silhouette" and self.projection.dimensions != 2:
            raise UsageError("3-D landmarks have no outline; fit them with contour='anatomical'")
        if self.prior.mean.shape != (model.modes,):
            raise UsageError(f"the prior has {len(self.prior.mean)} coefficients, model {model.name} has {model.modes}")
        self.model = model
        self.contour = contour
        self._precision = np.linalg.inv(self.prior.covariance)
        self._mean = model.mean[model.landmarks].astype(np.float64)
        self._basis = np.ascontiguousarray(model.basis[:, model.landmarks].transpose(1, 2, 0).astype(np.float64))
        self._paths = ContourPaths.from_model(model) if contour == "silhouette" else None
        if self._paths is not None:
            self._path_mean, self._path_basis = self._paths.blend(model)
            # The shape of the paths as one product with the coefficients.
            self._path_rows = np.ascontiguousarray(self._path_basis.reshape(-1, model.modes).T)

    def predict(self, coefficients: NDArray[np.float32] | Array, pose: Pose) -> Array:
        """Landmarks float64 [B, 68, D] of faces with coefficients float [B, P] in given poses."""
        points, _, _ = self._landmarks(coefficients.astype(np.float64), pose)
        return self.projection.project(pose, points)

    def fit(
        self,
        landmarks: NDArray[np.float32] | Array,
        sigma: float | Array = 1.0,
        *,
        robust: float | None = None,
        max_iterations: int = 30,
        tolerance: float = 0.05,
        workers: int = 1,
        start: FitResult | None = None,
    ) -> FitResult:
        """Fits B faces.

        Args:
            landmarks: float [B, 68, D], pixels right and down from the image's corner (3-D: right, up, to the viewer).
            sigma: standard deviation of the noise on each axis, in the unit of the landmarks; float, [68] or [B, 68];
                infinite for a landmark to be ignored.
            robust: scale, in sigmas, of Cauchy weights 1 / (1 + (r/scale)²), which give a distant landmark little weight;
                None: Gaussian noise.
            tolerance: length of the last step, in standard deviations of the posterior, below which a face is finished.
            workers: number of threads; the result does not depend on it.
            start: an earlier fit of these landmarks with another sigma, to begin with; None: the mean face in the pose that
                takes it nearest to the landmarks.

        Raises:
            UsageError: the shape is not [B, 68, D], a landmark is not finite, a face has too few that count or all on a line,
                or sigma is not positive.
        """
        given = np.asarray(landmarks, np.float64)
        if given.ndim != 3 or given.shape[1:] != (68, self.projection.dimensions):
            raise UsageError(f"landmarks have shape {list(given.shape)}, not [B, 68, {self.projection.dimensions}]")
        if not np.isfinite(given).all():
            face, landmark = np.argwhere(~np.isfinite(given))[0][:2]
            raise UsageError(f"landmark {landmark} of face {face} is not finite; leave such faces out")
        noise = np.broadcast_to(np.asarray(sigma, np.float64), given.shape[:2])
        if not (noise > 0).all():
            raise UsageError("sigma has to be positive; infinite for landmarks that are not to count")
        counted = np.isfinite(noise)
        if (counted.sum(axis=1) < FEWEST).any():
            face = int((counted.sum(axis=1) < FEWEST).argmax())
            raise UsageError(f"face {face} has {int(counted[face].sum())} landmarks that count; {FEWEST} are needed")
        flat = flat_faces(given)
        if flat.any():
            raise UsageError(
                f"landmarks of face {int(flat.argmax())} lie in one point or on a line; leave such faces out"
            )
        starts = range(0, len(given), BATCH)

        def batch(i: int) -> FitResult:
            part = slice(i, i + BATCH)
            begin = None if start is None else start.of(np.arange(len(given))[part])
            return self._fit(given[part], noise[part], robust, max_iterations, tolerance, begin)

        if workers == 1 or len(starts) < 2:
            parts = [batch(i) for i in starts]
        else:
            with ThreadPoolExecutor(workers) as pool:
                parts = list(pool.map(batch, starts))
        return _joined(parts) if parts else self._empty()

    def _fit(
        self,
        given: Array,
        noise: Array,
        robust: float | None,
        max_iterations: int,
        tolerance: float,
        start: FitResult | None,
    ) -> FitResult:
        count, modes = len(given), self.model.modes
        if start is None:
            pose, coefficients, first_noise = (
                self._first_pose(given, noise),
                np.tile(self.prior.mean, (count, 1)),
                FIRST_NOISE,
            )
        else:  # a copy of its own, in which the pose is right already
            pose, coefficients, first_noise = start.pose, start.coefficients.astype(np.float64), 0.0
        size = modes + 4 + pose.translation.shape[1]
        normal = np.empty((count, size, size))
        residual, damping, before = np.empty(count), np.ones(count), np.zeros((count, size))
        iterations = np.zeros(count, np.int64)
        converged = np.zeros(count, bool)
        active = np.arange(count)
        places, scatter = given, noise
        for round_ in range(max_iterations):
            floor = first_noise * pose.scale[active] * NEXT_NOISE**round_
            settled = (floor[:, None] <= scatter).all(axis=1)
            step, square, rms = self._step(
                coefficients[active], pose[active], places, np.maximum(scatter, floor[:, None]), robust
            )
            normal[active], residual[active] = square, rms
            metric = (square @ step[..., None])[..., 0]
            # Full steps can oscillate for ever between two places of a jaw landmark that fit equally well.
            back = (before[active] * metric).sum(axis=1) < 0
            damping[active] = np.where(back, 0.5 * damping[active], np.minimum(1.0, 1.5 * damping[active]))
            # δᵀHδ is the squared length of the step in standard deviations of the posterior.
            length = damping[active] * np.sqrt((step * metric).sum(axis=1))
            step *= damping[active, None]
            before[active] = step
            coefficients[active] += step[:, :modes]
            moved = pose[active].moved(step[:, modes:])
            pose.rotation[active], pose.scale[active], pose.translation[active] = (
                moved.rotation,
                moved.scale,
                moved.translation,
            )
            iterations[active] += 1
            done = settled & (length < tolerance)
            converged[active[done]] = True
            if done.any():
                active, places, scatter = active[~done], places[~done], scatter[~done]
            if not len(active):
                break
        covariance = np.linalg.inv(normal)
        return FitResult(
            coefficients=coefficients.astype(np.float32),
            rotation=pose.rotation,
            scale=pose.scale,
            translation=pose.translation,
            covariance=covariance[:, :modes, :modes],
            pose_covariance=covariance[:, modes:, modes:],
            residual_px=residual,
            iterations=iterations,
            converged=converged,
        )

    def _step(
        self, coefficients: Array, pose: Pose, given: Array, noise: Array, robust: float | None
    ) -> tuple[Array, Array, Array]:
        """One Gauss–Newton step [B, P + Q], the normal matrix [B, P + Q, P + Q], and the rms residual before it [B]."""
        count, modes = len(given), self.model.modes
        points, basis, outline = self._landmarks(coefficients, pose)
        seen = self.projection.linearise(pose, points)
        jacobian = self._jacobian(seen, basis)
        off = given - seen.image
        weight = 1 / noise
        if robust is not None:
            weight = weight / np.sqrt(1 + (np.square(off).sum(axis=2) * weight**2) / robust**2)
        counted = np.isfinite(noise)
        rms = np.sqrt((np.square(off).mean(axis=2) * counted).sum(axis=1) / counted.sum(axis=1))
        if outline is not None:
            _across(outline, off)
            _across(outline, jacobian)
        weights = np.repeat(weight[..., None], self.projection.dimensions, axis=2)
        if outline is not None:
            weights[:, :JAW, 1] /= np.sqrt(1 + np.square(outline.slide * weight[:, :JAW]))
        jacobian *= weights[..., None]
        rows = jacobian.reshape(count, -1, jacobian.shape[-1])
        square = rows.transpose(0, 2, 1) @ rows
        square[:, :modes, :modes] += self._precision
        right = (rows.transpose(0, 2, 1) @ (off * weights).reshape(count, -1, 1))[..., 0]
        right[:, :modes] -= (coefficients - self.prior.mean) @ self._precision
        step: Array = np.asarray(np.linalg.solve(square, right[..., None])[..., 0], np.float64)
        turn = np.linalg.norm(step[:, modes : modes + 3], axis=1)
        step *= np.minimum(1, LARGEST_TURN / np.maximum(turn, 1e-12))[:, None]
        return step, square, np.asarray(rms, np.float64)

    def _jacobian(self, seen: Linearised, basis: Array) -> Array:
        """Derivatives [B, 68, D, P + Q] of landmarks by coefficients and pose."""
        count, landmarks, dimensions, pose = seen.by_pose.shape
        modes = self.model.modes
        jacobian = np.empty((count, landmarks, dimensions, modes + pose))
        jacobian[..., modes:] = seen.by_pose
        jaw = basis.shape[1]
        if jaw:
            np.matmul(seen.by_point[:, :jaw], basis, out=jacobian[:, :jaw, :, :modes])
        # Landmarks that are vertices have the same modes in every face: one product a landmark, over all faces.
        by_point = seen.by_point[:, jaw:].transpose(1, 0, 2, 3).reshape(landmarks - jaw, -1, 3)
        moved = (by_point @ self._basis[jaw:]).reshape(landmarks - jaw, count, dimensions, modes)
        jacobian[:, jaw:, :, :modes] = moved.transpose(1, 0, 2, 3)
        return jacobian

    def _landmarks(self, coefficients: Array, pose: Pose) -> tuple[Array, Array, Outline | None]:
        """Landmarks [B, 68, 3] in the model's frame, the modes [B, 17, 3, P] of those on the outline, and the outline."""
        count = len(coefficients)
        still = slice(JAW if self._paths is not None else 0, None)
        shape = self._basis[still].shape
        points = self._mean[still] + (coefficients @ self._basis[still].reshape(-1, shape[-1]).T).reshape(
            count, *shape[:2]
        )
        if self._paths is None:
            return points, np.empty((count, 0, 3, self.model.modes)), None
        paths = self._path_mean + (coefficients @ self._path_rows).reshape(count, *self._path_mean.shape)
        outline = self._paths.outline(self.projection, pose, paths)
        at = outline.place
        before = np.minimum(at.astype(np.int64), self._path_mean.shape[1] - 2)
        share = (at - before)[..., None]
        jaw = np.arange(JAW)
        faces = np.arange(count)[:, None]
        jaw_line = (1 - share) * paths[faces, jaw, before] + share * paths[faces, jaw, before + 1]
        basis = self._path_basis[jaw, before] * (1 - share[..., None])
        basis += self._path_basis[jaw, before + 1] * share[..., None]
        return np.concatenate([jaw_line, points], axis=1), basis, outline

    def _first_pose(self, given: Array, noise: Array) -> Pose:
        """The pose of the mean face, without the jaw line, whose vertices change as the head turns."""
        mean = self._mean + self._basis @ self.prior.mean
        weights = 1 / noise**2
        weights = weights / np.maximum(weights.max(axis=1, keepdims=True), 1e-300)
        inner = weights.copy()
        inner[:, :JAW] = 0
        # The jaw line is used only where the other landmarks are too few.
        enough = (inner > 1e-6).sum(axis=1, keepdims=True) >= 6
        return self.projection.first_pose(mean, given, np.where(enough, inner, weights))

    def _empty(self) -> FitResult:
        p, d = self.model.modes, self.projection.dimensions
        none = np.zeros(0)
        return FitResult(
            np.zeros((0, p), np.float32), np.zeros((0, 3, 3)), none, np.zeros((0, d)), np.zeros((0, p, p)),
            np.zeros((0, 4 + d, 4 + d)), none, np.zeros(0, np.int64), np.zeros(0, bool),
        )  # fmt: skip


def flat_faces(landmarks: Array) -> NDArray[np.bool_]:
    """Mask bool [B] of the faces whose landmarks float64 [B, 68, D] all lie in one point or on one line."""
    spread = np.linalg.svd(landmarks - landmarks.mean(axis=1, keepdims=True), compute_uv=False)
    flat: NDArray[np.bool_] = ~(spread[:, 1] > 1e-3 * spread[:, 0])
    return flat


def _across(outline: Outline, rows: Array) -> None:
    """Turns the jaw line's rows of [B, 68, 2, …], right and down, into across and along the outline.

    The height of the furthest point does not change, to first order, with its place on the path. Across the outline, the
    derivative at a fixed place of the path is therefore exact; along the outline it is not.
    """
    x, y = rows[:, :JAW, 0], rows[:, :JAW, 1]
    out = outline.out.reshape(*outline.out.shape, *[1] * (rows.ndim - 3))
    rows[:, :JAW, 0], rows[:, :JAW, 1] = x * out[:, :, 0] + y * out[:, :, 1], y * out[:, :, 0] - x * out[:, :, 1]


def _joined(parts: list[FitResult]) -> FitResult:
    if len(parts) == 1:
        return parts[0]
    return FitResult(
        coefficients=np.concatenate([p.coefficients for p in parts]),
        rotation=np.concatenate([p.rotation for p in parts]),
        scale=np.concatenate([p.scale for p in parts]),
        translation=np.concatenate([p.translation for p in parts]),
        covariance=np.concatenate([p.covariance for p in parts]),
        pose_covariance=np.concatenate([p.pose_covariance for p in parts]),
        residual_px=np.concatenate([p.residual_px for p in parts]),
        iterations=np.concatenate([p.iterations for p in parts]),
        converged=np.concatenate([p.converged for p in parts]),
    )
