"""The manifest's entries of files: their size and hash, and what refers to one of them."""

from voxface.runtime.bundle.json_record import JsonRecord


class FileEntry(JsonRecord):
    """A file of the bundle: size in bytes and SHA-256, which are verified when the bundle is read."""

    size: int
    sha256: str


class FileReference(JsonRecord):
    """The name of one of the bundle's files: of the population, the model card, or a calibration's tables."""

    file: str
