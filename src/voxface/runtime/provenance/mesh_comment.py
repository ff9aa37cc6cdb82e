"""The mark as lines of comment in OBJ and PLY files, which are text in ASCII."""

from voxface.runtime.provenance.mark import SOFTWARE, Mark


def comment_lines(mark: Mark, unit: str = "millimetres") -> tuple[str, ...]:
    """Lines without the sign that begins a comment and without an end.

    Args:
        unit: of the mesh.
    """
    lines = (
        f"{SOFTWARE}, {unit}",
        mark.notice,
        f"DigitalSourceType: {mark.digital_source_type}",
        *([f"Bundle: {mark.shown_bundle}"] if mark.bundle is not None else []),
        *([f"Bundle-SHA-256: {mark.bundle_sha256}"] if mark.bundle_sha256 is not None else []),
    )
    return tuple(line.encode("ascii", "backslashreplace").decode() for line in lines)
