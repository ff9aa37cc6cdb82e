"""The estimate that voxface makes of a voice: image, mesh, attributes and confidence."""

import json
import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.bundle.face_posterior_file import FacePosteriorFile
from voxface.runtime.errors import UsageError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.inference.attributes import Attributes, attributes_json
from voxface.runtime.inference.picture import Picture
from voxface.runtime.provenance.mark import KEY, OF_NO_BUNDLE, Mark

if TYPE_CHECKING:
    from voxface.runtime.inference.face_posterior import FacePosterior

Float32 = NDArray[np.float32]
ESTIMATE_JSON: Final = "estimate.json"


@dataclass(frozen=True, eq=False)  # comparing arrays gives no truth value, so == of all fields would raise
class Estimate:
    """The face of one stretch of voice. Two estimates are equal only if they are one object; compare their arrays.

    A pickled estimate contains the measurements, but not its morphable model (7 MB). After unpickling, `vertices`, `posterior`,
    `moved_mm` and `save`, which need the model, raise UsageError; `with_model` gives an estimate that has it again.

    Attributes:
        start, end: first sample and end of the sound used: absolute indices at 16 kHz, [start, end).
        voiced_seconds: length of the speech in it.
        frames: number of log-mel frames of that speech.
        embedding: float32 [E], unit length; E is 64 in the default bundle.
        frame_embeddings: float32 [E, C], one every 0.32 s of speech; `embedding` is their mean, made unit length.
        picture: the picture, whose pixels are `image`.
        image_embedding: float32 [E], the embedding that the image was made from: `embedding`, or that of an earlier estimate
            if its image was reused.
        coefficients: float32 [P], in the unit-normal space of the morphable model.
        model: the morphable model; None after unpickling.
        confidence: 0 to 1, see `voxface.runtime.inference.confidence.confidence`.
        attributes: sex and face type of the mesh, and the speaker's age.
        stages_ns: nanoseconds of each stage of the update that made the estimate; empty until the update is finished.
        posterior_file: the bundle's part that `posterior` is made with; None where it has none.
        mark: what its files and its JSON say of themselves: that the face is synthetic, and of which bundle.
    """

    start: int
    end: int
    voiced_seconds: float
    frames: int
    embedding: Float32
    frame_embeddings: Float32
    picture: Picture
    image_embedding: Float32
    coefficients: Float32
    model: MorphableModel | None
    confidence: float
    attributes: Attributes
    stages_ns: Mapping[str, int]
    posterior_file: FacePosteriorFile | None = None
    mark: Mark = OF_NO_BUNDLE

    @property
    def image(self) -> NDArray[np.uint8]:
        """The image, uint8 [S, S, 3], RGB; S is what the bundle's face graph makes, 128 in the default bundle. Computed when
        first asked for, because not every sink needs it."""
        return self.picture.pixels

    @cached_property
    def posterior(self) -> "FacePosterior | None":
        """The distribution of the faces of people with such a voice, of which `coefficients` are the mean; read and computed
        when first asked for. None where the bundle has no face posterior.

        Raises:
            BundleError: the bundle's part is damaged, or of other faces.
            UsageError: the estimate was unpickled, and has no model.
        """
        if self.posterior_file is None:
            return None
        from voxface.runtime.inference.face_posterior import FacePosterior  # most programs do without

        female = self.attributes.sex["female"]
        return FacePosterior(self.coefficients, female, self.posterior_file.weights, self._known_model(), self._decades)

    @cached_property
    def measurements_mm(self) -> dict[str, float]:
        """Lengths on the mesh in millimetres, by name; computed when first asked for, because not every program needs them."""
        return self._known_model().measurements_of(self.coefficients, self._decades)

    @cached_property
    def vertices(self) -> Float32:
        """The mesh, float32 [N, 3], millimetres; computed when first asked for, because not every sink needs it. Where an age
        is told and the morphable model knows how heads age, it is of that age; `coefficients` are of the faces' mean age.

        Raises:
            UsageError: the estimate was unpickled, and has no model.
        """
        return self._known_model().vertices(self.coefficients, self._decades)

    @property
    def _decades(self) -> Float32 | None:
        """By how much the face is older than the faces' mean age, see `MorphableModel.vertices`; None: nothing is told."""
        ageing, age = self._known_model().ageing, self.attributes.age
        return None if ageing is None or age is None else ageing.decades(age.years, self.attributes.sex["female"])

    @property
    def image_reused(self) -> bool:
        """Whether the image is that of an earlier estimate, because the embedding has hardly changed since."""
        return self.image_embedding is not self.embedding

    def moved_mm(self, before: "Estimate") -> float:
        """How far the mesh has moved since another estimate, RMS over vertices in millimetres; by its age it moves unseen.

        Raises:
            UsageError: the estimate was unpickled, and has no model.
        """
        model = self._known_model()
        if before.model is not model:
            return model.distance(self.coefficients, before.coefficients)
        return math.dist(self._place, before._place)

    @cached_property
    def _place(self) -> list[float]:
        """The point of the mesh, see `MorphableModel.place`: each estimate of a stream is compared with two others."""
        place: list[float] = self._known_model().place(self.coefficients).tolist()
        return place

    def with_place(self, place: list[float]) -> Self:
        """This estimate, told the point of its mesh (see `MorphableModel.place`) by who has computed it already."""
        self.__dict__["_place"] = place
        return self

    def with_stages(self, stages_ns: Mapping[str, int]) -> Self:
        """A copy with the times of the stages of its update, and with what was made on demand."""
        return self._with_attributes({**self.__dict__, "stages_ns": stages_ns})

    def with_model(self, model: MorphableModel) -> "Estimate":
        """A copy of this estimate with a morphable model, for use after unpickling.

        Args:
            model: the model that the estimate was made with: `bundle.morphable` of its bundle.

        Raises:
            UsageError: the model has another number of coefficients, so the estimate was made with another one.
        """
        if len(self.coefficients) != model.modes:
            raise UsageError(
                f"{model.name} takes {model.modes} coefficients, the estimate has {len(self.coefficients)}: give the model of "
                "the bundle it was made with"
            )
        return replace(self, model=model)

    def save(self, folder: Path | str, *, morph_targets: bool = False) -> dict[str, Path]:
        """Writes `face.png`, `mesh.glb` (metres), `mesh.ply`, `mesh.obj` (millimetres), `mesh.png` (the mesh from the front,
        three-quarter and side) and `estimate.json` (`estimate_json`) into a folder: all of them, or none.

        Args:
            folder: created if it is missing; replaced if it holds an estimate that was saved before, and nothing else.
            morph_targets: whether `mesh.glb` gets the shapes that animate it, see `voxface.runtime.face.morph_targets`.

        Returns:
            The path of each file by its name.

        Raises:
            UsageError: the folder holds something else, or is a file or the working directory; or the estimate was unpickled,
                and has no model.
            InputError: the folder cannot be written.
        """
        from voxface.runtime.face.face_files import face_files
        from voxface.runtime.files.atomic import write_folder

        contents = {
            **face_files(self.image, self.vertices, self._known_model(), self.mark, animated=morph_targets),
            ESTIMATE_JSON: json.dumps(estimate_json(self), indent=1, allow_nan=False).encode(),
        }
        folder = Path(folder)
        write_folder(folder, contents, _holds_an_estimate)
        return {name: folder / name for name in contents}

    def __getstate__(self) -> dict[str, Any]:
        """The state to pickle: everything except the model and the mesh, and with the measurements, which need the model."""
        _ = self.measurements_mm
        with_the_model = ("vertices", "posterior", "_place")
        return {name: value for name, value in self.__dict__.items() if name not in with_the_model} | {"model": None}

    def __copy__(self) -> Self:
        """A copy with the same model, which pickling leaves out, and with the measurements of an unpickled estimate."""
        return self._with_attributes(self.__dict__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copy with arrays of its own and the same model."""
        memo[id(self.model)] = self.model
        return self._with_attributes(deepcopy(self.__dict__, memo))

    def _with_attributes(self, attributes: dict[str, Any]) -> Self:
        """An estimate of these attributes; those that were made on demand are among them, since without a model they could not
        be made again."""
        made = object.__new__(type(self))
        made.__dict__.update(attributes)
        return made

    def _known_model(self) -> MorphableModel:
        if self.model is None:
            raise UsageError(
                "an unpickled estimate has no morphable model, which its mesh is made with: "
                "estimate.with_model(bundle.morphable) gives it one"
            )
        return self.model


def estimate_json(estimate: Estimate) -> dict[str, Any]:
    """The numbers of an estimate as JSON; image and mesh are files of their own."""
    return {
        "embedding": estimate.embedding.tolist(),
        "coefficients": estimate.coefficients.tolist(),
        "measurements_mm": estimate.measurements_mm,
        "attributes": attributes_json(estimate.attributes),
        "confidence": estimate.confidence,
        KEY: estimate.mark.to_json(),
    }


def _holds_an_estimate(folder: Path) -> bool:
    """Whether `Estimate.save` has written into a folder."""
    try:
        document = json.loads((folder / ESTIMATE_JSON).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and {"embedding", "coefficients"} <= document.keys()
