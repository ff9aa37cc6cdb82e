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
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import torch

from benchmarks.known_faces.comparison import summary, table, verdict
from benchmarks.known_faces.methods import measured
from benchmarks.known_faces.sizes import CPU, GPU, Sizes
from benchmarks.known_faces.stages import expert_folder, on_gpu, trained_expert, world
from benchmarks.record import record
from voxface.runtime.errors import UsageError
from voxface.training.engine.trained_networks import describe
from voxface.training.trainers import joint

PAPER = {"cascade": 0.0302, "supervised": 0.0241, "joint": 0.0251}  # Wu 2022, Table 1: real people, another face model


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
        "device": "cuda" if on_gpu(asked.accelerator) else "cpu",
        "minutes_of_this_run": (time.monotonic() - began) / 60,
        "people": {split: len(worlds[0].split(split)) for split in ("train", "validation", "test")},
        "expert": describe(expert_folder(asked)).get("metrics", {}),
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


def _plain(value: Any) -> Any:
    """Rounded to six decimals, as JSON holds it."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value


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
    sizes = GPU if on_gpu(asked.accelerator) else CPU
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
