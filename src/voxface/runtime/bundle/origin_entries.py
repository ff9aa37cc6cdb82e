"""The manifest's entries of where a bundle comes from: another bundle, published networks, another face model."""

from voxface.runtime.bundle.json_record import JsonRecord, stored_as


class SourceEntry(JsonRecord):
    """The bundle that another was made from."""

    name: str | None = None
    version: str | None = None
    sha256: str | None = None


class ImportedFile(JsonRecord):
    """A published file that was imported."""

    file: str
    sha256: str


class ImportedEntry(JsonRecord):
    """Published networks that a bundle was made of, and what replaces the mesh network that they lack."""

    format: str
    encoder: ImportedFile | None = None
    generator: ImportedFile | None = None
    mesh: str


class RetargetingEntry(JsonRecord):
    """The map from coefficients of one morphable model to those of another; see `voxface.importers.retarget`.

    Attributes:
        base_model: name of the morphable model that the mesh network was trained for; `from` in JSON.
        to: name of the morphable model whose coefficients the bundle gives.
        base_bundle: the bundle that the networks come from.
        scale: size of the target's mean landmarks over the base's.
        movement_uncertainty_mm: how much, per coordinate, landmarks of the two models move differently.
        placement_uncertainty_mm: how much, per coordinate, the two models place landmarks differently.
        identity_explained, expression_explained: share (0 to 1) of the variance of landmark movements the target follows.
    """

    base_model: str | None = stored_as("from")
    to: str | None = None
    base_bundle: SourceEntry | None = None
    scale: float | None = None
    movement_uncertainty_mm: float | None = None
    placement_uncertainty_mm: float | None = None
    identity_explained: float | None = None
    expression_explained: float | None = None
