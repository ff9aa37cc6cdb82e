"""`voxface data`: worlds of voices and faces to train in, synthetic faces, and 3D faces fitted to landmarks.

`data prepare` (real voices with drawn faces) and `data synth --people` (both made) write a folder of pairs, see
`voxface.training.data.pairs`, and print {"out", "kind", "seed", "digest", "people", "female", "male", "splits": {"train" |
"validation" | "test": {"people", "speakers", "utterances", "clean_utterances", "pictures"}}, "voiced_hours",
"morphable_model": {"name", "version", "licence"}, "errors": [{"file", "exit_code", "message"}]}; "errors" are the files
left out, and the exit code is then the first one's.

With `--voices` it prepares people's own recordings and photographs ("kind" is "own"); "errors" are then also in `rejected.csv`.

`data voices` renders recordings and asks a teacher about them, to distil a voice encoder on, and prints {"out", "teacher",
"voices", "speakers", "splits": {"train" | "validation" | "test": {"voices", "renderings", "hours"}}, "digest", "errors"}.

`data synth --count` prints {"out", "count", "seed", "size", "female", "male", "morphable_model": {"name", "version",
"licence"}, "files": {"faces", "manifest"}}; what the folder holds is described at
`voxface.training.faces.face_set.write_face_set`.

`data fit` prints {"out", "given", "fitted", "not_converged", "morphable_model": {...}, "camera": {"kind", "focal_px"},
"contour", "sigma_px" (the median of what was estimated, or what was given), "residual_px": {"p50", "p95", "max"},
"determined": {"directions", "of"}, "errors": [{"file", "line" | "row" | "picture", "exit_code", "message"}]}; "determined" is
the median, over faces, of how many directions of coefficient space keep less than half their prior variance. It writes an
`.npz`; arrays have the faces as first axis: `names`, `coefficients` [B, P], `variance` [B, P] (the posterior covariance's
diagonal), `rotation` [B, 3, 3], `scale` [B], `translation` [B, D], `angles` [B, 3] (yaw, pitch, roll in degrees),
`residual_px`, `iterations` and `converged` [B], `landmarks` [B, 68, D], `sigma_px` [B]. With `--by-folder` "people" is their
number, and the file has `people` (names of the folders), `people_coefficients` and `people_variance` [I, P], and
`people_pictures` [I].
"""

import argparse
from pathlib import Path

from voxface.cli.arguments import add_bundle, add_force, add_json, add_out, add_seed
from voxface.cli.data.engines import add_engine

