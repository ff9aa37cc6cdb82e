"""`voxface data synth --count`: faces drawn from a population."""

import argparse
from pathlib import Path

from voxface.cli.data.model import check_out, model_and_population
from voxface.cli.output import Progress, print_json


def synth_faces(options: argparse.Namespace) -> int:
    """Draws faces; see the package for what it prints."""
    from voxface.runtime.errors import InputError, UsageError

    if options.count < 1:
        raise UsageError(f"--count {options.count}: at least 1")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: not negative")
    check_out(options, "folder of faces", _is_faces)
    model, population = model_and_population(options)
    from voxface.runtime.files.existing import fresh_folder
    from voxface.training.faces.face_set import FaceSetConfig, write_face_set

    sexes = {"F": (0,), "M": (1,), "both": (0, 1)}[options.sex or "both"]
    size = options.size or 120
    config = FaceSetConfig(options.count, options.seed, size, sexes)
    progress = Progress(options.count, "faces")
    try:
        with fresh_folder(options.out) as folder:
            manifest = write_face_set(folder, model, population, config, done=progress.step)
    except OSError as error:
        raise InputError(
            f"{options.out}: cannot be written ({error.strerror or error}); choose another --out"
        ) from error
    finally:
        progress.close()
    men = sum(sexes[i % len(sexes)] for i in range(options.count))
    document = {
        "out": str(options.out),
        "count": options.count,
        "seed": options.seed,
        "size": size,
        "female": options.count - men,
        "male": men,
        "morphable_model": manifest["morphable_model"],
        "files": {"faces": str(options.out / "faces.npz"), "manifest": str(options.out / "manifest.json")},
    }
    if options.json:
        print_json(document)
    else:
        print(
            f"{options.out}: {options.count} faces of {size} × {size} px "
            f"({document['female']} female, {men} male) of {model.name} {model.version}; they show no real person"
        )
    return 0


def _is_faces(folder: Path) -> bool:
    """Whether a folder holds drawn faces and nothing else."""
    from voxface.runtime.files.existing import holds_only

    return holds_only(folder, "manifest.json", lambda document: {*document["faces"], *document["sha256"]})
