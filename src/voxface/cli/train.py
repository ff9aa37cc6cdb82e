"""`voxface train`: each network of both papers, from a folder of pairs.

`--json` prints {"run", "training", "preset", "steps", "seconds", "losses": {"step", NAME: …}, "metrics", "networks",
"files"}; `steps` counts all steps of the networks, those before a `--resume` included, `losses` is the last point of the
learning curve, and `files` are relative to `run`. Under `torchrun`, or with `--devices`, only the first process prints.
"""

import argparse
import importlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from voxface.cli.arguments import add_json, add_out
from voxface.cli.output import Progress, print_json, tell

if TYPE_CHECKING:
    from torch import nn

# Names only, so that help loads nothing; a test compares them with the presets of the trainers. The first is the default.
TRAININGS = {
    "voice-encoder": "the voice encoder: who is speaking (Wen 2019, §3.1)",
    "face-gan": "voice to face image, adversarially (Wen 2019, Algorithm 1)",
    "mesh": "voice to 3D face, supervised (Wu 2022, §3.2)",
    "joint": "voice to image to 3D face, taught by an expert (Wu 2022, §3.3)",
    "portrait": "voice to an average-looking face image, from renders of the mesh of the same voice; no adversary",
    "expert": "an expert that reads 3D faces from pictures, for `train joint`",
}
PRESETS: dict[str, tuple[str, ...]] = {
    "voice-encoder": ("default", "wen2019"),
    "face-gan": ("wen2019", "wen2019-paper", "dcgan", "modern"),
    "mesh": ("default", "wu2022"),
    "joint": ("wu2022", "published", "modern"),
    "portrait": ("default",),
    "expert": ("default", "small"),
}
# Options that are fields of the trainer's configuration.
_FIELDS = {
    "steps": "steps",
    "batch": "batch",
    "seed": "run.seed",
    "accelerator": "run.accelerator",
    "devices": "run.devices",
    "precision": "run.precision",
    "checkpoint_every": "run.checkpoint_every",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    trainings = parser.add_subparsers(dest="training", required=True, metavar="TRAINING")
    for name, what in TRAININGS.items():
        sub = trainings.add_parser(
            name,
            help=f"{what}; presets: {', '.join(PRESETS[name])}",
            description=f"Trains {what}.",
            allow_abbrev=False,
        )
        taught = "; of `voxface data voices`: learns from a teacher" if name == "voice-encoder" else ""
        sub.add_argument("--data", type=Path, required=True, metavar="PAIRS", help=f"folder of `voxface data`{taught}")
        add_out(sub, "folder of this training", metavar="RUN")
        if name == "voice-encoder":
            sub.add_argument(
                "--beside", type=Path, metavar="PAIRS", help="further voices to train on, such as synthetic ones"
            )
            sub.add_argument(
                "--start",
                type=Path,
                metavar="RUN|BUNDLE",
                help="encoder to go on from, when learning from a teacher; it may have fewer residual blocks",
            )
        if name in ("face-gan", "mesh", "joint", "portrait"):
            sub.add_argument(
                "--encoder", type=Path, required=True, metavar="RUN", help="trained voice encoder; it is not changed"
            )
        if name == "portrait":
            sub.add_argument(
                "--mesh",
                type=Path,
                required=True,
                metavar="RUN",
                help="trained mesh network, whose meshes are rendered",
            )
        if name == "joint":
            sub.add_argument(
                "--expert", type=Path, required=True, metavar="RUN|FILE", help="own expert, or a published one (.pth)"
            )
            sub.add_argument(
                "--whitening",
                type=Path,
                metavar="FILE",
                help="mean and std of a published expert: 3DDFA's own .pkl, or .npz",
            )
            sub.add_argument("--generator", type=Path, metavar="RUN", help="face GAN to start from (from scratch)")
        sub.add_argument(
            "--preset",
            choices=PRESETS[name],
            default=PRESETS[name][0],
            help=f"hyper-parameters: {', '.join(PRESETS[name])} (%(default)s)",
        )
        for option, what_for in (
            ("--steps", "how long"),
            ("--batch", "examples a step, of all devices together"),
            ("--seed", "of every random choice"),
        ):
            sub.add_argument(option, metavar="N", help=f"{what_for} (the preset's)")
        sub.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="any other hyper-parameter; a wrong name lists them all",
        )
        sub.add_argument(
            "--quick",
            action="store_true",
            help="a few small steps, to see that everything works; what is learnt is worth nothing",
        )
        sub.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), help="(the preset's, auto as a rule)")
        sub.add_argument("--devices", metavar="N", help="processes, one a device (1; under torchrun, its number)")
        sub.add_argument("--precision", metavar="P", help="32-true, bf16-mixed or 16-mixed (the preset's)")
        sub.add_argument("--checkpoint-every", metavar="N", help="steps between checkpoints (the preset's)")
        sub.add_argument("--resume", action="store_true", help="continue from the last checkpoint in --out")
        add_json(sub)


