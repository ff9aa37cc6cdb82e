"""Table 1 of Wu 2022 on people whose true faces are known: cascade, supervised and joint training, and trivial methods.

    python -m benchmarks.synthetic_world --seeds 3 [--out FOLDER] [--accelerator auto] [--people N …]

For every seed a synthetic world is made (voices and pictures from known anatomy, `training.world.synthetic`), a voice encoder
is trained on it, then the face GAN, the supervised mesh regressor and the joint trainings; one expert, trained on renders of
the embedded model's population and on none of these people, serves all seeds. Compared is the error of ratios (ARE,
`voxface.training.evaluation.geometry.are_table`) on people of the test split, on whom nothing was trained:

* `cascade`: the GAN's picture, read by the expert; no joint training. Gains are relative to this method, as in the paper.
* `supervised …`, `joint …`: the presets of `train mesh` and `train joint`.
* trivial: the mean face; the mean face of the sex that is heard, and of the true sex (an oracle); a linear map of true f0,
  true tract length and the sex heard.
* oracle: the mean face of all people with the true f0, tract length and sex, which the world knows; a method that gets the
  voice alone can be better only by chance.
* `expert, real pictures`: the expert on the person's own pictures, without a voice.

Every stage has a folder under `--out` and is skipped if that is finished; a stage that was interrupted resumes from its last
checkpoint. All sizes are options; the defaults depend on whether there is a GPU. On a CPU the joint trainings start from
the cascade (its generator, and the expert as student), because from scratch they would need the paper's 50,000 steps.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.record import record
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import UsageError
from voxface.runtime.files.existing import fresh_folder
from voxface.training.data.expert_renders import RenderConfig
from voxface.training.data.pairs import Pairs
from voxface.training.data.parallel_map import Processes
from voxface.training.engine.run import RunConfig
from voxface.training.engine.trained_networks import ABOUT, describe, load_network
from voxface.training.evaluation.baselines.cascade import Cascade
from voxface.training.evaluation.baselines.linear_cues import LinearCues
from voxface.training.evaluation.baselines.mean_faces import LinearSexClassifier, MeanFaces
from voxface.training.evaluation.geometry.are_table import RATIOS, GeometryErrors, relative_gain
from voxface.training.evaluation.geometry.held_out import HeldOut
from voxface.training.evaluation.measures.intervals import bootstrap
from voxface.training.evaluation.pictures.picture_judge import JudgeConfig
from voxface.training.faces.population import FacePopulation
from voxface.training.models.frozen import Frozen
from voxface.training.trainers import expert as expert_trainer
from voxface.training.trainers import face_gan, joint, mesh, voice_encoder
from voxface.training.world.pictures import PictureConfig
from voxface.training.world.synthetic import SyntheticConfig, synthetic_world

CASCADE = "cascade"
SEX_HEARD = "mean face of the sex heard"
PAPER = {"cascade": 0.0302, "supervised": 0.0241, "joint": 0.0251}  # Wu 2022, Table 1: real people, another face model
WANTED = 0.15


@dataclass(frozen=True)
class Sizes:
    """Sizes of the worlds and lengths of the trainings.

    Attributes:
        people, utterances, seconds, pictures, coupling: of each world, see `SyntheticConfig`.
        encoder_steps, encoder_batch: of the voice encoder.
        renders, expert_steps, expert_batch, expert_rate, pixels, trunk: of the expert, and of students that start anew.
        channels, critic: widths of the generator, and of the face embedding network under discriminator and classifier.
        gan_steps, gan_batch, gan_preset: of the cascade's face GAN.
        judge_steps: of the judge that looks at the GAN's pictures; it says how good they are and teaches nothing.
        mesh_steps: of the supervised training with the default preset; the paper's head gets three times as many.
        joint_steps, joint_batch, joint_presets: of the joint trainings.
        warm: whether these start from the cascade.
        bank: crops of every utterance that are encoded beforehand.
    """

    people: int = 200
    utterances: int = 4
    seconds: float = 5.0
    pictures: int = 4
    coupling: float = 0.9
    encoder_steps: int = 400
    encoder_batch: int = 48
    renders: int = 3000
    expert_steps: int = 2500
    expert_batch: int = 32
    expert_rate: float = 2e-3
    pixels: int = 64
    trunk: Literal["mobilenet_v2", "plain"] = "plain"
    channels: tuple[int, ...] = (256, 192, 128, 64, 32)
    critic: tuple[int, ...] = (16, 32, 64, 128, 256)
    gan_steps: int = 500
    gan_batch: int = 32
    gan_preset: Literal["wen2019", "modern"] = "modern"
    judge_steps: int = 150
    mesh_steps: int = 800
    joint_steps: int = 200
    joint_batch: int = 24
    joint_presets: tuple[str, ...] = ("published", "modern")
    warm: bool = True
    bank: int = 3


CPU = Sizes()
GPU = Sizes(
    people=1000,
    utterances=6,
    seconds=8.0,
    pictures=6,
    encoder_steps=4000,
    encoder_batch=128,
    renders=20_000,
    expert_steps=20_000,
    expert_batch=128,
    expert_rate=1e-3,
    pixels=120,
    trunk="mobilenet_v2",
    channels=(1024, 512, 256, 128, 64),
    critic=(32, 64, 128, 256, 512),
    gan_steps=10_000,
    gan_batch=128,
    judge_steps=1000,
    mesh_steps=3000,
    joint_steps=10_000,
    joint_batch=64,
    joint_presets=("wu2022", "published", "modern"),
    warm=False,
    bank=4,
)

Say = Callable[[str], None]


def main() -> None:
    """Makes, trains, measures, and records."""
    asked, sizes = _arguments()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - began:7.1f} s] {line}", flush=True)

    worlds = {seed: world(asked.out / f"seed-{seed}", sizes, seed, asked.workers, say) for seed in range(asked.seeds)}
    expert = trained_expert(asked, sizes, worlds[0], say)
    found = [measured(asked, sizes, seed, pairs, expert, say) for seed, pairs in worlds.items()]
    document = {
        "sizes": asdict(sizes),
        "device": "cuda" if _cuda(asked.accelerator) else "cpu",
        "minutes_of_this_run": (time.monotonic() - began) / 60,
        "people": {split: len(worlds[0].split(split)) for split in ("train", "validation", "test")},
        "expert": describe(_expert_folder(asked)).get("metrics", {}),
        "methods": summary([methods for methods, _ in found]),
        "hearing": [heard for _, heard in found],
        "paper": PAPER,
    }
    document["met"] = verdict(document["methods"])
    print(table(document["methods"]))
    if asked.record:
        command = " ".join(["python -m benchmarks.synthetic_world", *asked.given])
        record("synthetic_world", command, _plain(document), ("numpy", "torch"))
    else:
        (asked.out / "synthetic_world.json").write_text(json.dumps(_plain(document), indent=1) + "\n")


# -- stages ----------------------------------------------------------------------------------------------------------------


def world(folder: Path, sizes: Sizes, seed: int, workers: int, say: Say) -> Pairs:
    """The synthetic people of a seed."""
    config = SyntheticConfig(
        people=sizes.people,
        utterances=sizes.utterances,
        seconds=sizes.seconds,
        coupling=sizes.coupling,
        seed=seed,
        pictures=PictureConfig(each=sizes.pictures),
    )
    place = folder / "pairs"
    if not place.exists():
        say(f"seed {seed}: {sizes.people} people")
        bundle = Bundle.open()
        population = FacePopulation.load(bundle.path / "population.npz")
        with fresh_folder(place) as fresh:
            synthetic_world(config, bundle.morphable, population, fresh, engine=Processes(workers))
    pairs = Pairs.load(place)
    if json.loads(json.dumps(asdict(config))) != pairs.about.get("config"):
        raise UsageError(f"{place}: these people were made with other settings; choose another --out")
    return pairs


def trained_expert(asked: argparse.Namespace, sizes: Sizes, pairs: Pairs, say: Say) -> nn.Module:
    """The expert of all seeds: given, or trained on renders."""
    folder = _expert_folder(asked)
    if asked.expert is not None:
        return load_network(folder, "expert")
    config = expert_trainer.ExpertConfig(
        run=_run(asked, 0, 200),
        renders=RenderConfig(pictures=sizes.renders),
        held=max(sizes.renders // 15, 1),
        workers=asked.workers,
        size=sizes.pixels,
        trunk=sizes.trunk,
        rate=sizes.expert_rate,
        steps=sizes.expert_steps,
        batch=sizes.expert_batch,
    )
    return stage(folder, config, "expert", say, expert_trainer.train_expert, pairs)


def stage(
    folder: Path, config: Any, name: str, say: Say, train: Callable[..., Any], *parts: Any, **more: Any
) -> nn.Module:
    """The network `name` of a training: from its folder where that is finished, else trained, or trained further.

    Raises:
        UsageError: it was made with other settings.
    """
    if (folder / ABOUT).is_file():
        kept, now = (_settings(c) for c in (describe(folder).get("config", {}), asdict(config)))
        if kept != now:
            changed = ", ".join(sorted(key for key in kept.keys() | now.keys() if kept.get(key) != now.get(key)))
            raise UsageError(f"{folder}: was trained with other settings ({changed}); choose another --out")
        say(f"{folder}: finished before")
    else:
        say(f"{folder}: {config.steps} steps")
        began = time.monotonic()
        train(*parts, config, folder, resume=folder.exists(), **more)
        say(f"{folder}: {(time.monotonic() - began) / max(config.steps, 1):.2f} s a step, all included")
    return load_network(folder, name)


def measured(
    asked: argparse.Namespace, sizes: Sizes, seed: int, pairs: Pairs, expert: nn.Module, say: Say
) -> tuple[dict[str, GeometryErrors], dict[str, float]]:
    """Errors of each method on the test people of a seed, after training everything; rate at which sex is recognised."""
    place, run = asked.out / f"seed-{seed}", _run(asked, seed, 100)
    encoder = stage(
        place / "encoder",
        # The true f0 and tract length are for the oracle; the encoder is to hear them by itself.
        replace(
            voice_encoder.PRESETS["default"], run=run, steps=sizes.encoder_steps, batch=sizes.encoder_batch, cues=0.0
        ),
        "encoder",
        say,
        voice_encoder.train_voice_encoder,
        pairs,
    )
    gan = stage(
        place / "gan",
        replace(
            face_gan.PRESETS[sizes.gan_preset],
            run=run,
            steps=sizes.gan_steps,
            batch=sizes.gan_batch,
            channels=sizes.channels,
            critic=sizes.critic,
            judge=JudgeConfig(steps=sizes.judge_steps),
            bank=sizes.bank,
            validate_every=sizes.gan_steps,
        ),
        "face",
        say,
        face_gan.train_face_gan,
        pairs,
        encoder,
    )
    networks: dict[str, nn.Module] = {CASCADE: Cascade(gan, expert)}
    for preset, config in mesh.PRESETS.items():
        steps = sizes.mesh_steps * (3 if preset == "wu2022" else 1)
        networks[f"supervised {preset}"] = stage(
            place / f"mesh-{preset}",
            replace(config, run=run, steps=steps, bank=sizes.bank, validate_every=100),
            "mesh",
            say,
            mesh.train_mesh,
            pairs,
            encoder,
        )
    for preset in sizes.joint_presets:
        networks[f"joint {preset}"] = stage(
            place / f"joint-{preset}",
            joint_config(joint.PRESETS[preset], sizes, run),
            "mesh",
            say,
            joint.train_joint,
            pairs,
            encoder,
            expert,
            **({"generator": gan} if sizes.warm else {}),
        )
    device = "cuda" if _cuda(asked.accelerator) else "cpu"
    frozen = Frozen(encoder).to(device)
    fit, test = (HeldOut.from_pairs(pairs, frozen, split, device) for split in ("train", "test"))
    if fit is None or test is None:
        raise UsageError("the world is too small: nobody in the training or the test split")
    found = {name: test.errors(network.to(device)) for name, network in networks.items()}
    rows, sex = trivial(pairs, fit, test)
    opinions = joint.mean_expert_coefficients(
        pairs, Frozen(expert).to(device), np.unique(test.person), torch.device(device)
    )
    rows["expert, real pictures"] = opinions[test.person]
    found |= {name: test.errors(predicted) for name, predicted in rows.items()}
    for name, errors in found.items():
        say(f"seed {seed}, {name}: ARE {errors.summary['are']:.4f}")
    return found, {"sex_heard": sex}


def joint_config(preset: joint.JointConfig, sizes: Sizes, run: RunConfig) -> joint.JointConfig:
    """A preset at these sizes."""
    changes: dict[str, Any] = {"start": "generator", "student": "expert"} if sizes.warm else {}
    # A moving average over more steps than there are would remember the start.
    average = min(preset.average, 1 - 10 / max(sizes.joint_steps, 20))
    return replace(
        preset,
        run=run,
        steps=sizes.joint_steps,
        batch=sizes.joint_batch,
        channels=sizes.channels,
        critic=sizes.critic,
        student_size=sizes.pixels,
        student_trunk=sizes.trunk,
        average=average if preset.average else 0.0,
        partners="batch" if sizes.warm else preset.partners,
        bank=sizes.bank,
        validate_every=max(sizes.joint_steps // 4, 1),
        **changes,
    )


def trivial(pairs: Pairs, fit: HeldOut, test: HeldOut) -> tuple[dict[str, NDArray[np.float32]], float]:
    """Predictions that need no network, by name; and the share of test utterances whose sex is recognised."""
    people, person = np.unique(fit.person), test.person
    means = MeanFaces.from_pairs(pairs, people)
    heard = LinearSexClassifier.fit(fit.embeddings, pairs.sexes[fit.person])(test.embeddings)
    linear = LinearCues.fit(pairs, people)
    return {
        "mean face": means.of_everybody(len(person)),
        SEX_HEARD: means.of_sexes(heard),
        "mean face of the true sex (oracle)": means.of_sexes(pairs.sexes[person]),
        "linear map of true cues": linear(pairs.cues[person], heard),
        "conditional mean of the world (oracle)": pairs.expected[person],
    }, float((heard == pairs.sexes[person]).mean())


# -- what is said of it ----------------------------------------------------------------------------------------------------


def summary(seeds: list[dict[str, GeometryErrors]]) -> dict[str, Any]:
    """Per method: mean and standard deviation over seeds of every error, and of the relative gain over the cascade; how many
    millimetres its mesh is nearer than the mean face of the sex heard, with the interval over the speakers of all seeds.
    """
    rows: dict[str, Any] = {}
    for name in seeds[0]:
        numbers = [errors[name].summary for errors in seeds]
        row: dict[str, Any] = {key: _spread([each[key] for each in numbers]) for key in numbers[0]}
        gains = [relative_gain(errors[name].mean_are(), errors[CASCADE].mean_are()) for errors in seeds]
        row["gain_over_cascade"] = _spread([gain.gain for gain in gains]) | {
            "intervals_over_speakers": [[gain.low, gain.high] for gain in gains]
        }
        nearer = np.concatenate([errors[SEX_HEARD].rms_mm - errors[name].rms_mm for errors in seeds])
        row["mm_below_sex_heard"] = _with_interval(nearer)
        rows[name] = row
    return rows


def verdict(methods: dict[str, Any]) -> dict[str, Any]:
    """A verdict for each trained method: whether it beats the cascade by `WANTED`, and the mean face of the sex heard."""
    trivial_are = methods[SEX_HEARD]["are"]["mean"]
    return {
        name: {
            "beats_cascade_by_15_percent": row["gain_over_cascade"]["mean"] >= WANTED,
            "beats_mean_face_of_the_sex": row["are"]["mean"] < trivial_are,
            "beats_it_in_mm": row["mm_below_sex_heard"]["low"] > 0,
        }
        for name, row in methods.items()
        if name.startswith(("supervised", "joint"))
    }


def table(methods: dict[str, Any]) -> str:
    """Markdown, a method a line: the ratios in Wu's order, their mean, the gain over the cascade, millimetres."""
    heads = ["method", *(f"{name}" for name in RATIOS), "mean ARE", "gain over cascade", "mesh, mm"]
    lines = [" | ".join(heads), " | ".join(["---"] * len(heads))]
    for name, row in methods.items():
        cells = [f"{row[f'are_{ratio}']['mean']:.4f} ± {row[f'are_{ratio}']['sd']:.4f}" for ratio in RATIOS]
        gain = row["gain_over_cascade"]
        lines.append(
            " | ".join(
                [
                    name,
                    *cells,
                    f"{row['are']['mean']:.4f} ± {row['are']['sd']:.4f}",
                    "–" if name == CASCADE else f"{100 * gain['mean']:+.1f} ± {100 * gain['sd']:.1f} %",
                    f"{row['rms_mm']['mean']:.2f} ± {row['rms_mm']['sd']:.2f}",
                ]
            )
        )
    return "\n".join(f"| {line} |" for line in lines)


