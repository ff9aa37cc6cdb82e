"""Marks in GLB files: `extras`, XMP, the generator."""

import json
from typing import Any

from voxface.runtime.provenance.found_mark import FoundMark, of_json, source_types, text
from voxface.runtime.provenance.gltf_extras import XMP_EXTENSION
from voxface.runtime.provenance.mark import KEY
from voxface.runtime.provenance.readers.xmp import read_xmp_json_ld


def read_glb(data: bytes) -> list[FoundMark]:
    """The marks of a GLB file.

    Raises:
        ValueError: the file is cut off or damaged.
    """
    size = int.from_bytes(data[12:16], "little")
    if data[4:8] != b"\2\0\0\0" or data[16:20] != b"JSON" or 20 + size > len(data):
        raise ValueError("no document of glTF 2.0 stands at its beginning")
    words = data[20 : 20 + size].decode("utf-8")
    document = json.loads(words)
    if not isinstance(document, dict):
        raise ValueError("its document is no object")
    asset = document.get("asset")
    places: list[tuple[str, Any]] = [("asset", asset)]
    for kind in ("scenes", "nodes", "meshes"):
        parts = document.get(kind)
        places += [(f"{kind}/{k}", part) for k, part in enumerate(parts)] if isinstance(parts, list) else []
    found: list[FoundMark] = []
    for where, part in places:
        extras = part.get("extras") if isinstance(part, dict) else None
        if isinstance(extras, dict) and (mark := of_json(f"{where}/extras", extras.get(KEY))) is not None:
            found.append(mark)
    for k, packet in enumerate(_packets(document)):
        found += read_xmp_json_ld(f"XMP packet {k}", packet)
    known = {mark.digital_source_type for mark in found}
    found += [mark for mark in source_types("document", words) if mark.digital_source_type not in known]
    generator = text(asset.get("generator")) if isinstance(asset, dict) else None
    if generator and not found:
        found.append(FoundMark("asset/generator", software=generator, ours=generator.startswith("voxface ")))
    return found


def _packets(document: dict[str, Any]) -> list[Any]:
    extensions = document.get("extensions")
    extension = extensions.get(XMP_EXTENSION) if isinstance(extensions, dict) else None
    packets = extension.get("packets") if isinstance(extension, dict) else None
    return packets if isinstance(packets, list) else []
