"""`voxface data voices`: voices, and what a teacher hears in them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxface.cli.data.left_out import complain_of
from voxface.cli.data.model import check_out
from voxface.cli.data.stages import StageProgress
from voxface.cli.data.workers import workers_asked
from voxface.cli.output import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxface.training.data.speech_corpus import LeftOut
    from voxface.training.voices.renderings import Renderings


def render_voices(options: argparse.Namespace) -> int:
    """Renders the voices; those that cannot be used are reported and left out."""
    from voxface.runtime.errors import InputError, UsageError
    from voxface.runtime.files.existing import fresh_folder
    from voxface.training.data.sounds import read_sounds
    from voxface.training.voices.listing import voices
    from voxface.training.voices.rendering import RenderingConfig, render
    from voxface.training.voices.renderings import Renderings
    from voxface.training.voices.teacher import load_teacher

    check_out(options, "folder of rendered voices", _is_renderings)
    given = {
        "degraded": options.degraded,
        "formants": options.formants,
        "speeds": None if options.speeds is None else tuple(options.speeds),
    }
    config = RenderingConfig(seed=options.seed, **{name: value for name, value in given.items() if value is not None})
    workers = workers_asked(options)
    listed = [voice for folder in options.speech for voice in voices(folder)]
    if len({(voice.corpus, voice.speaker, voice.path) for voice in listed}) < len(listed):
        raise UsageError("--speech: a folder is given twice, or a table lists a file twice")
    teacher = load_teacher(options.teacher)
    silent: list[LeftOut] = []
    sounds = []
    for folder in (options.noise, options.rooms):
        found, lost = read_sounds(folder) if folder is not None else ([], [])
        sounds.append(found)
        silent += lost
    try:
        with StageProgress() as stages, fresh_folder(options.out) as folder:
            left_out = render(listed, teacher, config, folder, *sounds, workers=workers, stage=stages)
    except OSError as error:
        raise InputError(f"{options.out}: cannot be written ({error.strerror or error})") from error
    return _tell(options, Renderings.load(options.out), [*left_out, *silent])


def _is_renderings(folder: Path) -> bool:
    """Whether a folder holds rendered voices and nothing else."""
    from voxface.runtime.files.existing import holds_only
    from voxface.training.voices.renderings import MANIFEST

    return holds_only(
        folder, MANIFEST, lambda document: set(document["files"]) if document["about"]["voices"] else set()
    )


def _tell(options: argparse.Namespace, made: "Renderings", left_out: "Sequence[LeftOut]") -> int:
    people = made.about["voices"]
    splits: dict[str, dict[str, Any]] = {}
    for split in ("train", "validation", "test"):
        own = made.of(split)
        splits[split] = {
            "voices": len(set(made.voice[own].tolist())),
            "renderings": len(own),
            "hours": round(int(made.length[own].sum()) / 360_000, 3),
        }
    document = {
        "out": str(options.out),
        "teacher": made.about["teacher"],
        "voices": len(people),
        "speakers": len(set(made.speaker.tolist())),
        "splits": splits,
        "digest": made.digest,
        "errors": complain_of(left_out),
    }
    if options.json:
        print_json(document)
    else:
        print(
            f"{options.out}: "
            + ", ".join(f"{of['voices']} voices to {split}" for split, of in splits.items())
            + f"; teacher: {document['teacher']}"
            + (f"; {len(left_out)} files left out" if left_out else "")
        )
    return left_out[0].exit_code if left_out else 0