def run(options: argparse.Namespace) -> int:
    """Trains; returns 128 plus the signal's number if a signal ended it, with a checkpoint to resume from."""
    from voxface.runtime.errors import ProviderError, VoxfaceError
    from voxface.runtime.install_advice import how_to_install

    follows = any(int(os.environ.get(name, "0")) > 0 for name in ("RANK", "LOCAL_RANK"))
    values = _values(options)
    try:
        try:
            trainer = importlib.import_module(f"voxface.training.trainers.{_trainer(options)}")
            document = _train(options, trainer, values, speaks=not follows)
        except ImportError as error:
            raise ProviderError(f"training needs {error.name or error}; {how_to_install('train')}") from error
    except VoxfaceError as error:
        if follows:
            _let_the_first_process_speak()
            return error.exit_code
        raise
    except KeyboardInterrupt as interrupted:
        number: int = getattr(interrupted, "number", signal.SIGINT)
        if not follows:
            _tell_interrupted(options.out)
        return 128 + number
    if follows:
        return 0
    if options.json:
        print_json(document)
    else:
        _print(document)
    return 0


def _let_the_first_process_speak(most_s: float = 10.0) -> None:
    """Waits, while there is what started this process, for the first process to report the error that both have met.

    torchrun ends all processes as soon as one of them has ended.
    """
    starter, end = os.getppid(), time.monotonic() + most_s
    while os.getppid() == starter and time.monotonic() < end:
        time.sleep(0.02)


def _trainer(options: argparse.Namespace) -> str:
    """Name of the training script; data with a teacher's vectors ask for another one than pairs.

    Raises:
        UsageError: an option that goes with the other kind of data.
    """
    from voxface.runtime.errors import UsageError

    if options.training != "voice-encoder":
        return str(options.training).replace("-", "_")
    from voxface.training.voices.renderings import is_renderings

    taught = is_renderings(options.data)
    if taught and options.preset != "default":
        raise UsageError(f"--preset {options.preset}: goes with pairs; {options.data} has a teacher's vectors")
    if taught and options.beside is not None:
        raise UsageError(f"--beside: goes with pairs; {options.data} has a teacher's vectors")
    if not taught and options.start is not None:
        raise UsageError(
            f"--start: goes with a folder of `voxface data voices`; {options.data} has no teacher's vectors"
        )
    return "taught_voice_encoder" if taught else "voice_encoder"


# Largest values of `--quick`.
QUICK: Final = {
    "steps": 20,
    "batch": 8,
    "validate_every": 10,
    "judge.steps": 20,
    "bank": 1,
    "held": 8,
    "renders.pictures": 40,
    "portraits": 40,
}


def _quick(preset: Any) -> dict[str, tuple[str, str]]:
    """The fields of `--quick` that a preset has, where it has more."""
    found = {}
    for name, most in QUICK.items():
        value = preset
        for part in name.split("."):
            value = getattr(value, part, None)
        if isinstance(value, int) and value > most:
            found[name] = (str(most), "--quick")
    return found


