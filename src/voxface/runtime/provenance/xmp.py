"""The mark as XMP (ISO 16684-1), with IPTC's `DigitalSourceType`: as a packet for pictures, as JSON-LD for glTF."""

from typing import Any, Final

from voxface.runtime.provenance.mark import SOFTWARE, Mark
from voxface.runtime.version import __version__

RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC: Final = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
XMP: Final = "http://ns.adobe.com/xap/1.0/"
DC: Final = "http://purl.org/dc/elements/1.1/"
OURS: Final = "urn:voxface:provenance:1:"
PREFIXES: Final = {"dc": DC, "xmp": XMP, "Iptc4xmpExt": IPTC, "voxface": OURS}
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def xmp_packet(mark: Mark) -> str:
    """An XMP packet, without room to grow: programs that change it write it anew."""
    properties = "".join(f"<{name}>{_escaped(value)}</{name}>" for name, value in _properties(mark).items())
    spaces = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="{_escaped(SOFTWARE)}"><rdf:RDF xmlns:rdf="{RDF}">'
        f'<rdf:Description rdf:about=""{spaces}>{properties}<dc:description><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{_escaped(mark.notice)}</rdf:li></rdf:Alt></dc:description>'
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def xmp_json_ld(mark: Mark) -> dict[str, Any]:
    """An XMP packet of the extension KHR_xmp_json_ld of glTF."""
    language = {"@language": "x-default", "@value": mark.notice}
    return {
        "@context": PREFIXES,
        "@id": "",
        **_properties(mark),
        "dc:description": {"@type": "rdf:Alt", "rdf:_1": language},
    }


def _properties(mark: Mark) -> dict[str, str]:
    """Property -> value, of all but the description."""
    name, sha256 = mark.shown_bundle, mark.bundle_sha256
    return {
        "Iptc4xmpExt:DigitalSourceType": mark.digital_source_type,
        "Iptc4xmpExt:AISystemUsed": f"voxface, bundle {name}" if name else "voxface",
        "Iptc4xmpExt:AISystemVersionUsed": f"{__version__}, bundle SHA-256 {sha256}" if sha256 else __version__,
        "xmp:CreatorTool": SOFTWARE,
        "voxface:source": mark.source,
        "voxface:likeness": "false",
        **({"voxface:bundle": name} if name else {}),
        **({"voxface:bundle_sha256": sha256} if sha256 else {}),
    }


def _escaped(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)
