"""Marks in an XMP packet, as XML or as glTF's JSON-LD."""

from typing import Any, Final

from voxface.runtime.provenance.found_mark import FoundMark, canonical, text
from voxface.runtime.provenance.xmp import DC, IPTC, OURS, RDF, XMP

LARGEST: Final = 1 << 20  # bytes of a packet
# Property -> the attribute of `FoundMark`; of several for one attribute the first that is there counts.
_PROPERTIES: Final = {
    (IPTC, "DigitalSourceType"): "digital_source_type",
    (XMP, "CreatorTool"): "software",
    (IPTC, "AISystemUsed"): "software",
    (DC, "description"): "notice",
    (OURS, "bundle"): "bundle",
    (OURS, "bundle_sha256"): "bundle_sha256",
}


def read_xmp(where: str, packet: str) -> list[FoundMark]:
    """The mark of a packet; none where it says nothing that marks are made of.

    Raises:
        ValueError: it is too large, or declares entities, which no XMP needs.
        SyntaxError: it is no XML.
    """
    from xml.etree import ElementTree

    if len(packet) > LARGEST:
        raise ValueError(f"an XMP packet of {len(packet)} letters")
    if "<!DOCTYPE" in packet.upper() or "<!ENTITY" in packet.upper():
        raise ValueError("an XMP packet that declares entities")
    found: dict[tuple[str, str], str] = {}
    for node in ElementTree.fromstring(packet.strip("\ufeff\0 \t\r\n")).iter():
        for tag, value in ((node.tag, _content(node)), *node.attrib.items()):
            space, _, name = str(tag).removeprefix("{").partition("}")
            if value and (space, name) in _PROPERTIES:
                found.setdefault((space, name), value)
    return _mark(where, found)


def read_xmp_json_ld(where: str, packet: Any) -> list[FoundMark]:
    """The same of a packet of glTF's KHR_xmp_json_ld."""
    if not isinstance(packet, dict):
        return []
    spaces = packet.get("@context")
    found: dict[tuple[str, str], str] = {}
    for key, given in packet.items():
        prefix, _, name = str(key).partition(":")
        space = spaces.get(prefix) if isinstance(spaces, dict) else None
        value = given.get("rdf:_1") if isinstance(given, dict) else given  # a text in several languages
        value = value.get("@value") if isinstance(value, dict) else value
        if isinstance(space, str) and isinstance(value, str):
            found[space, name] = value
    return _mark(where, found)


def _mark(where: str, found: dict[tuple[str, str], str]) -> list[FoundMark]:
    told: dict[str, Any] = {}
    for key, attribute in _PROPERTIES.items():
        if key in found and attribute not in told:
            told[attribute] = text(found[key].strip())
    if "digital_source_type" in told:
        told["digital_source_type"] = canonical(told["digital_source_type"])
    ours = (OURS, "source") in found or (OURS, "bundle") in found or (told.get("software") or "").startswith("voxface ")
    return [FoundMark(where, **told, ours=ours)] if told else []


def _content(node: Any) -> str:
    """The text of a property: its own, its `rdf:resource`, or the first of its languages."""
    resource = node.get(f"{{{RDF}}}resource")
    if resource:
        return str(resource)
    own = (node.text or "").strip()
    if own:
        return str(own)
    first = node.find(f".//{{{RDF}}}li")
    return "" if first is None else (first.text or "").strip()
