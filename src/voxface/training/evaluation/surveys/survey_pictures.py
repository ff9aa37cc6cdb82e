"""Questions of a survey from folders of pictures: what two methods made of the same recordings, and the people's own faces.

A folder has, for a recording NAME, a picture of the face (`NAME.png` or `NAME.jpg`), a picture of the mesh (`NAME.mesh.png`),
or both; or a folder NAME with `face.png` and `mesh.png`, as an estimate is saved. References are faces, named likewise.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from voxface.runtime.errors import InputError, UsageError
from voxface.training.evaluation.surveys.survey import Question

SECTIONS: Final = ("Images", "3D models", "Both together")
QUESTIONS: Final = 30
_SUFFIXES: Final = (".png", ".jpg", ".jpeg")
Pictures = Mapping[str, Mapping[str, Path]]
"""Recording -> "face" and "mesh", as far as there are -> picture."""


def questions(ours: Path, theirs: Path, references: Path, *, count: int = QUESTIONS, seed: int = 0) -> list[Question]:
    """Questions of recordings drawn from the seed: of images, of 3D models, of both together (Wu et al. 2022, Sec. 4.2).

    Where the folders hold only pictures of faces, or only of meshes, there is one section. A section shows a recording once.

    Args:
        count: of questions, the same number in every section.

    Raises:
        UsageError: so many questions cannot be divided into the sections.
        InputError: a folder is missing, or too few recordings have what a section needs.
    """
    sides = pictures_of(ours), pictures_of(theirs)
    faces = {name: kinds["face"] for name, kinds in pictures_of(references).items() if "face" in kinds}
    both = {
        name: sides[0][name].keys() & sides[1][name].keys() for name in sides[0] if name in sides[1] and name in faces
    }
    needed = {SECTIONS[0]: ("face",), SECTIONS[1]: ("mesh",), SECTIONS[2]: ("face", "mesh")}
    have = {section: sorted(name for name, kinds in both.items() if kinds >= set(of)) for section, of in needed.items()}
    sections = [section for section in SECTIONS if have[section]]
    if not sections:
        raise InputError(
            f"{ours}, {theirs}, {references}: no recording has a picture in all three; name them alike, NAME.png for a face "
            "and NAME.mesh.png for a mesh"
        )
    if count < 1 or count % len(sections):
        most = len(sections) * max(1, count // len(sections))
        raise UsageError(f"--questions: {count} cannot be divided into {len(sections)} sections; ask for {most}")
    each = count // len(sections)
    rng = np.random.default_rng(seed)
    found = []
    for section in sections:
        if len(have[section]) < each:
            raise InputError(
                f"{ours}, {theirs}, {references}: {len(have[section])} recordings have pictures for the section {section!r}, "
                f"which asks {each} questions; add some, or ask fewer questions"
            )
        for k in rng.permutation(len(have[section]))[:each]:
            name = have[section][int(k)]
            shown = [tuple(side[name][kind] for kind in needed[section]) for side in sides]
            found.append(Question(section, faces[name], shown[0], shown[1]))
    return found


def pictures_of(folder: Path) -> Pictures:
    """The pictures of a folder by recording.

    Raises:
        InputError: no such folder, or nothing in it is a picture.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            for kind in ("face", "mesh"):
                if (file := path / f"{kind}.png").is_file():
                    found.setdefault(path.name, {})[kind] = file
        elif path.suffix.lower() in _SUFFIXES:
            kind = "mesh" if path.stem.endswith(".mesh") else "face"
            found.setdefault(path.stem.removesuffix(".mesh"), {})[kind] = path
    if not found:
        raise InputError(f"{folder}: holds no pictures such as NAME.png, NAME.mesh.png or NAME/face.png")
    return found
