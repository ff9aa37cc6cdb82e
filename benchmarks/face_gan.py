"""Both presets of the face GAN on the same pairs: `wen2019`, the published training, and `modern`.

    python -m benchmarks.face_gan --pairs DIR --encoder CHECKPOINT [--steps 20000 | --minutes 60] [--batch 128]
        [--channels 1024,512,256,128,64] [--critic 32,64,128,256,512] [--accelerator auto] [--out DIR]

On a GPU the defaults are the full networks; on a CPU give fewer steps and narrower ones (`--steps 300 --batch 32 --channels
256,192,128,64,32`).

* **Step time**: the presets take turns, a few steps each, many times; a third one in turn is `modern` in plain eager PyTorch
  (single precision, no compiling, torch's usual memory layout, the encoder run at every step), so that the effect
  of speed alone can be seen. A step includes everything: drawing the batch, both updates, and waiting for the losses.
* **Same steps**: both are trained for `--steps`.
* **Same time**: both get the wall-clock time that `wen2019` needs for these steps (or `--minutes`); the time to encode
  `modern`'s bank of voices is subtracted from its share. The number of steps follows from the measured step time, so other
  load on the machine changes nothing.

One judge, trained once on real pictures only (`training.evaluation.pictures.picture_judge`), rates both on recordings that
neither was trained on: FID-like distance (lower is better; not comparable with FIDs elsewhere), identity of training people,
sex of validation people. Trivial methods are reported as well.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import record
from voxface.training.data.pairs import Pairs
from voxface.training.data.voice_face_sampler import held_out_recordings
from voxface.training.engine.run import Run, RunConfig
from voxface.training.engine.trained_networks import load_network
from voxface.training.evaluation.pictures.picture_judge import PictureJudge
from voxface.training.models.frozen import Frozen
from voxface.training.trainers.face_gan import (
    PRESETS,
    FaceGan,
    FaceGanConfig,
    settings,
    train_face_gan,
    voice_face_sampler,
)

PRESET_NAMES = ("wen2019", "modern")
TOLD = ("frechet", "identity_top1", "identity_top5", "sex_unknown_people", "sex_known_people")


def main() -> None:
    """Runs the benchmark and records it."""
    asked = _arguments()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    pairs = Pairs.load(asked.pairs)
    encoder = load_network(asked.encoder, "encoder")
    configs = {name: _config(PRESETS[name], asked) for name in PRESET_NAMES}
    plain = replace(configs["modern"], mixed=False, channels_last=False, compiled="off", bank=0)
    with tempfile.TemporaryDirectory() as temporary:
        out = asked.out or Path(temporary)
        device = torch.device("cuda" if asked.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
        print("judge", flush=True)
        judge = PictureJudge.train(pairs, configs["modern"].judge, device=device)
        print(json.dumps(judge.report), flush=True)
        times, bank = step_times(
            pairs, encoder, {**configs, "modern, plain eager": plain}, out / "time", asked.rounds, asked.each
        )
        print(json.dumps(times), flush=True)
        seconds = {name: times[name]["median_s"] for name in PRESET_NAMES}
        budget = asked.minutes * 60 if asked.minutes else asked.steps * seconds["wen2019"]
        in_time = {name: max(1, int((budget - bank[name]) / seconds[name])) for name in PRESET_NAMES}
        quality: dict[str, dict[str, Any]] = {"same_steps": {}, "same_time": {}}
        for name, config in configs.items():
            goals = {"same_steps": asked.steps, "same_time": in_time[name]}
            resume = False
            for goal, steps in sorted(goals.items(), key=lambda item: item[1]):
                train_face_gan(
                    pairs,
                    encoder,
                    replace(config, steps=steps),
                    out / name,
                    judge=judge,
                    resume=resume,
                    say=lambda line: print(line, flush=True),
                )
                resume = True
                metrics = json.loads((out / name / "checkpoint.json").read_text())["metrics"]
                quality[goal][name] = {"steps": steps, **{key: metrics[key] for key in TOLD}}
                trivial, unheard = metrics["trivial"], metrics["unheard_recordings"]
    record(
        "face_gan",
        f"python -m benchmarks.face_gan {asked.command_line}",
        {
            "pairs": {"name": pairs.about.get("name"), "kind": pairs.kind, "digest": pairs.digest[:16]},
            "people": {split: len(pairs.split(split)) for split in ("train", "validation")},
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "batch": asked.batch,
            "channels": list(configs["modern"].channels),
            "critic": list(configs["modern"].critic),
            "step_time": times,
            "speed_up_over_wen2019": seconds["wen2019"] / seconds["modern"],
            "speed_up_over_plain_eager": times["modern, plain eager"]["median_s"] / seconds["modern"],
            "bank_s": bank["modern"],
            "budget_s": budget,
            **quality,
            "trivial": trivial,
            "unheard_recordings": unheard,
            "judge": judge.report,
        },
        ("numpy", "torch", "lightning-fabric"),
    )


def step_times(
    pairs: Pairs,
    encoder: torch.nn.Module,
    configs: dict[str, FaceGanConfig],
    folder: Path,
    rounds: int,
    each: int,
) -> tuple[dict[str, Any], dict[str, float]]:
    """Seconds a step by config (median, quartiles over rounds, pictures a second), taken in turns, and seconds that
    preparing its voices took."""
    steps: dict[str, Callable[[], None]] = {}
    prepared: dict[str, float] = {}
    for name, config in configs.items():
        steps[name], prepared[name] = _stepper(pairs, encoder, config, folder / name.replace(", ", "-"))
    for step in steps.values():
        for _ in range(3):  # compiling, choosing algorithms
            step()
    taken: dict[str, list[float]] = {name: [] for name in configs}
    for round_ in range(rounds):
        for name in list(steps)[:: 1 if round_ % 2 else -1]:
            began = time.perf_counter()
            for _ in range(each):
                steps[name]()
            taken[name].append((time.perf_counter() - began) / each)
    measured = {}
    for name, seconds in taken.items():
        low, middle, high = statistics.quantiles(seconds, n=4)
        measured[name] = {
            "median_s": middle,
            "quartiles_s": [low, high],
            "pictures_per_s": configs[name].batch / middle,
            "rounds": rounds,
            "steps_a_round": each,
        }
    return measured, prepared


def _stepper(
    pairs: Pairs, encoder: torch.nn.Module, config: FaceGanConfig, folder: Path
) -> tuple[Callable[[], None], float]:
    """One step at a time, as `train_face_gan` does it, and the seconds its voices took to prepare."""
    run = Run(folder, config, settings(config))
    frozen_encoder = Frozen(encoder).to(run.device)
    began = time.perf_counter()
    sampler = voice_face_sampler(
        pairs, frozen_encoder, config, held_out_recordings(pairs, pairs.split("train")), run.device
    )
    prepared = time.perf_counter() - began
    width = sampler.draw(1, "independent", 0.0, run.random(0)).embedding.shape[1]
    gan = FaceGan(run, config, len(sampler.people), width, sampler.mean_colour)
    number = -1

    def step() -> None:
        nonlocal number
        number += 1
        losses = gan.step(number, sampler.draw(config.batch, config.sampling, config.flip, run.random(number)))
        torch.stack(list(losses.values())).tolist()  # waits, as the check for NaN does

    return step, prepared


def _config(preset: FaceGanConfig, asked: argparse.Namespace) -> FaceGanConfig:
    run = RunConfig(
        seed=asked.seed,
        accelerator=asked.accelerator,
        sample_every=max(1, asked.steps // 5),
        checkpoint_every=max(1, asked.steps // 5),
    )
    judge = replace(preset.judge, steps=asked.judge_steps) if asked.judge_steps else preset.judge
    return replace(
        preset,
        run=run,
        batch=asked.batch,
        channels=asked.channels,
        critic=asked.critic,
        validate_every=max(1, asked.steps // 5),
        bank=min(preset.bank, asked.bank),
        judge=judge,
    )


def _arguments() -> argparse.Namespace:
    def widths(text: str) -> tuple[int, ...]:
        return tuple(map(int, text.split(",")))

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    preset = PRESETS["wen2019"]
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, help="of training each; default: what wen2019 needs for --steps")
    parser.add_argument("--batch", type=int, default=preset.batch)
    parser.add_argument("--channels", type=widths, default=preset.channels)
    parser.add_argument("--critic", type=widths, default=preset.critic)
    parser.add_argument("--bank", type=int, default=PRESETS["modern"].bank, help="crops of each recording at most")
    parser.add_argument("--judge-steps", type=int, help="default: the preset's")
    parser.add_argument("--rounds", type=int, default=15, help="of the step-time measurement")
    parser.add_argument("--each", type=int, default=10, help="steps a round")
    parser.add_argument("--accelerator", default="auto")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where the runs and their sample sheets go; default: thrown away")
    asked = parser.parse_args()
    # The record says what was asked for, not where it lay.
    given = {
        key: value
        for key, value in vars(asked).items()
        if key not in ("pairs", "encoder", "out", "threads") and value != parser.get_default(key)
    }
    words = [
        f"--{key.replace('_', '-')} {','.join(map(str, value)) if isinstance(value, tuple) else value}"
        for key, value in given.items()
    ]
    asked.command_line = " ".join(["--pairs DIR --encoder CHECKPOINT", *words])
    return asked


if __name__ == "__main__":
    main()
