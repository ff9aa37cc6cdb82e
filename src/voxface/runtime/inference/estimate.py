"""What voxface says about a voice: the face, the mesh, and how sure it is."""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import UsageError
from voxface.runtime.face.face_files import face_files
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.files.atomic import write_folder
from voxface.runtime.inference.attributes import Attributes

Float32 = NDArray[np.float32]
ESTIMATE_JSON: Final = "estimate.json"


@dataclass(frozen=True, eq=False)  # comparing arrays gives no truth value, so == of all fields would raise
class Estimate:
    """One face from one stretch of voice. Two estimates are equal only if they are one object; compare their arrays.

    A pickled estimate leaves its morphable model (7 MB) out and keeps the measurements. After unpickling all is there but what
    needs the model (`vertices`, `moved_mm`, `save`): `with_model` gives it back.

    Attributes:
        start, end: absolute samples (16 kHz) the estimate used.
        voiced_seconds: speech among them.
        frames: log-mel frames of that speech.
        embedding: float32 [64], unit length.
        frame_embeddings: float32 [E, C], the voice encoder's, one each 0.32 s of speech: the embedding is their mean, made unit
            length.
        image: uint8 [H, W, 3], RGB.
        image_embedding: float32 [64], the embedding that the picture was made from: `embedding`, or that of an estimate before
            from which it hardly differs.
        coefficients: float32 [P], unit-normal space of the morphable model.
        model: the morphable model; None after unpickling.
        confidence: 0 to 1, from how much it moves as speech does, how far the voice agrees with itself, and its length.
        attributes: read off the mesh.
        stages_ns: nanoseconds of each stage of the update that made the estimate; empty while the update is going on.
    """

    start: int
    end: int
    voiced_seconds: float
    frames: int
    embedding: Float32
    frame_embeddings: Float32
    image: NDArray[np.uint8]
    image_embedding: Float32
    coefficients: Float32
    model: MorphableModel | None
    confidence: float
    attributes: Attributes
    stages_ns: Mapping[str, int]

    @cached_property
    def measurements_mm(self) -> dict[str, float]:
        """Lengths in millimetres, read off the mesh; made when first asked for, since a window shows none."""
        return self._known_model().measurements_of(self.coefficients)

    @cached_property
    def vertices(self) -> Float32:
        """The mesh, float32 [N, 3], millimetres; made when first asked for, since not every sink wants one.

        Raises:
            UsageError: the estimate was unpickled, and has no model.
        """
        return self._known_model().vertices(self.coefficients)

    @property
    def image_reused(self) -> bool:
        """Whether the picture is that of an estimate before, since the embedding has hardly moved."""
        return self.image_embedding is not self.embedding

    def moved_mm(self, before: "Estimate") -> float:
        """How far the mesh has moved since another estimate, RMS over vertices in millimetres.

        Raises:
            UsageError: the estimate was unpickled, and has no model.
        """
        return self._known_model().distance(self.coefficients, before.coefficients)

    def with_model(self, model: MorphableModel) -> "Estimate":
        """This estimate with the morphable model it was made with, as after unpickling: `bundle.morphable` of its bundle.

        Raises:
            UsageError: the model has another number of coefficients, so it is another one.
        """
        if len(self.coefficients) != model.modes:
            raise UsageError(
                f"{model.name} takes {model.modes} coefficients, the estimate has {len(self.coefficients)}: give the model of "
                "the bundle it was made with"
            )
        return replace(self, model=model)

    def save(self, folder: Path | str) -> dict[str, Path]:
        """Writes `face.png`, `mesh.glb` (metres), `mesh.ply`, `mesh.obj` (millimetres), `mesh.png` (the mesh from the front,
        three-quarter and side) and `estimate.json` (`estimate_json`) into a folder: all of them, or none.

        Args:
            folder: made where it is missing; replaced where it holds an estimate that was saved before, and nothing else.

        Returns:
            The path of each file by its name.

        Raises:
            UsageError: the folder holds something else, or is a file or the working directory; or the estimate was unpickled,
                and has no model.
            InputError: the folder cannot be written.
        """
        contents = {
            **face_files(self.image, self.vertices, self._known_model()),
            ESTIMATE_JSON: json.dumps(estimate_json(self), indent=1, allow_nan=False).encode(),
        }
        folder = Path(folder)
        write_folder(folder, contents, _holds_an_estimate)
        return {name: folder / name for name in contents}

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: all but the model and the mesh, which the model makes again; the measurements are made for it."""
        _ = self.measurements_mm
        return {name: value for name, value in self.__dict__.items() if name != "vertices"} | {"model": None}

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
    """What an estimate says, as JSON; the picture and the mesh are files of their own."""
    return {
        "embedding": estimate.embedding.tolist(),
        "coefficients": estimate.coefficients.tolist(),
        "measurements_mm": estimate.measurements_mm,
        "attributes": {
            "sex": estimate.attributes.sex,
            "face_type": estimate.attributes.face_type,
            "distances_mm": estimate.attributes.distances_mm,
        },
        "confidence": estimate.confidence,
    }


def _holds_an_estimate(folder: Path) -> bool:
    """Whether `Estimate.save` has written into a folder."""
    try:
        document = json.loads((folder / ESTIMATE_JSON).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and {"embedding", "coefficients"} <= document.keys()