ONLY_PEOPLE = ("utterances", "seconds", "pictures", "coupling", "variants", "engine", "workers")
"""Options of `synth` that are allowed with `--people` only."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_prepare(
        actions.add_parser(
            "prepare",
            help="pair real voices with drawn faces, or with photographs of your own",
            description="Pairs recordings of known speakers with faces drawn from a population, given what a voice is "
            "known to carry: sex, and a little size; these faces show no real person. With --voices and --photos it prepares "
            "people's own recordings and photographs instead; a run that was killed goes on where it was.",
            allow_abbrev=False,
        )
    )
    _add_synth(
        actions.add_parser(
            "synth",
            help="make people with voices and faces, or faces alone",
            description="Makes people whose voices and faces follow from known anatomy (--people), or draws faces alone "
            "(--count).",
            allow_abbrev=False,
        )
    )
    _add_voices(
        actions.add_parser(
            "voices",
            help="render voices and ask a teacher about them, for `train voice-encoder`",
            description="Renders recordings at several speeds, clean and through rooms, noise, telephones and codecs, and asks "
            "a speaker encoder of others what it hears in each piece. `voxface train voice-encoder --data FOLDER` then "
            "distils a voice encoder from it.",
            allow_abbrev=False,
        )
    )
    _add_fit(
        actions.add_parser(
            "fit", help="fit 3D faces to landmarks", description="Fits 3D faces to 68 landmarks.", allow_abbrev=False
        )
    )


def _add_prepare(prepare: argparse.ArgumentParser) -> None:
    source = prepare.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--speech",
        type=Path,
        nargs="+",
        help="folders with speakers.csv: speaker_id, sex and a folder per speaker, or speaker_id, sex, file; faces are drawn",
    )
    source.add_argument(
        "--voices", type=Path, metavar="FOLDER", help="own data: a folder of recordings per person (VoxCeleb's, or any)"
    )
    own = prepare.add_argument_group("own data (--voices)")
    own.add_argument(
        "--photos", type=Path, metavar="FOLDER", help="a folder of photographs or videos per person (VGGFace's, or any)"
    )
    own.add_argument("--frames", type=float, metavar="N", help="pictures of a second of a video (1)")
    own.add_argument(
        "--fits", type=Path, metavar="FOLDER", help="a folder of fitted faces per person (Voxceleb-3D's .npy and .xyz)"
    )
    own.add_argument(
        "--people", type=Path, metavar="TABLE", help="CSV, or vox1_meta.csv: names of both folders, and sex or gender"
    )
    own.add_argument(
        "--splits", metavar="RULE|FILE", help="hash, letters (Wen 2019), table, or a file of names and splits (hash)"
    )
    own.add_argument(
        "--detector",
        help="of landmarks: onnx:FILE, mediapipe:FILE.task, face-alignment[:FOLDER]; pts: a .pts file beside each picture; "
        "aligned: none, the pictures are aligned faces",
    )
    faces = own.add_mutually_exclusive_group()
    faces.add_argument(
        "--face-detector", type=Path, metavar="FILE.onnx", help="with --detector onnx: what finds the faces in pictures"
    )
    faces.add_argument("--crops", action="store_true", help="with --detector onnx: each picture is a crop of one face")
    own.add_argument(
        "--expert",
        type=Path,
        metavar="FILE",
        help="published network that reads the faces (3DDFA-V2's, SynergyNet's); without it they are fitted to landmarks",
    )
    own.add_argument(
        "--whitening",
        type=Path,
        metavar="FILE",
        help="its mean and std, 3DDFA's own .pkl or .npz; with --fits, the unit of the parameters",
    )
    prepare.add_argument("--noise", type=Path, help="folder of noises, for augmentation (white noise)")
    prepare.add_argument("--rooms", type=Path, help="folder of room impulse responses, for augmentation (none)")
    add_out(prepare, "folder to make")
    add_force(prepare, "replace a folder of pairs that is there already")
    prepare.add_argument("--pictures", type=int, help="pictures of every person (4)")
    prepare.add_argument("--size", type=int, choices=(64, 120), help="pictures' size, px (64)")
    prepare.add_argument("--variants", type=int, help="augmented renderings of a recording, beside the clean one (2)")
    prepare.add_argument(
        "--speeds", type=float, nargs="+", help="each speed makes a person of a training speaker (0.9 1.0 1.1)"
    )
    add_seed(prepare, "faces")
    add_engine(prepare)
    _add_model(prepare)
    prepare.add_argument("--population", type=Path, help="population.npz that goes with the model (the bundle's own)")


def _add_voices(voices: argparse.ArgumentParser) -> None:
    voices.add_argument(
        "--speech",
        type=Path,
        required=True,
        nargs="+",
        help="folders with speakers.csv: speaker_id, file, and perhaps sex, age, language",
    )
    voices.add_argument(
        "--teacher",
        default="resemblyzer",
        help="resemblyzer: the installed package's weights; or a file of them, or an ONNX speaker encoder (%(default)s)",
    )
    voices.add_argument("--noise", type=Path, help="folder of noises, for degraded renderings (white noise)")
    voices.add_argument("--rooms", type=Path, help="folder of room impulse responses, for these (none)")
    add_out(voices, "folder to make")
    add_force(voices, "replace a folder of rendered voices that is there already")
    voices.add_argument("--degraded", type=int, help="degraded renderings of a voice, beside the clean one (1)")
    voices.add_argument("--speeds", type=float, nargs="+", help="speeds of a training voice (0.83 0.93 1.0 1.08 1.18)")
    voices.add_argument(
        "--formants",
        type=float,
        metavar="FACTOR",
        help="at other speeds than 1, formants move by up to this factor, down or up (1.18; 1: not at all)",
    )
    add_seed(voices, "degradations")
    voices.add_argument("--workers", type=int, help="processes (as many as there are cores)")
    add_json(voices)


def _add_synth(synth: argparse.ArgumentParser) -> None:
    add_out(synth, "folder to make")
    add_force(synth, "replace a folder of the same kind, pairs or faces, that is there already")
    what = synth.add_mutually_exclusive_group(required=True)
    what.add_argument("--people", type=int, help="how many people with voices and faces")
    what.add_argument("--count", type=int, help="how many faces alone")
    add_seed(synth, "people")
    synth.add_argument("--size", type=int, choices=(64, 120), help="pictures' size, px (64 of people, 120 of faces)")
    people = synth.add_argument_group("with --people")
    people.add_argument("--utterances", type=int, help="utterances of every person (6)")
    people.add_argument("--seconds", type=float, help="length of every utterance (6)")
    people.add_argument("--pictures", type=int, help="pictures of every person (4)")
    people.add_argument(
        "--coupling", type=float, help="how closely faces go with voices, 0 to 1, far more than real ones do (0.9)"
    )
    people.add_argument("--variants", type=int, help="augmented renderings of an utterance, beside the clean one (1)")
    add_engine(people)
    faces = synth.add_argument_group("with --count")
    faces.add_argument("--sex", choices=("F", "M", "both"), help="sex of the faces (both, in turns)")
    _add_model(synth)
    synth.add_argument("--population", type=Path, help="population.npz that goes with the model (the bundle's own)")


def _add_fit(fit: argparse.ArgumentParser) -> None:
    fit.add_argument(
        "--landmarks",
        type=Path,
        required=True,
        help="landmarks as .npz, .csv or .pts (or a folder of .pts), or a folder of pictures",
    )
    add_out(fit, ".npz file to write")
    add_force(fit, "replace fitted faces that are there already")
    fit.add_argument("--detector", help="for pictures: onnx:FILE, mediapipe:FILE.task, face-alignment[:FOLDER]")
    faces = fit.add_mutually_exclusive_group()
    faces.add_argument(
        "--face-detector", type=Path, metavar="FILE.onnx", help="with --detector onnx: what finds the faces in pictures"
    )
    faces.add_argument("--crops", action="store_true", help="with --detector onnx: each picture is a crop of one face")
    fit.add_argument("--camera", choices=("weak", "pinhole"), default="weak", help="(%(default)s)")
    fit.add_argument("--focal", type=float, help="focal length of the pinhole camera, px")
    fit.add_argument("--centre", type=float, nargs=2, metavar=("X", "Y"), help="its principal point, px (the middle)")
    fit.add_argument(
        "--sigma",
        type=float,
        metavar="PX",
        help="noise of the landmarks, px (estimated for each face, about 3 %% of the distance between the outer eye corners)",
    )
    fit.add_argument(
        "--by-folder", action="store_true", help="pictures of one folder are of one person; fit them together"
    )
    fit.add_argument("--robust", type=float, metavar="SIGMAS", help="landmarks further off than this count less")
    fit.add_argument(
        "--contour",
        choices=("silhouette", "anatomical"),
        help="where the jaw line is marked (as the detector does; silhouette)",
    )
    _add_model(fit)
    fit.add_argument("--population", type=Path, help="prior of the coefficients (unit-normal)")


def _add_model(parser: argparse.ArgumentParser) -> None:
    models = parser.add_mutually_exclusive_group()
    models.add_argument("--faces", type=Path, help="morphable model, an .npz file")
    add_bundle(models, "bundle whose morphable model to take (the default bundle)")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Runs the action; see the module's documentation for what it prints."""
    if options.action == "fit":
        from voxface.cli.data.fit import fit

        return fit(options)
    if options.action == "prepare":
        from voxface.cli.data.worlds import prepare

        return prepare(options)
    if options.action == "voices":
        from voxface.cli.data.voices import render_voices

        return render_voices(options)
    from voxface.runtime.errors import UsageError

    if options.people is not None:
        from voxface.cli.data.worlds import synth_people

        if options.sex is not None:
            raise UsageError("--sex: goes with --count; people are women and men in turns")
        return synth_people(options)
    from voxface.cli.data.faces import synth_faces

    astray = [name for name in ONLY_PEOPLE if getattr(options, name) is not None]
    if astray:
        raise UsageError(f"--{astray[0]}: goes with --people")
    return synth_faces(options)
