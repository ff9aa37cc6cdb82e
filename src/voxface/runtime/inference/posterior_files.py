"""The files of a posterior: faces drawn from it, a picture of them, and a heat map of the uncertainty."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.face_files import VIEWS
from voxface.runtime.face.glb import glb
from voxface.runtime.face.heat_map import heat_map, scale_end
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.png import png
from voxface.runtime.face.rasteriser import preview
from voxface.runtime.inference.face_posterior import FacePosterior, posterior_json
from voxface.runtime.provenance.mark import Mark

SAMPLES_PNG: Final = "samples.png"
UNCERTAINTY_PNG: Final = "uncertainty.png"
DRAWN: Final = re.compile(
    rf"sample-\d+\.glb|{re.escape(SAMPLES_PNG)}|{re.escape(UNCERTAINTY_PNG)}"
)  # names of all of them
SHOWN: Final = 6  # of the draws, in their picture
_SIZE: Final = 160  # pixels of each


@dataclass(frozen=True)
class PosteriorFiles:
    """Files of a posterior.

    Attributes:
        posterior: the posterior.
        contents: bytes by file name: `sample-1.glb` and so on (metres), `samples.png`, `uncertainty.png`.
        samples: names of the meshes.
        largest_mm: the end of the heat map's scale.
        rms_mm: root mean square of the uncertainty over all vertices.
    """

    posterior: FacePosterior
    contents: dict[str, bytes]
    samples: tuple[str, ...]
    largest_mm: float
    rms_mm: float

    def to_json(self, folder: Path) -> dict[str, Any]:
        """What `report.json` says of them, when they lie in a folder, and of the posterior."""
        return {
            **posterior_json(self.posterior),
            "samples": [str(folder / name) for name in self.samples],
            "samples_preview": str(folder / SAMPLES_PNG),
            "uncertainty": {
                "preview": str(folder / UNCERTAINTY_PNG),
                "largest_mm": self.largest_mm,
                "rms_mm": self.rms_mm,
            },
        }


def draw_posterior(posterior: FacePosterior, count: int, seed: int, mark: Mark) -> PosteriorFiles:
    """Draws `count` faces, at least one, and makes their files, each with the mark."""
    model = posterior.model
    triangles, albedo = model.triangles, model.albedo
    names = tuple(f"sample-{k + 1}.glb" for k in range(count))
    contents: dict[str, bytes] = {}
    shown: list[NDArray[np.uint8]] = []
    for name, coefficients in zip(names, posterior.sample(count, seed), strict=True):
        vertices = model.vertices(coefficients, posterior.decades)
        contents[name] = glb(vertices, vertex_normals(vertices, triangles), albedo, triangles, mark)
        if len(shown) < SHOWN:
            shown.append(preview(vertices, triangles, albedo, size=_SIZE))
    contents[SAMPLES_PNG] = png(np.concatenate(shown, axis=1), mark)
    spread = posterior.vertex_sd_mm
    largest = scale_end(spread)
    picture = heat_map(model.vertices(posterior.mean, posterior.decades), triangles, spread, largest, yaws=VIEWS)
    contents[UNCERTAINTY_PNG] = png(picture, mark)
    return PosteriorFiles(posterior, contents, names, largest, float(np.sqrt(np.mean(np.square(spread)))))
