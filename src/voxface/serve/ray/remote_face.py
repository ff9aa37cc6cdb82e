"""A face as it comes back from another machine: its document, which has its files."""

import base64
from dataclasses import dataclass
from typing import Any

UNCERTAINTY = "uncertainty"


@dataclass(frozen=True)
class RemoteFace:
    """The face of a clip; see `voxface.serve.clip.Face`.

    Attributes:
        document: its entry in a document of `voxface run`, with the uncertainty if the bundle knows it.
    """

    document: dict[str, Any]

    @property
    def seconds(self) -> float:
        """How long the clip is."""
        return float(self.document["duration_s"])

    @property
    def png(self) -> bytes:
        """The picture."""
        return _data(self.document["face"])

    @property
    def glb(self) -> bytes:
        """The mesh, in metres."""
        return _data(self.document["mesh"])

    def to_json(self, *, uncertainty: bool = False) -> dict[str, Any]:
        """Its entry, with the uncertainty if asked for."""
        return {key: value for key, value in self.document.items() if uncertainty or key != UNCERTAINTY}


def _data(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])
