"""Tables of the geometry suite: errors of several methods on the same speakers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.geometry.are_table import RATIOS, Speakers, relative_gain
from voxface.training.evaluation.geometry.face_scores import FaceScores, lengths
from voxface.training.evaluation.geometry.geometry_methods import Method
from voxface.training.evaluation.geometry.measurement_errors import Measurements, mean_error, mean_over
from voxface.training.evaluation.result import Column, Measured, Row, Table
from voxface.training.evaluation.subject import at_rest

Float64 = NDArray[np.float64]
SHORT: Final = {"ear": "ER", "forehead": "FR", "midline": "MR", "cheek": "CR"}
MEAN: Final = "mean"
OVER_CASCADE: Final = "gain over the cascade"
OVER_SEX: Final = "gain over the mean face of the sex"
# Wu 2022, Table 1: ER, FR, MR, CR, mean, gain.
PUBLISHED: Final[Mapping[str, tuple[float, float, float, float, float, float | None]]] = {
    "Base-1 (GAN, then 3DDFA-V2)": (0.0319, 0.0184, 0.0177, 0.0562, 0.0311, None),
    "Base-2 (GAN, then SynergyNet)": (0.0311, 0.0173, 0.0173, 0.0551, 0.0302, 0.0),
    "CMP, supervised": (0.0152, 0.0186, 0.0169, 0.0457, 0.0241, 0.202),
    "CMP, unsupervised": (0.0181, 0.0169, 0.0174, 0.0480, 0.0251, 0.169),
}


@dataclass(frozen=True)
class Scored:
    """A method with its errors, those of speakers in the order of `speakers`."""

    method: Method
    scores: FaceScores
    speakers: Speakers
    truth: Mapping[str, Float64]
    sexes: NDArray[np.int64]

    @classmethod
    def of(cls, method: Method, scores: FaceScores, pairs: Pairs, utterances: NDArray[np.int32]) -> "Scored":
        """Errors of utterances int32 [U]."""
        speakers = Speakers.of(pairs, utterances)
        person = pairs.utterance_person[utterances]
        people, back = np.unique(person, return_inverse=True)
        model = pairs.morphable
        true: dict[str, list[Float64]] = {name: [] for name in model.measurements}
        for i in people:
            face = model.vertices(at_rest(model, pairs.coefficients[i]))[None]
            for name, length in lengths(face, model.measurements).items():
                true[name].append(length)
        truth = {name: np.concatenate(of)[back] for name, of in true.items()}
        sexes = np.rint(speakers.mean(pairs.sexes[person].astype(np.float64))).astype(np.int64)
        return cls(method, scores, speakers, truth, sexes)

    def mean(self, errors: Float64) -> Float64:
        """Errors float64 [U] of utterances by speaker."""
        return self.speakers.mean(errors)

    @cached_property
    def measures(self) -> dict[str, Measurements]:
        """Each measurement by speaker, predicted (mean over a person's recordings) and true."""
        return {
            name: Measurements(self.mean(of), self.mean(self.truth[name]), self.sexes)
            for name, of in self.scores.measured.items()
        }

    @cached_property
    def within_sex(self) -> dict[str, tuple[Measured, float]]:
        """Correlation and p-value within the sexes of each measurement; those that do not differ within a sex are left out."""
        related = {name: measure.correlation() for name, measure in self.measures.items()}
        return {name: (of, self.measures[name].p_value()) for name, of in related.items() if of is not None}


def ratio_table(scored: Sequence[Scored], pairs: str, cascade: Scored | None, sex: Scored | None) -> Table:
    """Absolute ratio errors with one set of point pairs, beside the published ones."""
    names = list(scored[0].scores.are[pairs])
    columns = [Column(SHORT.get(name, name), "", "lower", 4) for name in (*names, MEAN)]
    columns += [Column(OVER_CASCADE, "%"), Column(OVER_SEX, "%")]
    rows = []
    for one in scored:
        values = {SHORT.get(name, name): mean_error(one.mean(one.scores.are[pairs][name])) for name in names}
        mean = one.mean(one.scores.mean_are(pairs))
        values[MEAN] = mean_error(mean)
        for column, base in ((OVER_CASCADE, cascade), (OVER_SEX, sex)):
            if (
                base is not None
                and base is not one
                and (base_mean := base.mean(base.scores.mean_are(pairs))).mean() > 0
            ):
                gain = relative_gain(mean, base_mean)
                values[column] = Measured(gain.gain, gain.low, gain.high, people=len(mean))
        rows.append(Row(one.method.name, one.method.kind, values))
    if set(names) == set(RATIOS):
        rows += _published(names)
    which = {
        "anatomical": "Ratios of distances between landmarks, over the distance between the outer eye corners.",
        "paper": "Ratios of the vertices that the paper's published code takes.",
    }[pairs]
    return Table(
        "ratios" if pairs == "anatomical" else f"ratios-{pairs}",
        f"Absolute ratio errors (ARE; Wu 2022, Table 1), {pairs} point pairs",
        tuple(columns),
        tuple(rows),
        f"{which} ER ear, FR forehead, MR midline, CR cheek. Errors are averaged over a person's recordings, then over "
        "speakers; intervals are over speakers. The published rows are of 3D faces fitted to VoxCeleb's celebrities, with "
        "the vertices of the published code, on speakers that are not these: only their order can be compared.",
    )


def _published(names: Sequence[str]) -> list[Row]:
    rows = []
    for method, numbers in PUBLISHED.items():
        values = {
            SHORT[name]: Measured(number) for name, number in zip(RATIOS, numbers[:4], strict=True) if name in names
        }
        values[MEAN] = Measured(numbers[4])
        if numbers[5] is not None:
            values[OVER_CASCADE] = Measured(numbers[5])
        rows.append(Row(f"{method}; Wu et al. 2022, Table 1", "published", values))
    return rows


def point_table(scored: Sequence[Scored]) -> Table:
    """Errors of landmarks and vertices."""
    sets = list(scored[0].scores.key_points)
    columns = [Column(f"key points, {name} eye distance", "", "lower", 4) for name in sets]
    columns += [Column("landmarks", "mm", "lower", 2), Column("mesh, RMS", "mm", "lower", 2)]
    rows = []
    for one in scored:
        values = {
            f"key points, {name} eye distance": mean_error(one.mean(one.scores.key_points[name])) for name in sets
        }
        values["landmarks"] = mean_error(one.mean(one.scores.landmarks_mm))
        values["mesh, RMS"] = mean_error(one.mean(one.scores.rms_mm))
        rows.append(Row(one.method.name, one.method.kind, values))
    return Table(
        "points",
        "Errors of the 68 landmarks and of all vertices",
        tuple(columns),
        tuple(rows),
        "Key points as in the paper's published code: the norm of all 68 differences, after the prediction is scaled to the "
        "true eye distance, over √(width · height) of the true face. Landmarks: their mean distance in mm after the "
        "prediction is moved and turned, not scaled. Mesh: as it stands.",
    )


def region_table(errors: Mapping[str, Mapping[str, Float64]], scored: Sequence[Scored]) -> Table:
    """Errors of regions after ICP: by method and region, float64 [S]."""
    regions = list(next(iter(errors.values())))
    columns = (*(Column(name, "mm", "lower", 2) for name in regions), Column(MEAN, "mm", "lower", 2))
    rows = []
    for one in scored:
        of = errors[one.method.name]
        mean = np.mean([of[name] for name in regions], axis=0)
        values = {name: mean_error(of[name]) for name in regions} | {MEAN: mean_error(mean)}
        rows.append(Row(one.method.name, one.method.kind, values))
    return Table(
        "regions",
        "Region errors: mean point-to-plane distance after ICP of each region",
        columns,
        tuple(rows),
        "Each region of the prediction is moved and turned (not scaled) onto the true face by itself, one recording a person; "
        "so these are errors of a region's shape, not of its place. The paper's numbers are in a supplement that is not "
        "quoted here.",
    )


def measurement_tables(scored: Sequence[Scored]) -> list[Table]:
    """Absolute errors of measurements in mm: of all, of women and of men."""
    names = list(scored[0].measures)
    columns = (*(Column(_said(name), "mm", "lower", 2) for name in names), Column(MEAN, "mm", "lower", 2))
    tables = []
    for group, sex in (("", None), ("women", 0), ("men", 1)):
        rows = []
        for one in scored:
            of = {name: measure if sex is None else measure.of_sex(sex) for name, measure in one.measures.items()}
            count = len(next(iter(of.values())).true)
            if not count:
                continue
            if sex is None:
                values = {_said(name): mean_error(measure.errors) for name, measure in of.items()}
            else:
                values = {
                    _said(name): Measured(float(measure.errors.mean()), people=count) for name, measure in of.items()
                }
            values[MEAN] = mean_error(mean_over(of))
            rows.append(Row(one.method.name, one.method.kind, values))
        if rows:
            name = f"measurements-{group}" if group else "measurements"
            title = f"Errors of measurements{f', {group}' if group else ''}"
            note = (
                ""
                if group
                else "A person's prediction is the mean over recordings. Tables by sex give intervals of means only."
            )
            tables.append(Table(name, title, columns, tuple(rows), note))
    return tables


def within_sex_tables(scored: Sequence[Scored]) -> list[Table]:
    """What predicted measurements tell once everybody's sex is known: errors, correlations and p-values within the sexes."""
    names = list(scored[0].measures)
    apart, related, chance = [], [], []
    for one in scored:
        errors = {
            _said(n): Measured(float(m.within_sex.errors.mean()), people=len(m.true)) for n, m in one.measures.items()
        }
        mean = mean_error(mean_over({name: measure.within_sex for name, measure in one.measures.items()}))
        apart.append(Row(one.method.name, one.method.kind, errors | {MEAN: mean}))
        if one.within_sex:
            related.append(
                Row(one.method.name, one.method.kind, {_said(n): of for n, (of, _) in one.within_sex.items()})
            )
            p_values = {_said(name): Measured(p) for name, (_, p) in one.within_sex.items()}
            chance.append(Row(one.method.name, one.method.kind, p_values))
    zero = {_said(name): Measured(0.0) for name in names}
    related.append(Row("faces dealt out anew within a sex, on average", "trivial", zero))
    return [
        Table(
            "within-sex",
            "Errors of measurements within a sex: of deviations from the sex's mean",
            (*(Column(_said(name), "mm", "lower", 2) for name in names), Column(MEAN, "mm", "lower", 2)),
            tuple(apart),
            "The means of women and of men are taken off predictions and truth, among the speakers that are evaluated. One "
            "face for a whole sex has no deviations: what errs less tells more than the sex.",
        ),
        Table(
            "within-sex-correlation",
            "Correlation of predicted with true measurements within a sex",
            tuple(Column(_said(name), "", "higher", 2) for name in names),
            tuple(related),
            "Methods that give one face for a whole sex have none.",
        ),
        Table(
            "within-sex-chance",
            "Chance of errors within a sex as small as these, were faces dealt out anew (permutation test)",
            tuple(Column(_said(name), "p", "lower", 4) for name in names),
            tuple(chance),
            f"One-sided, for each measurement by itself; with {len(names)} of them, p < {0.05 / max(1, len(names)):.4f} is "
            "asked for (Bonferroni). Without a trivial row: one face for a whole sex has p = 1.",
        ),
    ]


def _said(name: str) -> str:
    return name.replace("_", " ")
