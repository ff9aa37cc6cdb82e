"""Sets of synthetic faces with their ground truth: pictures, coefficients, sex, pose and landmarks."""

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.face.png import png
from voxface.runtime.provenance.mark import DRAWN
from voxface.training.faces.appearance import Appearance
from voxface.training.faces.camera import Array, Camera, Pose
from voxface.training.faces.fitting import LandmarkFitter
from voxface.training.faces.population import FacePopulation, sample_faces
from voxface.training.faces.render import CROP, Framing, ambient_visibility, render, require_open3d

SCHEMA = 1
SEXES = ("female", "male")


@dataclass(frozen=True)
class FaceSetConfig:
    """Settings of a set of faces.

    Attributes:
        count: number of faces.
        seed: face i of a seed does not depend on the count.
        size: height and width of a picture in pixels.
        sexes: sexes of the faces, taken in turns; 0 female, 1 male.
        expression: standard deviation of the expression coefficients, if the model has any.
        yaw, pitch, roll: largest random turn of the head to either side, degrees.
    """

    count: int
    seed: int = 0
    size: int = 120
    sexes: tuple[int, ...] = (0, 1)
    expression: float = 0.35
    yaw: float = 35.0
    pitch: float = 15.0
    roll: float = 10.0


def picture_camera(size: int, framing: Framing = CROP) -> Camera:
    """The renderer's camera in the form that the fitter uses."""
    return Camera(size * framing.distance / framing.extent, (size / 2, size / 2))


def picture_pose(degrees: Array, camera: Camera, framing: Framing = CROP) -> Pose:
    """Poses of heads that turn by (yaw, pitch, roll) float64 [B, 3] about the middle of the picture."""
    zero = np.zeros(len(degrees))
    rotation = Pose.from_angles(degrees, zero, np.zeros((len(degrees), 2))).rotation
    origin = -rotation @ np.array(framing.centre)  # the model's origin as seen from the framing's centre
    scale = camera.focal / (framing.distance - origin[:, 2])
    shift = np.array(camera.centre) + scale[:, None] * origin[:, :2] * np.array([1.0, -1.0])
    return Pose(rotation, scale, shift)


def write_face_set(
    out: Path,
    model: MorphableModel,
    population: FacePopulation,
    config: FaceSetConfig,
    *,
    done: Callable[[str], None] = lambda _: None,
) -> dict[str, object]:
    """Writes the folder `out`, whole or not at all; returns its manifest.

    It holds `face_000000.png` … (RGB, size × size), `faces.npz` and `manifest.json`. Arrays of `faces.npz`, first axis faces:
    `coefficients` float32 [N, P]; `sexes` uint8 [N], 0 female, 1 male; `landmarks2d` float32 [N, 68, 2] in pixels, the jaw
    line on the outline; `landmarks2d_anatomical`, the jaw line on its own vertices; `angles` float32 [N, 3], yaw, pitch
    and roll in degrees; `rotation` [N, 3, 3], `scale` [N] and `translation` [N, 2] as in `FitResult`.

    Args:
        out: has to be absent or an empty folder.
        done: called with the name of each finished picture.

    Raises:
        ProviderError: Open3D, which renders the pictures, is not installed.
    """
    require_open3d()
    camera = picture_camera(config.size)
    outline, anatomical = (LandmarkFitter(model, camera, contour=c) for c in ("silhouette", "anatomical"))
    occlusion = ambient_visibility(model.mean, model.triangles)
    rows: dict[str, list[NDArray[np.generic]]] = {}
    names: list[str] = []
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as room:
        fresh = Path(room) / "new"
        fresh.mkdir()
        for i in range(config.count):
            rng = np.random.default_rng([config.seed, i])
            sex = config.sexes[i % len(config.sexes)]
            coefficients = sample_faces(model, population, sex, 1, rng, expression_sd=config.expression)
            degrees = rng.uniform(-1, 1, (1, 3)) * np.array([config.yaw, config.pitch, config.roll])
            pose = picture_pose(degrees, camera)
            picture = draw(model, model.vertices(coefficients[0]), pose, config.size, Appearance.sample(rng), occlusion)
            names.append(f"face_{i:06d}.png")
            (fresh / names[-1]).write_bytes(png(picture, DRAWN))
            for key, value in {
                "coefficients": coefficients[0],
                "sexes": np.uint8(sex),
                "landmarks2d": outline.predict(coefficients, pose)[0].astype(np.float32),
                "landmarks2d_anatomical": anatomical.predict(coefficients, pose)[0].astype(np.float32),
                "angles": degrees[0].astype(np.float32),
                "rotation": pose.rotation[0].astype(np.float32),
                "scale": pose.scale[0].astype(np.float32),
                "translation": pose.translation[0].astype(np.float32),
            }.items():
                rows.setdefault(key, []).append(np.asarray(value))
            done(names[-1])
        arrays: dict[str, Any] = {key: np.stack(values) for key, values in rows.items()}
        np.savez_compressed(fresh / "faces.npz", **arrays)
        manifest: dict[str, object] = {
            "schema": SCHEMA,
            "about": "synthetic faces drawn from population statistics; they show no real person",
            "morphable_model": {"name": model.name, "version": model.version, "licence": model.licence},
            **asdict(config),
            "sexes": [SEXES[sex] for sex in config.sexes],
            "camera": {"focal_px": camera.focal, "centre_px": list(camera.centre), "distance_mm": CROP.distance},
            "faces": names,
            "sha256": {
                file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(fresh.glob("*.npz"))
            },
        }
        (fresh / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
        fresh.rename(out)
    return manifest


def draw(
    model: MorphableModel,
    vertices: NDArray[np.float32],
    pose: Pose,
    size: int,
    appearance: Appearance,
    occlusion: NDArray[np.float32],
) -> NDArray[np.uint8]:
    """A picture uint8 [size, size, 3] of one head float32 [N, 3], turned by the first of the poses."""
    centre = np.array(CROP.centre)
    turned = centre + (vertices - centre) @ pose.rotation[0].T
    return render(
        turned.astype(np.float32),
        model.triangles,
        model.albedo,
        size=size,
        appearance=appearance,
        parts=model.parts,
        occlusion=occlusion,
    )