def _values(options: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Name of the field -> (its text, how it was written).

    Raises:
        UsageError: not NAME=VALUE, or said twice.
    """
    from voxface.runtime.errors import UsageError

    found: dict[str, tuple[str, str]] = {}
    for option, name in _FIELDS.items():
        if getattr(options, option) is not None:
            found[name] = (getattr(options, option), f"--{option.replace('_', '-')}")
    for pair in options.set:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"--set {pair}: write NAME=VALUE")
        if name in found:
            raise UsageError(f"--set {pair}: {name} has been given already, by {found[name][1]}")
        found[name] = (text.strip(), f"--set {name}")
    return found


def _train(
    options: argparse.Namespace, trainer: Any, values: dict[str, tuple[str, str]], *, speaks: bool
) -> dict[str, Any]:
    """Trains; returns the document of `--json`."""
    from dataclasses import replace

    from voxface.cli.overrides import override
    from voxface.runtime.errors import UsageError
    from voxface.training.data.pairs import Pairs
    from voxface.training.engine.bundle_networks import check_trained_with
    from voxface.training.engine.checkpoint import steps_done
    from voxface.training.engine.trained_experts import load_expert
    from voxface.training.engine.trained_networks import describe, load_network, weights_digest
    from voxface.training.voices.renderings import Renderings

    if getattr(options, "generator", None) is not None:
        values = {"start": ("generator", "--generator"), **values}
    if options.quick:
        values = {**_quick(trainer.PRESETS[options.preset]), **values}
    config = override(
        trainer.PRESETS[options.preset],
        {name: text for name, (text, _) in values.items()},
        {name: written for name, (_, written) in values.items()},
    )
    if config.steps < 1:
        raise UsageError(f"--steps {config.steps}: at least 1")
    _check_apart(options)
    networks: list[nn.Module] = []
    if hasattr(options, "encoder"):
        networks.append(load_network(options.encoder, "encoder"))
    for option, name in (("mesh", "mesh"), ("generator", "face")):
        if (listener := getattr(options, option, None)) is not None:
            check_trained_with(listener, name, options.encoder, weights_digest(networks[0]))
    if hasattr(options, "mesh"):
        networks.append(load_network(options.mesh, "mesh"))
    if hasattr(options, "expert"):
        networks.append(load_expert(options.expert, options.whitening))
    more: dict[str, Any] = {}
    if getattr(options, "generator", None) is not None:
        more["generator"] = load_network(options.generator, "face")
    if getattr(options, "beside", None) is not None:
        more["beside"] = Pairs.load(options.beside)
    if getattr(options, "start", None) is not None:
        more["start"] = _encoder_to_start_from(options.start)
    name = trainer.__name__.rpartition(".")[2]
    data = Renderings.load(options.data) if name == "taught_voice_encoder" else Pairs.load(options.data)
    if options.resume:
        done = steps_done(options.out)
        config = replace(config, steps=max(config.steps, done))  # networks that have learnt longer stay as they are
    began = time.monotonic()
    progress = Progress(config.steps, options.training)
    try:
        getattr(trainer, f"train_{name}")(
            data,
            *networks,
            config,
            options.out,
            resume=options.resume,
            **({"say": progress.say, "progress": progress.phase} if speaks else {}),
            **more,
        )
    finally:
        if speaks:
            progress.close()
    if not speaks:  # the first process may still be writing what this would read
        return {}
    about = describe(options.out)
    return {
        "run": str(options.out),
        "training": options.training,
        "preset": options.preset,
        "steps": config.steps,
        "seconds": round(time.monotonic() - began, 3),
        "losses": _last_point(options.out),
        "metrics": about.get("metrics", {}),
        "networks": list(about["networks"]),
        "files": sorted(
            str(file.relative_to(options.out))
            for file in options.out.rglob("*")
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(options.out).parts)
        ),
    }


def _check_apart(options: argparse.Namespace) -> None:
    """Raises UsageError if `--out` is also an input: the training would overwrite what it reads."""
    from voxface.runtime.errors import UsageError

    for name in ("data", "beside", "start", "encoder", "mesh", "expert", "generator"):
        source: Path | None = getattr(options, name, None)
        if source is not None and os.path.realpath(options.out) == os.path.realpath(source):
            raise UsageError(f"--out {options.out}: is --{name} as well; choose another name")


def _encoder_to_start_from(source: Path) -> "nn.Module":
    """The voice encoder of a training, or of a bundle.

    Raises:
        InputError, BundleError, UsageError: it cannot be used.
    """
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.bundle.manifest import MANIFEST, SUFFIX
    from voxface.training.engine.trained_networks import load_network

    if source.suffix != SUFFIX and not (source / MANIFEST).is_file():
        return load_network(source, "encoder")
    from voxface.export.exported_encoder import exported_encoder

    return exported_encoder(Bundle.open(source))


def _last_point(folder: Path) -> dict[str, Any]:
    """The last point of the curve."""
    from voxface.training.engine.learning_curve import CURVE, read_points

    points, _ = read_points(folder / CURVE)
    return points[-1][1] if points else {}


def _tell_interrupted(folder: Path) -> None:
    kept = sorted(path for path in (folder / "checkpoints").glob("step-*") if path.is_dir())
    last = f"go on from {kept[-1]} with --resume" if kept else "before its first checkpoint"
    tell(f"voxface: interrupted; {last}\n")


def _print(document: dict[str, Any]) -> None:
    losses = {name: value for name, value in document["losses"].items() if name != "step"}
    print(
        f"{document['run']}: {', '.join(document['networks'])} trained ({document['preset']}, {document['steps']} steps, "
        f"{document['seconds']:.0f} s); " + ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
    )
    for name, value in document["metrics"].items():
        if isinstance(value, int | float | str):
            print(f"  {name.replace('_', ' '):<28} {f'{value:.4g}' if isinstance(value, float) else value}")
    if document["training"] != "expert":
        print(f"export with: voxface export {document['run']} … --out NAME.voxface")