def _with_interval(differences: NDArray[np.float64]) -> dict[str, float]:
    """Mean of one number a speaker, and its 95 % interval."""
    low, high = bootstrap(
        lambda drawn: float(differences[drawn].mean()), np.arange(len(differences)), rng=np.random.default_rng(0)
    )
    return {"mean": float(differences.mean()), "low": low, "high": high}


def _spread(values: list[float]) -> dict[str, Any]:
    return {
        "mean": statistics.fmean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
        "seeds": values,
    }


def _plain(value: Any) -> Any:
    """Rounded to six decimals, as JSON holds it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


def _settings(config: dict[str, Any]) -> dict[str, Any]:
    """The settings that two trainings must share to be the same, as JSON holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(config))
    return {key: value for key, value in plain.items() if key not in ("run", "workers")}


def _run(asked: argparse.Namespace, seed: int, checkpoint_every: int) -> RunConfig:
    return RunConfig(
        seed=seed,
        checkpoint_every=checkpoint_every if not _cuda(asked.accelerator) else 1000,
        keep=1,
        sample_every=500,
        accelerator=asked.accelerator,
        precision="bf16-mixed" if _cuda(asked.accelerator) else "32-true",
    )


def _expert_folder(asked: argparse.Namespace) -> Path:
    return Path(asked.expert or asked.out / "expert")


