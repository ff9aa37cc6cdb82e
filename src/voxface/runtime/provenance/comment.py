"""The mark as lines of comment, in files whose comments are text in ASCII: OBJ, PLY, GIF."""

from voxface.runtime.provenance.mark import SOFTWARE, Mark


def comment_lines(mark: Mark, unit: str | None = "millimetres") -> tuple[str, ...]:
    """Lines without the sign that begins a comment and without an end.

    Args:
        unit: of a mesh; None: of a picture, which has none.
    """
    lines = (
        SOFTWARE if unit is None else f"{SOFTWARE}, {unit}",
        mark.notice,
        f"DigitalSourceType: {mark.digital_source_type}",
        *([f"Bundle: {mark.shown_bundle}"] if mark.bundle is not None else []),
        *([f"Bundle-SHA-256: {mark.bundle_sha256}"] if mark.bundle_sha256 is not None else []),
    )
    return tuple(line.encode("ascii", "backslashreplace").decode() for line in lines)
