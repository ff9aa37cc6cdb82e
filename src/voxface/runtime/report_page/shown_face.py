"""What the page has of one face, as text that goes into it: pictures, meshes, sound."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.face.heat_map import scale_end
from voxface.runtime.report_page.kept_sound import KeptSound
from voxface.runtime.report_page.packed_mesh import base64, packed

Float32 = NDArray[np.float32]
DRAWS: Final = 4  # faces of the posterior that a page shows unless told otherwise
MOST_DRAWS: Final = 6


@dataclass(frozen=True)
class ShownFace:
    """A face in a page; pictures and sound as `data:` URLs.

    Attributes:
        picture: the picture.
        pictures: pictures of its meshes, for browsers that draw nothing in three dimensions.
        mesh: JSON: the vertices of the mean face and of each draw, and of each vertex how far it may be off, as `packed`.
        draws: how many draws there are.
        largest_mm: the end of the uncertainty's scale; 0 where there is none.
        sound: the voice, or "".
        sound_s: seconds of it.
        sound_whole: whether that is all of it.
    """

    picture: str
    pictures: tuple[str, ...]
    mesh: str
    draws: int = 0
    largest_mm: float = 0.0
    sound: str = ""
    sound_s: float = 0.0
    sound_whole: bool = True

    @property
    def size(self) -> int:
        """Bytes that it takes of the page."""
        return sum(map(len, (self.picture, *self.pictures, self.mesh, self.sound)))


def show_face(
    picture: bytes,
    pictures: Sequence[bytes],
    vertices: Float32,
    *,
    spread: Float32 | None = None,
    draws: Sequence[Float32] = (),
    sound: KeptSound | None = None,
) -> ShownFace:
    """A face as the page shows it.

    Args:
        picture: a PNG file.
        pictures: PNG files of meshes.
        vertices: float32 [N, 3], millimetres.
        spread: float32 [N], how far each vertex may be off, in millimetres.
        draws: vertices of faces drawn from the posterior; the browser draws them, as rendering them here would take longer than
            all else that is done for a clip.
        sound: the voice, where the page is to play it.
    """
    largest = scale_end(spread) if spread is not None else 0.0
    mesh = {
        "vertices": [packed(each) for each in (vertices, *draws)],
        "spread": None if spread is None else packed(spread),
        "largest_mm": largest,
    }
    return ShownFace(
        picture=_url("image/png", picture),
        pictures=tuple(_url("image/png", each) for each in pictures),
        mesh=json.dumps(mesh, separators=(",", ":"), allow_nan=False),
        draws=len(draws),
        largest_mm=largest,
        sound="" if sound is None else _url("audio/flac", sound.flac()),
        sound_s=0.0 if sound is None else sound.seconds,
        sound_whole=sound is None or sound.whole,
    )


def _url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64(data)}"