def _cuda(accelerator: str) -> bool:
    return accelerator != "cpu" and torch.cuda.is_available()


def _arguments() -> tuple[argparse.Namespace, Sizes]:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.synthetic_world", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="worlds, each with its own people (3)")
    parser.add_argument("--out", type=Path, default=Path("artifacts/synthetic-world"), help="work folder (%(default)s)")
    parser.add_argument("--expert", type=Path, help="folder of a trained expert, in place of training one")
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--workers", type=int, default=2, help="processes that make people and draw pictures (2)")
    parser.add_argument("--threads", type=int, default=0, help="of torch (its own choice)")
    parser.add_argument("--no-record", dest="record", action="store_false", help="write the result to --out only")
    hints = get_type_hints(Sizes)
    for field in fields(Sizes):
        option = f"--{field.name.replace('_', '-')}"
        about = f"(CPU {getattr(CPU, field.name)}, GPU {getattr(GPU, field.name)})".replace("%", "%%")
        if hints[field.name] is bool:
            parser.add_argument(option, action=argparse.BooleanOptionalAction, help=about)
        elif get_args(hints[field.name]) and hints[field.name].__class__ is type(Literal["a"]):
            parser.add_argument(option, choices=get_args(hints[field.name]), help=about)
        elif field.name in ("channels", "critic", "joint_presets"):
            parser.add_argument(option, help=f"with commas {about}")
        else:
            parser.add_argument(option, type=hints[field.name], help=about)
    asked = parser.parse_args()
    if asked.seeds < 1:
        raise UsageError(f"{asked.seeds} seeds: at least one")
    sizes = GPU if _cuda(asked.accelerator) else CPU
    changes = {f.name: getattr(asked, f.name) for f in fields(Sizes) if getattr(asked, f.name) is not None}
    for name in ("channels", "critic"):
        if name in changes:
            changes[name] = tuple(int(width) for width in changes[name].split(","))
    if "joint_presets" in changes:
        changes["joint_presets"] = tuple(name for name in changes["joint_presets"].split(",") if name)
    if unknown := set(changes.get("joint_presets", ())) - set(joint.PRESETS):
        raise UsageError(f"joint presets {', '.join(sorted(unknown))}: of {', '.join(joint.PRESETS)}")
    # The record says what was asked for, not where it lay.
    own = {f.name for f in fields(Sizes)} | {"seeds", "accelerator"}
    asked.given = [
        word
        for name, value in vars(asked).items()
        if name in own and value not in (None, parser.get_default(name))
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]
    return asked, replace(sizes, **changes)


if __name__ == "__main__":
    main()
