"""The mark in a glTF document: `extras`, which programs keep when they write a file again, and XMP, by the extension for it."""

from typing import Any, Final

from voxface.runtime.provenance.mark import KEY, SOFTWARE, Mark
from voxface.runtime.provenance.xmp import xmp_json_ld

XMP_EXTENSION: Final = "KHR_xmp_json_ld"


def add_mark(document: dict[str, Any], mark: Mark) -> None:
    """Adds the mark to a document: to its asset, and to each scene and mesh, since programs that import a mesh drop the
    asset."""
    told = mark.to_json()
    document["asset"] |= {"generator": SOFTWARE, "extras": {KEY: told}, "extensions": {XMP_EXTENSION: {"packet": 0}}}
    document["extensionsUsed"] = [*document.get("extensionsUsed", ()), XMP_EXTENSION]
    document["extensions"] = {**document.get("extensions", {}), XMP_EXTENSION: {"packets": [xmp_json_ld(mark)]}}
    for part in (*document["scenes"], *document["meshes"]):
        part["extras"] = {**part.get("extras", {}), KEY: told}
