"""A bundle's faces on another morphable model: a linear map between coefficients, found from the 68 landmarks both have.

Each mode of the base model moves its 68 landmarks. Ridge regression finds the target's coefficients that move the target's
landmarks in the same way: the most probable ones, given that a unit-normal population must become a unit-normal one and that
landmarks of the two models agree only to within some millimetres. This uncertainty is estimated along with the coefficients by
maximising the evidence (MacKay 1992), once for movements and once for the two mean faces. The mean faces also differ in where
the models put a landmark on a face, and the target's mean must not be bent to imitate that. Position and turn of the head are
left free, so that no coefficient has to explain them.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxface.onnx_graph.graph import Graph
from voxface.onnx_graph.passes.fp16 import store_fp16
from voxface.onnx_graph.passes.linear_output import map_output
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.bundle.face_posterior_file import write_face_posterior
from voxface.runtime.bundle.graph_entries import GraphEntry, tensor_entries
from voxface.runtime.bundle.origin_entries import RetargetingEntry, SourceEntry
from voxface.runtime.engines.opening import open_engine
from voxface.runtime.errors import BundleError
from voxface.runtime.face.morphable_model import MorphableModel

Float64 = NDArray[np.float64]
START, LEAST = 1.0, 0.1  # mm: uncertainty of a landmark's coordinate, the first value tried and the smallest accepted
DEGREES = 3 * 68 - 6  # degrees of freedom: coordinates of the landmarks without position and turn
ROUNDS = 50  # far more than the estimate needs to settle
TOLERANCE = 1e-3  # standard deviations between the extended graph and the map applied outside it


@dataclass(frozen=True)
class CoefficientMap:
    """The linear map: target coefficients = matrix · base coefficients + offset.

    Attributes:
        matrix: float32 [Pt, Pb].
        offset: float32 [Pt].
        scale: size of the target's mean landmarks over that of the base's.
        movement_mm: uncertainty of a coordinate of a landmark's movement by an identity mode, in millimetres.
        placement_mm: uncertainty of a coordinate of a landmark's place on the mean face, in millimetres.
        identity_explained: share (0 to 1) of the variance of the base's identity movements that the target can follow.
        expression_explained: the same share for expressions; None if one of the two models has no expressions.
    """

    matrix: NDArray[np.float32]
    offset: NDArray[np.float32]
    scale: float
    movement_mm: float
    placement_mm: float
    identity_explained: float
    expression_explained: float | None

    def __call__(self, coefficients: NDArray[np.float32]) -> NDArray[np.float32]:
        """Target coefficients float32 [..., Pt] of base coefficients float32 [..., Pb]."""
        return (coefficients @ self.matrix.T + self.offset).astype(np.float32)


def coefficient_map(base: MorphableModel, target: MorphableModel) -> CoefficientMap:
    """The map from coefficients of `base` to those of `target`: identity to identity, expression to expression."""
    here, there = (model.mean[model.landmarks].astype(np.float64) for model in (base, target))
    scale, turn = _similarity(here, there)
    aligned = scale * (here - here.mean(axis=0)) @ turn.T + there.mean(axis=0)
    moves = scale * base.basis[:, base.landmarks].astype(np.float64) @ turn.T
    answers = target.basis[:, target.landmarks].astype(np.float64)
    free = _without_pose(there)
    matrix, offset = np.zeros((target.modes, base.modes)), np.zeros(target.modes)
    explained: list[float | None] = []
    movement: list[float] = []
    for ours, theirs in zip(_kinds(base), _kinds(target), strict=True):
        wanted, modes = (free @ part.reshape(len(part), 204).T for part in (moves[ours], answers[theirs]))
        sigma, matrix[theirs, ours] = _ridge(modes, wanted, 1 / max(1, wanted.shape[1]))
        movement.append(sigma)
        left, whole = wanted - modes @ matrix[theirs, ours], float((wanted**2).sum())
        explained.append(1 - float((left**2).sum()) / whole if modes.size and whole else None)
    identity = _kinds(target)[0]
    modes = free @ answers[identity].reshape(target.identity_modes, 204).T
    placement, answer = _ridge(modes, free @ (aligned - there).reshape(-1, 1), 1.0)
    offset[identity] = answer[:, 0]
    return CoefficientMap(
        matrix=matrix.astype(np.float32),
        offset=offset.astype(np.float32),
        scale=scale,
        movement_mm=movement[0],
        placement_mm=placement,
        identity_explained=explained[0] or 0.0,
        expression_explained=explained[1],
    )


def retarget_model(base: MorphableModel, target: MorphableModel, to: CoefficientMap) -> MorphableModel:
    """The target model with the base's sexes and face types, mapped.

    `sex_scale` keeps its ratio to the distance between the mean woman and the mean man, so that a face keeps its probability of
    being a woman's.
    """
    sex_means = to(base.sex_means)
    apart_here, apart_there = (
        float(np.sqrt(((faces[0] - faces[1]) ** 2).sum(1).mean()))
        for faces in (base.mean_faces, target.vertices(sex_means))
    )
    return replace(
        target,
        sex_means=sex_means,
        sex_scale=base.sex_scale * apart_there / apart_here if apart_here > 0 and apart_there > 0 else 1.0,
        face_types={name: to(coefficients) for name, coefficients in base.face_types.items()},
    )


def extend_graph(graph: bytes, to: CoefficientMap) -> bytes:
    """A mesh graph followed by the map; its output is `coefficients` as before, now float32 [B, Pt].

    Raises:
        BundleError: not a graph with one output `coefficients` of the base model's size.
    """
    try:
        base = Graph.from_bytes(graph, name="mesh")
    except BundleError as error:
        raise BundleError(
            f"mesh: the base bundle's graph cannot be extended ({error}); export the bundle again"
        ) from error
    try:
        extended = map_output(base, "coefficients", to.matrix, to.offset, name="retarget")
    except ValueError as error:
        raise BundleError(
            f"mesh: the base bundle's graph has no output coefficients [B, {to.matrix.shape[1]}]; it does not match its "
            "morphable model"
        ) from error
    return store_fp16(extended).to_bytes()


def import_face_model(base: Bundle, target: MorphableModel, out: Path) -> Bundle:
    """Writes `base` with the faces of `target` (a zip if `out` ends in `.voxface`, else a folder) and opens it again.

    Raises:
        BundleError: the base's mesh graph does not match its morphable model, or the extended graph is not the map's.
    """
    to = coefficient_map(base.morphable, target)
    model = retarget_model(base.morphable, target, to)
    graph = extend_graph(base.graph("mesh"), to)
    manifest = base.manifest
    entry = _verified(manifest.graphs["mesh"], base.graph("mesh"), graph, to)
    files: dict[str, bytes | None] = {entry.file: graph, manifest.morphable_model.file: model.to_bytes()}
    if manifest.population is not None:
        name = manifest.population.file
        files[name] = _population(base.files[name], model.identity_modes, to)
    if base.face_posterior is not None and manifest.face_posterior is not None:
        here = base.face_posterior.weights
        matrix = to.matrix[: model.identity_modes, : here.modes]
        try:
            files[manifest.face_posterior.file] = write_face_posterior(here.mapped(matrix))
        except ValueError as error:
            raise BundleError(f"the face posterior cannot be mapped to {target.name}: {error}") from error
    if manifest.model_card is not None:
        name = manifest.model_card.file
        files[name] = (
            base.files[name]
            + (
                f"\n## Other faces\n\nThe above is of the bundle {base.name}. Here its faces are those of {target.name} "
                f"({target.licence}): coefficients are mapped by 68 landmarks. {target.provenance}\n"
            ).encode()
        )
    # The other trained parts stay: they hear the voice, and the voice encoder is the same.
    return base.replacing(
        files=files,
        graphs={"mesh": entry},
        name=f"{base.name}+{target.name}",
        licence=f"{manifest.licence or 'not given'}; faces: {target.licence}",
        description=(
            f"{manifest.description or ''} Its faces are retargeted: coefficients of the morphable model "
            f"{base.morphable.name}, which it was trained for, are mapped to {target.name} by their 68 landmarks."
        ).strip(),
        morphable_model=replace(manifest.morphable_model, provenance=target.provenance, licence=target.licence),
        retargeting=RetargetingEntry(
            base_model=base.morphable.name,
            to=target.name,
            base_bundle=SourceEntry(name=base.name, sha256=manifest.sha256),
            scale=to.scale,
            movement_uncertainty_mm=to.movement_mm,
            placement_uncertainty_mm=to.placement_mm,
            identity_explained=to.identity_explained,
            expression_explained=to.expression_explained,
        ),
    ).write(out)


def _population(data: bytes, identity_modes: int, to: CoefficientMap) -> bytes:
    """The base's population of faces, a Gaussian for each sex over identity, in the target's identity coefficients."""
    from voxface.training.faces.population import FacePopulation  # loads much that other imports do without

    here = FacePopulation.from_bytes(data)
    # Identity is mapped to identity alone, so a population over expressions as well, which is unusual, loses these.
    matrix = to.matrix[:identity_modes, : here.mean.shape[1]]
    covariance = np.asarray(matrix @ here.covariance @ matrix.T, np.float32)
    mean = (here.mean @ matrix.T + to.offset[:identity_modes]).astype(np.float32)
    return FacePopulation(mean, covariance).to_bytes()


def _similarity(here: Float64, there: Float64) -> tuple[float, Float64]:
    """Scale and rotation [3, 3] that bring the points [n, 3] `here` nearest to the points `there` (Umeyama 1991)."""
    a, b = here - here.mean(axis=0), there - there.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    proper = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    turn: Float64 = (u * proper) @ vt
    return float((s * proper).sum() / (a**2).sum()), turn


def _kinds(model: MorphableModel) -> tuple[slice, slice]:
    """The identity and the expression modes."""
    return slice(None, model.identity_modes), slice(model.identity_modes, None)


def _without_pose(landmarks: Float64) -> Float64:
    """The projection [204, 204] of landmark movements that removes shifts and small turns of the whole face."""
    centred = landmarks - landmarks.mean(axis=0)
    shifts = [np.tile(axis, (68, 1)) for axis in np.eye(3)]
    turns = [np.cross(axis, centred) for axis in np.eye(3)]
    pose = np.stack([move.ravel() for move in (*shifts, *turns)], axis=1)
    projection: Float64 = np.eye(204) - pose @ np.linalg.pinv(pose)
    return projection


def _ridge(modes: Float64, wanted: Float64, variance: float) -> tuple[float, Float64]:
    """The most probable uncertainty of a coordinate, in millimetres, and the coefficients [P, K] found with it.

    Args:
        modes: the movements of the target's modes, float64 [204, P].
        wanted: the movements to imitate, float64 [204, K].
        variance: prior variance of a coefficient: 1 / K for K unit-normal modes that share in every coefficient.
    """
    inner, answer = np.asarray(modes.T @ modes, np.float64), np.zeros((modes.shape[1], wanted.shape[1]))
    strength = np.linalg.eigvalsh(inner) if modes.size else np.zeros(0)
    sigma = START
    for _ in range(ROUNDS if answer.size else 0):
        weight = sigma**2 / variance
        answer = np.asarray(np.linalg.solve(inner + weight * np.eye(len(inner)), modes.T @ wanted), np.float64)
        left = wanted - modes @ answer
        determined = float((strength / (strength + weight)).sum())
        sigma = max(float(np.sqrt((left**2).sum() / wanted.shape[1] / (DEGREES - determined))), LEAST)
    return sigma, answer


def _verified(entry: GraphEntry, base: bytes, extended: bytes, to: CoefficientMap) -> GraphEntry:
    """The entry with the extended graph's signature, after its outputs were compared with the map applied to the base graph's.

    Raises:
        BundleError: the base graph takes something else than an embedding, or the outputs differ.
    """
    with open_engine(base, name="mesh") as old, open_engine(extended, name="mesh") as new:
        width = old.inputs["embedding"].shape[-1] if set(old.inputs) == {"embedding"} else "E"
        if not isinstance(width, int):
            raise BundleError(
                "mesh: the base bundle's graph does not take one embedding [B, E]; export the bundle again"
            )
        embedding = np.random.default_rng(0).normal(size=(7, width)).astype(np.float32)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        feeds = {"embedding": embedding}
        expected, got = to(old.run(feeds)["coefficients"]), new.run(feeds)["coefficients"]
        if got.shape != expected.shape or not np.abs(got - expected).max() <= TOLERANCE:
            raise BundleError("mesh: the extended graph does not give the mapped coefficients; please report this")
        return replace(entry, inputs=tensor_entries(new.inputs), outputs=tensor_entries(new.outputs))
