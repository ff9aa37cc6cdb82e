"""Pictures of one person: the same face in different light and colours, with small turns and expressions."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.training.faces.appearance import Appearance
from voxface.training.faces.camera import Camera
from voxface.training.faces.face_set import draw, picture_camera, picture_pose
from voxface.training.faces.render import ambient_visibility, require_open3d


@dataclass(frozen=True)
class PictureConfig:
    """Settings of a person's pictures.

    Attributes:
        each: number of pictures of every person.
        size: height and width, px.
        expression: scale of the half-normal expression coefficients, if the model has any.
        yaw, pitch, roll: largest random turn of the head to either side, degrees.
    """

    each: int = 4
    size: int = 64
    expression: float = 0.25
    yaw: float = 12.0
    pitch: float = 6.0
    roll: float = 4.0

    def __post_init__(self) -> None:
        if self.each < 1 or self.size < 16:
            raise UsageError(f"{self.each} pictures of {self.size} px: at least one, of 16 px")


@dataclass(frozen=True)
class PersonRenderer:
    """Renders pictures of people.

    Attributes:
        model: the morphable model of the faces.
        config: settings of the pictures.
        camera: camera of the pictures.
        occlusion: float32 [N], ambient visibility of each vertex of the model.
    """

    model: MorphableModel
    config: PictureConfig
    camera: Camera
    occlusion: NDArray[np.float32]

    @classmethod
    def from_model(cls, model: MorphableModel, config: PictureConfig) -> Self:
        """A renderer for faces of this model.

        Raises:
            ProviderError: Open3D, which renders the pictures, is not installed.
        """
        require_open3d()
        occlusion = ambient_visibility(model.mean, model.triangles)
        return cls(model, config, picture_camera(config.size), occlusion)

    def render(self, coefficients: NDArray[np.float32], seed: tuple[int, ...]) -> NDArray[np.uint8]:
        """Pictures uint8 [each, size, size, 3] of the face with coefficients float32 [P].

        Picture k of a seed does not depend on the number of pictures.
        """
        return np.stack(
            [self._picture(coefficients, np.random.default_rng([*seed, k])) for k in range(self.config.each)]
        )

    def _picture(self, coefficients: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
        config, model = self.config, self.model
        face = coefficients.copy()
        face[model.identity_modes :] += np.abs(rng.normal(0.0, config.expression, model.modes - model.identity_modes))
        degrees = rng.uniform(-1, 1, (1, 3)) * np.array([config.yaw, config.pitch, config.roll])
        pose = picture_pose(degrees, self.camera)
        return draw(model, model.vertices(face), pose, config.size, Appearance.sample(rng), self.occlusion)
