"""Public lists of trials that are pickles, read as data: nothing that they name is imported or called.

Each is a dictionary, as evaluations of voice-face association on VoxCeleb keep them:

| list | key | an item |
|---|---|---|
| matching, 1 of 2 | `match_list` | (person, voice, face, other person, other's voice, other's face) |
| matching, 1 of N | `match_list` | (N voices, N faces), the same people in the same order, the probe's first |
| verification | `list` | (voice, face, 1 if they are of one person) |
| retrieval | `retrieval_lists` | a gallery: (voice, face, person) each |
"""

import io
from pathlib import Path
from typing import Any

import numpy as np

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import is_damage, reason
from voxface.runtime.files.regular import read_bytes
from voxface.training.evaluation.matching.trial_lists import MatchingTrial, VerificationTrial
from voxface.training.foreign.pickled_arrays import SCALAR, array_of, bytes_of
from voxface.training.foreign.pickles import Made, Table, read_pickled


def read_pickled_matching(file: Path) -> tuple[list[MatchingTrial], list[MatchingTrial]]:
    """Trials from a voice to faces, and from a face to voices.

    Raises:
        InputError: it cannot be read, or an item is no trial.
    """
    to_faces, to_voices = [], []
    for number, item in enumerate(_items(file, "match_list")):
        if (six := _texts(item, 6)) is not None:
            voices, faces = [six[1], six[4]], [six[2], six[5]]
        elif isinstance(item, list | tuple) and len(item) == 2 and (two := [_texts(part) for part in item]):
            voices, faces = two[0] or [], two[1] or []
        else:
            raise _wrong(file, "match_list", number, "(person, voice, face, person, voice, face) or (voices, faces)")
        if len(voices) != len(faces) or len(voices) < 2:
            raise _wrong(
                file, "match_list", number, f"two or more of each, not {len(voices)} voices, {len(faces)} faces"
            )
        to_faces.append(MatchingTrial(voices[0], faces[0], tuple(faces[1:])))
        to_voices.append(MatchingTrial(faces[0], voices[0], tuple(voices[1:])))
    return to_faces, to_voices


def read_pickled_verification(file: Path) -> list[VerificationTrial]:
    """The trials of a list of verification.

    Raises:
        InputError: it cannot be read, or an item is no trial.
    """
    trials = []
    for number, item in enumerate(_items(file, "list")):
        paths = _texts(item[:2], 2) if isinstance(item, list | tuple) and len(item) == 3 else None
        if paths is None or (label := _label(item[2])) is None:
            raise _wrong(file, "list", number, "(voice, face, 0 or 1)")
        trials.append(VerificationTrial(paths[0], paths[1], bool(label)))
    return trials


def read_pickled_retrieval(file: Path) -> list[list[tuple[str, str, str]]]:
    """Galleries, each of (person, voice, face).

    Raises:
        InputError: it cannot be read, or an item is none.
    """
    galleries = []
    for gallery in _items(file, "retrieval_lists"):
        found = []
        for number, item in enumerate(gallery if isinstance(gallery, list | tuple) else [gallery]):
            if (texts := _texts(item, 3)) is None:
                raise _wrong(file, "retrieval_lists", number, "(voice, face, person)")
            found.append((texts[2], texts[0], texts[1]))
        galleries.append(found)
    return galleries


def _items(file: Path, key: str) -> list[Any]:
    """What a dictionary's list holds."""
    data = read_bytes(file)
    try:
        value = read_pickled(io.BytesIO(data)).value
    except Exception as error:
        if not is_damage(error):
            raise
        raise InputError(f"{file}: cannot be read as a pickled list of trials ({reason(error)})") from error
    pairs = value.pairs if isinstance(value, Table) else []
    found = [there for name, there in pairs if isinstance(name, str) and name == key]
    if not found or not isinstance(found[-1], list) or not found[-1]:
        names = ", ".join(name for name, _ in pairs if isinstance(name, str))
        raise InputError(f"{file}: holds no {key!r} with trials (it holds: {names or 'no dictionary'})")
    return found[-1]


def _texts(item: Any, count: int | None = None) -> list[str] | None:
    """The texts of a list that holds nothing else and is as long as asked; None for anything else."""
    if not isinstance(item, list | tuple) or (count is not None and len(item) != count):
        return None
    texts = [text for part in item if (text := _text(part)) is not None]
    return texts if len(texts) == len(item) else None


def _text(value: Any) -> str | None:
    """A text, also one of NumPy's (which lists of people drawn with `numpy.random.choice` hold); None for anything else."""
    if isinstance(value, str):
        return value
    if not isinstance(value, Made) or not value.is_of(*SCALAR) or len(value.arguments) != 2:
        return None
    kind, raw = value.arguments
    if not isinstance(kind, Made) or not kind.arguments or not str(kind.arguments[0]).startswith("U"):
        return None
    try:
        data = bytes_of(raw)
        return None if data is None else data.decode("utf-32-le").rstrip("\0")
    except ValueError:
        return None


def _label(value: Any) -> int | None:
    """0 or 1, also one of NumPy's numbers; None for anything else."""
    try:
        number = value if isinstance(value, int) else array_of(value)
    except ValueError:
        return None
    return int(number) if number is not None and np.ndim(number) == 0 and number in (0, 1) else None


def _wrong(file: Path, key: str, number: int, expected: str) -> InputError:
    return InputError(f"{file}: item {number} of {key!r} is no trial; expected: {expected}")
