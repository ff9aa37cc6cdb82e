"""Renders that the expert learns from: faces drawn from the population, in any light and pose, with their coefficients."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import ProviderError, UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.install_advice import how_to_install
from voxface.training.data.images import as_image_array
from voxface.training.data.kept_arrays import read_kept, write_kept
from voxface.training.data.parallel_map import parallel_map
from voxface.training.faces.appearance import Appearance
from voxface.training.faces.camera import Pose
from voxface.training.faces.face_set import draw, picture_camera, picture_pose
from voxface.training.faces.population import FacePopulation, sample_faces

# Raised by one whenever a change of the code makes other pictures of the same configuration.
VERSION: Final = 1
DECIMETRE: Final = 100.0


@dataclass(frozen=True)
class RenderConfig:
    """Configuration of a set of renders.

    Attributes:
        pictures: how many renders; women and men in turns.
        seed: picture i of a seed is the same whatever the count and the number of workers.
        size: height and width, px; 64 is what the generator makes.
        expression: standard deviation of the expression coefficients (half-normal), where the model has any.
        yaw, pitch, roll: largest rotation of the head to either side, degrees, drawn uniformly; larger than in the pairs'
            pictures.
    """

    pictures: int = 6000
    seed: int = 0
    size: int = 64
    expression: float = 0.35
    yaw: float = 20.0
    pitch: float = 10.0
    roll: float = 6.0

    def __post_init__(self) -> None:
        if self.pictures < 2 or self.size < 16:
            raise UsageError(f"{self.pictures} renders of {self.size} px: at least two, of 16 px")


@dataclass(frozen=True)
class Renders:
    """N rendered pictures with the geometry they show.

    Attributes:
        pictures: uint8 [N, size, size, 3], RGB.
        coefficients: float32 [N, P].
        sexes: uint8 [N], 0 female, 1 male.
        pose: float32 [N, 12], see `pose_numbers`.
    """

    pictures: NDArray[np.uint8]
    coefficients: NDArray[np.float32]
    sexes: NDArray[np.uint8]
    pose: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pictures)

    def images(self, which: NDArray[np.integer[Any]] | slice) -> NDArray[np.float32]:
        """Images of some of the renders, as networks take them: float32 [B, 3, size, size], RGB, in [-1, 1]."""
        return np.ascontiguousarray(as_image_array(self.pictures[which]))

    @classmethod
    def load_or_draw(
        cls,
        file: Path,
        model: MorphableModel,
        population: FacePopulation,
        config: RenderConfig,
        *,
        workers: int = 1,
        say: Callable[[str], None] = lambda _: None,
        done: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Self:
        """Renders from `file`, if they are of this model, population and configuration; else draws them and writes the file.

        Args:
            file: an `.npz`; written whole or not at all.
            workers: processes that draw; 1 draws in this process.

        Raises:
            ProviderError: Open3D, which draws the pictures, is not there.
            InputError: the file cannot be written.
        """
        key = _key(model, population, config)
        arrays = read_kept(file, key, _ARRAYS, say)
        if arrays is not None:
            kept = cls(**arrays)
            say(f"{len(kept)} renders taken from {file}")
            return kept
        drawn = cls.from_population(model, population, config, workers=workers, say=say, done=done)
        write_kept(file, key, {name: getattr(drawn, name) for name in _ARRAYS})
        return drawn

    @classmethod
    def from_population(
        cls,
        model: MorphableModel,
        population: FacePopulation,
        config: RenderConfig,
        *,
        workers: int = 1,
        say: Callable[[str], None] = lambda _: None,
        done: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Self:
        """Draws all renders of a configuration; about 0.13 s each on one core.

        Raises:
            ProviderError: Open3D is not there.
        """
        try:
            from voxface.training.faces.render import ambient_visibility

            occlusion = ambient_visibility(model.mean, model.triangles)
        except (ImportError, OSError) as error:
            raise ProviderError(f"pictures of faces need Open3D ({error}); {how_to_install('viewer')}") from error
        task = _RenderTask(model, population, config, occlusion)
        rows = []
        for row in parallel_map(_draw, task, range(config.pictures), workers):
            rows.append(row)
            done(len(rows), config.pictures)
            if len(rows) % 500 == 0 or len(rows) == config.pictures:
                say(f"{len(rows)} of {config.pictures} renders")
        return cls(*(np.stack([row[k] for row in rows]) for k in range(len(_ARRAYS))))


_ARRAYS: Final = ("pictures", "coefficients", "sexes", "pose")


def pose_numbers(pose: Pose, size: int) -> NDArray[np.float32]:
    """Pose numbers of a weak-perspective camera, as `ImageToFace` gives them: float32 [B, 12], rows of the 3×4 matrix [A | t].

    A·v + t takes a vertex v in decimetres to its place in picture heights from the middle of the picture, x right, y up, z
    towards the camera. Depth is measured from where a face in the same pose would turn about its picture's middle, so the
    third number of t is the depth that the origin has against it.

    Args:
        pose: float64 [B, …] of pictures `size` pixels high, as `face_set.picture_pose` makes them.
    """
    scaled = pose.scale[:, None, None] * pose.rotation * (DECIMETRE / size)
    across = (pose.translation[:, 0] / size - 0.5, 0.5 - pose.translation[:, 1] / size)
    centre = np.array(_centre()) / DECIMETRE
    depth = -np.einsum("bi,i->b", scaled[:, 2], centre)
    matrix = np.concatenate([scaled, np.stack([*across, depth], axis=1)[:, :, None]], axis=2)
    return matrix.reshape(-1, 12).astype(np.float32)


def rotations(numbers: NDArray[np.float32]) -> NDArray[np.float64]:
    """The rotations float64 [B, 3, 3] nearest to those of pose numbers float32 [B, 12], whatever their scale."""
    u, _, v = np.linalg.svd(numbers.reshape(-1, 3, 4)[:, :, :3].astype(np.float64))
    u[:, :, 2] *= np.sign(np.linalg.det(u @ v))[:, None]
    turned: NDArray[np.float64] = u @ v
    return turned


def _centre() -> tuple[float, float, float]:
    from voxface.training.faces.render import CROP

    return CROP.centre


@dataclass(frozen=True)
class _RenderTask:
    """What a worker process needs to draw renders."""

    model: MorphableModel
    population: FacePopulation
    config: RenderConfig
    occlusion: NDArray[np.float32]

    def draw(self, i: int) -> tuple[NDArray[Any], ...]:
        """Draws face i: (picture, coefficients, sex, pose numbers)."""
        config, model, sex = self.config, self.model, i % 2
        rng = np.random.default_rng([config.seed, i])
        coefficients = sample_faces(model, self.population, sex, 1, rng, expression_sd=config.expression)[0]
        degrees = rng.uniform(-1, 1, (1, 3)) * np.array([config.yaw, config.pitch, config.roll])
        pose = picture_pose(degrees, picture_camera(config.size))
        picture = draw(model, model.vertices(coefficients), pose, config.size, Appearance.sample(rng), self.occlusion)
        return picture, coefficients, np.array(sex, np.uint8), pose_numbers(pose, config.size)[0]


def _draw(task: _RenderTask, i: int) -> tuple[NDArray[Any], ...]:
    return task.draw(i)


def _key(model: MorphableModel, population: FacePopulation, config: RenderConfig) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, asdict(config), model.identity_modes], sort_keys=True).encode())
    for array in (
        model.mean, model.basis, model.triangles, model.albedo, model.parts, population.mean, population.covariance
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
