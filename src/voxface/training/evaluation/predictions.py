"""Pictures or meshes that another method made of the recordings of some data, scored as a bundle's are.

A folder holds, for each recording that is evaluated, `<person>/<number>` with the ending of a picture (.png, .jpg, .webp, .bmp;
or .npy, uint8 [H, W, 3]) or of a mesh: .obj, .ply, or .npy [N, 3] with the vertices of the data's morphable model, or .npy or
.npz with its coefficients [P]. `<person>.png` and so on stands for all recordings of a person that have no file of their own.
`voxface eval recordings` prints the names (see `recordings`). A folder may hold pictures and meshes.

Vertices are in millimetres, in the frame of the morphable model (origin between the outer eye corners, x to the subject's left,
y up, z out of the face), of a face at rest: an expression in them counts as an error, while that in coefficients is left out.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, cast

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.errors import InputError
from voxface.runtime.face.morphable_model import MorphableModel
from voxface.runtime.face.resize import resized
from voxface.runtime.files.damage import reading
from voxface.runtime.files.folders import files_in, is_metadata
from voxface.runtime.files.regular import check_regular, read_bytes
from voxface.training.data.pairs import Pairs
from voxface.training.evaluation.geometry import mesh_files
from voxface.training.evaluation.geometry.mesh_files import Kind, read_face
from voxface.training.evaluation.recordings import RECORDINGS, file_name, numbers
from voxface.training.evaluation.subject import at_rest
from voxface.training.faces import picture_landmarks
from voxface.training.faces.picture_landmarks import read_picture

Float32 = NDArray[np.float32]
Utterances = Sequence[int] | NDArray[np.integer[Any]]
_SUFFIXES: Final = frozenset((*picture_landmarks.SUFFIXES, *mesh_files.SUFFIXES))
_FARTHEST_MM: Final = 5000.0
Key = tuple[int, int | None]  # person, number of the recording; None: of all
_EYES_MM: Final = (40.0, 200.0)  # between the outer corners: about 90 in a face, 0.09 where vertices are in metres


class Predictions:
    """Another method's outputs; files are read when they are asked for.

    Attributes:
        name, digest, makes: see `Subject`.
    """

    def __init__(
        self, folder: Path, pairs: Pairs, name: str, digest: str, files: Mapping[Kind, Mapping[Key, Path]]
    ) -> None:
        """Use `read`."""
        self.name, self.digest = name, digest
        self._folder, self._pairs, self._files = folder, pairs, files
        self._numbers = numbers(pairs)
        meshes = bool(files.get("vertices") or files.get("coefficients"))
        self.makes = frozenset(what for what, made in (("faces", bool(files.get("faces"))), ("meshes", meshes)) if made)

    @classmethod
    def read(cls, folder: Path, pairs: Pairs, method: str | None) -> Self:
        """Looks through a folder.

        Args:
            method: its name in the tables; None: the folder's.

        Raises:
            InputError: no folder, no file of a known ending in it, a link to nothing, a name that is no recording's, two files
                of one recording, or a damaged array.
        """
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; --predictions is a folder with a picture or mesh a recording")
        with reading(folder, "a folder of predictions"):
            found = files_in(folder, _SUFFIXES, below=True)
            # What is no file, such as a broken link, was not found: a picture of the whole person must not stand in for it.
            for path in folder.rglob("*"):
                if path.suffix.lower() in _SUFFIXES and not is_metadata(path) and not path.is_dir():
                    check_regular(path)
        if not found:
            raise InputError(f"{folder}: no pictures or meshes here, such as PERSON/0.png or PERSON/0.obj")
        people = {file_name(person.name): i for i, person in enumerate(pairs.people)}
        files: dict[Kind, dict[Key, Path]] = defaultdict(dict)
        whole = hashlib.sha256()
        for file in found:
            key = _key(file, folder, people, pairs)
            kind: Kind = "faces"
            if file.suffix.lower() in mesh_files.SUFFIXES:
                kind = "vertices" if file.suffix.lower() in (".obj", ".ply") else read_face(file)[0]
            # One mesh a recording, be it vertices or coefficients.
            others: tuple[Kind, ...] = ("faces",) if kind == "faces" else ("vertices", "coefficients")
            for other in others:
                if key in files[other]:
                    raise InputError(f"{file}: {files[other][key].name} is of the same recording; leave one out")
            files[kind][key] = file
            whole.update(f"{file.relative_to(folder).as_posix()} ".encode() + hashlib.sha256(read_bytes(file)).digest())
        return cls(folder, pairs, method or folder.resolve().name, whole.hexdigest(), files)

    def faces(self, utterances: Utterances) -> NDArray[np.uint8]:
        """See `Subject`; pictures of several sizes are all brought to that of the data's.

        Raises:
            InputError: a picture is missing, damaged or not square.
        """
        pictures = []
        for u in utterances:
            file = self._find(u, ("faces",), "picture")
            picture: NDArray[np.uint8] = read_face(file)[1] if file.suffix.lower() == ".npy" else read_picture(file)
            if picture.shape[0] != picture.shape[1]:
                raise InputError(f"{file}: is {picture.shape[1]}×{picture.shape[0]}; cut it to a square round the face")
            pictures.append(picture)
        if len({len(picture) for picture in pictures}) > 1:
            size = int(self._pairs.pictures.shape[1])
            pictures = [resized(picture, size) for picture in pictures]
        return np.array(pictures, np.uint8)

    def vertices(self, utterances: Utterances) -> Float32:
        """See `Subject`.

        Raises:
            InputError: a mesh is missing, damaged, or not of the data's morphable model.
        """
        return np.array([self._mesh(u)[0] for u in utterances], np.float32).reshape(-1, *self._model.mean.shape)

    def coefficients(self, utterances: Utterances) -> Float32:
        """See `Subject`; of vertices, those of the nearest face that the morphable model has, in least squares.

        Raises:
            InputError: as `vertices`.
        """
        rows = []
        for u in utterances:
            vertices, coefficients = self._mesh(u)
            rows.append(_nearest(self._model, vertices) if coefficients is None else coefficients)
        return np.array(rows, np.float32).reshape(-1, self._model.modes)

    @property
    def _model(self) -> MorphableModel:
        return self._pairs.morphable

    def _mesh(self, utterance: int | np.integer[Any]) -> tuple[Float32, Float32 | None]:
        """Vertices of a recording, and coefficients where its file has them."""
        model = self._model
        file = self._find(utterance, ("vertices", "coefficients"), "mesh")
        kind, numbers = read_face(file)
        if kind == "coefficients":
            if len(numbers) != model.modes:
                raise InputError(
                    f"{file}: has {len(numbers)} coefficients; {model.name}, the data's model, has {model.modes}"
                )
            vertices = model.vertices(at_rest(model, numbers))
            if not np.abs(vertices).max() < _FARTHEST_MM:
                raise InputError(f"{file}: its coefficients make no face of {model.name}; a vertex is metres away")
            return vertices, numbers
        if numbers.shape != model.mean.shape:
            raise InputError(
                f"{file}: has {len(numbers):,} vertices; those of {model.name}, the data's morphable model, are needed, which "
                f"has {len(model.mean):,}"
            )
        apart = float(np.linalg.norm(np.subtract(*numbers[model.landmarks[[36, 45]]])))
        if not _EYES_MM[0] < apart < _EYES_MM[1]:
            raise InputError(f"{file}: the outer eye corners are {apart:.3g} apart; vertices are to be in millimetres")
        return cast(Float32, numbers), None

    def _find(self, utterance: int | np.integer[Any], kinds: tuple[Kind, ...], what: str) -> Path:
        person, number = self._numbers.get(int(utterance), (-1, -1))
        if person < 0:
            raise InputError(
                f"{self.name}: utterance {int(utterance)} is no clean recording; only those have predictions"
            )
        for key in ((person, number), (person, None)):
            for kind in kinds:
                if key in self._files.get(kind, {}):
                    return self._files[kind][key]
        name = file_name(self._pairs.people[person].name)
        raise InputError(
            f"{self._folder}: no {what} of {name}/{number}; give {name}/{number} or {name} with its ending"
        )


def _key(file: Path, folder: Path, people: Mapping[str, int], pairs: Pairs) -> Key:
    """Whose a file is.

    Raises:
        InputError: nobody's.
    """
    parts = (*file.relative_to(folder).parts[:-1], file.name.removesuffix(file.suffix))
    names = "`voxface eval recordings` prints the names"
    if len(parts) > 2 or parts[0] not in people:
        raise InputError(f"{file}: {'/'.join(parts)} is no recording of the data ({RECORDINGS}: {names})")
    person = people[parts[0]]
    if len(parts) == 1:
        return person, None
    count = len(pairs.clean_utterances[person])
    if not parts[1].isascii() or not parts[1].isdigit() or int(parts[1]) >= count:
        raise InputError(f"{file}: the recordings of {parts[0]} are 0 to {count - 1}, not {parts[1]} ({names})")
    return person, int(parts[1])


def _nearest(model: MorphableModel, vertices: Float32) -> Float32:
    """Coefficients float32 [P] of the face nearest to a mesh; modes that move nothing are 0."""
    flat = model.basis.reshape(model.modes, -1).astype(np.float64)
    off = (vertices.astype(np.float64) - model.mean).reshape(-1)
    found: Float32 = np.linalg.lstsq(flat @ flat.T, flat @ off, rcond=1e-10)[0].astype(np.float32)
    return found
