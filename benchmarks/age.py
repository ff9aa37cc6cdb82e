"""How well a bundle's voice encoder tells ages: children from adults, and adults' years beside constant ages and the teacher.

    python -m benchmarks.age VOICES [VOICES …] [--bundle BUNDLE]

VOICES are folders of `voxface data voices`. The fit is that of `voxface.training.trainers.age`, and nothing is written into the
bundle.
"""

from pathlib import Path

from benchmarks.options import parser
from benchmarks.record import record
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.training.trainers.age import train
from voxface.training.voices.renderings import Renderings


def main() -> None:
    """Fits and measures."""
    options = parser(__doc__)
    options.add_argument("voices", nargs="+", type=Path, metavar="VOICES", help="folders of rendered voices")
    options.add_argument("--bundle", type=Path, help="bundle whose encoder is measured (the default bundle)")
    given = options.parse_args()
    rendered = [Renderings.load(folder) for folder in given.voices]
    with FaceEstimator(given.bundle, threads=1) as face_estimator:
        made = train(face_estimator, rendered)
        manifest = face_estimator.bundle.manifest
    about = {
        "bundle": f"{manifest.name} {manifest.version}",
        "teacher": rendered[0].about["teacher"],
        "learnt_from": made.trained_on,
    }
    record(
        "age",
        "python -m benchmarks.age artifacts/voices artifacts/voices-speechocean762",
        {**about, **made.metrics},
        packages=("numpy", "torch", "onnxruntime"),
    )


if __name__ == "__main__":
    main()
