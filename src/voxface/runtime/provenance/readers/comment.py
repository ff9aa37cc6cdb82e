"""Marks in comments, and in those of OBJ and PLY files."""

from typing import Any, Final

from voxface.runtime.provenance.found_mark import FoundMark, canonical, text

HEAD: Final = 1 << 16  # bytes of a file in which comments are looked for
_FIELDS: Final = {"digitalsourcetype": "digital_source_type", "bundle": "bundle", "bundle-sha-256": "bundle_sha256"}


def read_obj(data: bytes) -> list[FoundMark]:
    """The mark in the comments of an OBJ file."""
    lines = data[:HEAD].decode("utf-8", "replace").splitlines()
    return mark_in_comments([line[1:].strip() for line in lines if line.startswith("#")])


def read_ply(data: bytes) -> list[FoundMark]:
    """The mark in the comments of a PLY file.

    Raises:
        ValueError: its header has no end.
    """
    header, end, _ = data[:HEAD].partition(b"end_header")
    if not end:
        raise ValueError("its header has no end")
    lines = header.decode("utf-8", "replace").splitlines()
    return mark_in_comments([line.removeprefix("comment").strip() for line in lines if line.startswith("comment ")])


def mark_in_comments(comments: list[str]) -> list[FoundMark]:
    """The mark in lines of comment, whatever the file; none where they say nothing that marks are made of."""
    told: dict[str, Any] = {}
    for line in comments:
        name, colon, value = line.partition(":")
        attribute = _FIELDS.get(name.strip().lower()) if colon else None
        if attribute is not None:
            told.setdefault(attribute, text(value.strip()))
    ours = next((line for line in comments if line.startswith("voxface ")), None)
    if ours is not None:
        told["software"] = text(ours.partition(",")[0])
        told["notice"] = text(next((line for line in comments if line.startswith("Synthetic face")), None))
    if "digital_source_type" in told:
        told["digital_source_type"] = canonical(told["digital_source_type"])
    if ours is None and "digital_source_type" not in told:
        return []
    return [FoundMark("comment", **told, ours=ours is not None)]
