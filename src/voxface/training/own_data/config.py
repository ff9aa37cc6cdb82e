"""What is to be done with people's own files."""

from dataclasses import dataclass
from pathlib import Path

from voxface.training.own_data.expert_fits import ExpertChoice
from voxface.training.own_data.photographs import DetectorChoice


@dataclass(frozen=True)
class OwnDataConfig:
    """What is done with each person's files.

    Attributes:
        detector: what finds landmarks; None: photographs are not looked at.
        size: height and width of the aligned pictures, px.
        yaw, pitch: most that a face may be turned to the side, and up or down, degrees; others are no frontal pictures.
        frames: pictures of a second of a video.
        expert: what reads the faces in photographs; None: they are fitted to landmarks.
        whitening: unit of the parameters of faces that others have fitted, see `voxceleb_3d`.
    """

    detector: DetectorChoice | None = None
    size: int = 64
    yaw: float = 30.0
    pitch: float = 25.0
    frames: float = 1.0
    expert: ExpertChoice | None = None
    whitening: Path | None = None
