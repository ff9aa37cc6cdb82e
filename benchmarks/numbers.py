"""Writes the numbers of README and docs from the results: every table between two `numbers:` comments, and every plot.

python -m benchmarks.numbers [--check]
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import performance
from benchmarks.plots import PLOTS
from benchmarks.record import load
from voxface.runtime.atomic import write_bytes

ROOT = Path(__file__).parent.parent
PAGES = (
    ROOT / "README.md",
    *(
        ROOT / "docs" / f"{name}.md"
        for name in (
            "faces",
            "fitting",
            "face-models",
            "training",
            "worlds",
            "precision",
            "live",
            "profiling",
            "performance",
        )
    ),
)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def sex() -> str:
    """What a voice tells: sex of the face against sex of the speaker."""
    measured = load("librispeech")["measured"]
    lines = [
        "| on speakers never trained on | agrees with the speaker's sex | 95 % interval | always the commoner sex |",
        "|---|---|---|---|",
    ]
    for key, name in (("sex_of_mesh_held_out", "mesh"), ("sex_of_picture_held_out", "picture")):
        row = measured[key]
        low, high = row["speakers_95"]
        lines.append(
            f"| {name} | {row['right_speakers']} of {row['all_speakers']} speakers ({_percent(row['recordings'])} of "
            f"recordings) | {_percent(low)} – {_percent(high)} | {_percent(row['always_the_commoner_sex'])} |"
        )
    return "\n".join(lines)


def listening() -> str:
    """What else the default bundle does with speakers it was not trained on."""
    measured = load("librispeech")["measured"]
    told, sure, faces = (
        measured[f"{name}_held_out"] for name in ("same_speaker", "sex_probability", "faces_of_one_speaker")
    )
    low, high = told["auc_95"]
    lines = [
        "| on speakers never trained on | measured | trivial |",
        "|---|---|---|",
        f"| two recordings are of one speaker, AUC ({told['speakers_with_several_recordings']} speakers with "
        f"{told['recordings_of_these']} recordings, beside {told['speakers']}) | {told['auc']:.3f} "
        f"(95 %: {low:.3f} – {high:.3f}) | {told['chance']} |",
        f"| probability of the sex, mean -log | {sure['log_loss']:.3f} | {sure['log_loss_of_a_coin']:.3f} (a coin) |",
        f"| right where it is given as 95 % or more | {sure['right_of_these']} of "
        f"{sure['recordings_at_95_percent_or_more']} recordings | – |",
    ]
    for what, name, unit in (("vertices", "meshes", "mm"), ("image", "pictures", "of 255")):
        row = faces[what]
        lines.append(
            f"| {name} of two speakers differ more than {name} of one speaker, RMS | {row['ratio']:.1f} times "
            f"({row['between_speakers']:.2f} and {row['within_speakers']:.2f} {unit}) | 1 |"
        )
    return "\n".join(lines)


def confidence() -> str:
    """How well the confidence tells speech from what is none."""
    measured = load("confidence")["measured"]
    lines = ["| confidence of speech above that of | AUC | 95 % interval | clips |", "|---|---|---|---|"]
    for name, row in measured["against"].items():
        low, high = row["auc_95"]
        lines.append(f"| {name.replace('_', ' ')} | {row['auc']:.3f} | {low:.3f} – {high:.3f} | {row['clips']} |")
    return "\n".join(lines)


def face_gan() -> str:
    """Both presets of the face GAN on the same pairs."""
    document = load("face_gan")
    measured = document["measured"]
    trivial = measured["trivial"]
    lines = [
        "| | FID-like distance | identity of known people, first of "
        f"{measured['people']['train']} / of first five | sex of unknown people | s a step |",
        "|---|---|---|---|---|",
    ]
    for budget, what in (("same_steps", "steps"), ("same_time", "steps in the time of wen2019")):
        for name, row in measured[budget].items():
            lines.append(
                f"| {name}, {row['steps']} {what} | {row['frechet']:.0f} | {_percent(row['identity_top1'])} / "
                f"{_percent(row['identity_top5'])} | {_percent(row['sex_unknown_people'])} | "
                f"{measured['step_time'][name]['median_s']:.3f} |"
            )
    lines += [
        f"| the mean picture | {trivial['frechet_mean_picture']:.0f} | – | – | – |",
        f"| chance | – | {_percent(trivial['identity_top1_chance'])} | {_percent(trivial['sex_chance'])} | – |",
        f"| real pictures | {trivial['frechet_real_halves']:.0f} | {_percent(trivial['identity_top1_real_pictures'])} | "
        f"{_percent(trivial['sex_unknown_people_real_pictures'])} | – |",
        "",
        f"{measured['pairs']['kind'].capitalize()} people, {measured['people']['train']} to learn from; batch "
        f"{measured['batch']}, generator {measured['channels']}, critic {measured['critic']}; {measured['device']}. Plain "
        f"eager `modern` takes {measured['speed_up_over_plain_eager']:.2f} times as long a step.",
    ]
    return "\n".join(lines)


def synthetic_world() -> str:
    """Wu 2022's Table 1 on people whose true faces are known."""
    measured = load("synthetic_world")["measured"]
    seeds = len(measured["hearing"])
    lines = [
        f"| method, mean ± sd of {seeds} worlds | mean ARE | gain over the cascade | mesh, mm RMS |",
        "|---|---|---|---|",
    ]
    for name, row in measured["methods"].items():
        gain = row["gain_over_cascade"]
        lines.append(
            f"| {name} | {100 * row['are']['mean']:.2f} ± {100 * row['are']['sd']:.2f} % | "
            + ("–" if name == "cascade" else f"{100 * gain['mean']:+.1f} ± {100 * gain['sd']:.1f} %")
            + f" | {row['rms_mm']['mean']:.2f} ± {row['rms_mm']['sd']:.2f} |"
        )
    people = measured["people"]
    lines += [
        "",
        f"{people['train']} people to learn from and {people['test']} to measure in each world; {measured['device']}. Wu 2022, "
        "Table 1, real people and another face model: cascade "
        f"{100 * measured['paper']['cascade']:.2f} %, supervised {100 * measured['paper']['supervised']:.2f} %, joint "
        f"{100 * measured['paper']['joint']:.2f} %.",
    ]
    return "\n".join(lines)


def measures() -> str:
    """Mean measurements of the faces of held-out women and men."""
    measured = load("librispeech")["measured"]["measurements_held_out"]
    lines = ["| mean over held-out speakers, mm | women | men |", "|---|---|---|"]
    for name, row in measured.items():
        lines.append(f"| {name.replace('_', ' ')} | {row['women_mm']:.1f} | {row['men_mm']:.1f} |")
    return "\n".join(lines)


def first_face() -> str:
    """Cold start."""
    document = load("first_face")
    row, machine = document["measured"], document["machine"]
    return (
        f"Process start to all files of the first face of an 8 s clip: {row['voxface_s']['p50']:.2f} s "
        f"(median of {row['rounds']}; {machine['cores']} cores of {machine['cpu']}); to import numpy, ONNX Runtime, soundfile "
        f"and WebRTC's VAD alone takes {row['imports_alone_s']['p50']:.2f} s of these. The same networks in eager PyTorch, "
        f"which write the picture only: {row['pytorch_eager_s']['p50']:.2f} s in the same run, {row['ratio']['p50']:.1f} times "
        f"as long.{_busy(row)}"
    )


def _busy(measured: dict[str, Any]) -> str:
    """What a table says where other programs slowed the benchmark down."""
    return (
        f" Of both cores, other programs had {measured['cores_taken_by_others']:.0%}." if "warning" in measured else ""
    )


def faces() -> str:
    """The embedded model's population beside the surveys."""
    statistics = load("faces")["measured"]["statistics"]
    lines = [
        "| mm, mean ± sd | women | published | men | published | source |",
        "|---|---|---|---|---|---|",
    ]
    for name in statistics["female"]["measures"]:
        rows = [statistics[sex]["measures"][name] for sex in ("female", "male")]
        cells = []
        for row in rows:
            cells.append(f"{row['mean_mm']:.1f} ± {row['sd_mm']:.2f}")
            known = "survey" in row
            cells.append(f"{row['survey_mean_mm']:.1f} ± {row['survey_sd_mm']:.2f}" if known else "–")
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} | {rows[0].get('survey', '–')} |")
    return "\n".join(lines)


def faces_fit() -> str:
    """How near the population comes to ANSUR II, and what 40 modes leave out."""
    measured = load("faces")["measured"]
    rows = [
        row
        for sex in measured["statistics"].values()
        for row in sex["measures"].values()
        if row.get("survey") == "ANSUR II"
    ]
    mean = max(abs(row["mean_mm"] - row["survey_mean_mm"]) for row in rows)
    deviation = max(abs(row["sd_mm"] / row["survey_sd_mm"] - 1) for row in rows)
    correlation = max(sex["largest_correlation_error"] for sex in measured["statistics"].values())
    left = measured["projection"]
    lost = {name: share for sex in left["sd_lost"].values() for name, share in sex.items()}
    worst = max(lost, key=lambda name: max(sex[name] for sex in left["sd_lost"].values()))
    shares = [sex[worst] for sex in left["sd_lost"].values()]
    return (
        f"Largest errors against ANSUR II over both sexes: mean {mean:.2f} mm, standard deviation {_percent(deviation)}, "
        f"correlation {correlation:.3f}.\n\n"
        f"The population before the PCA has {left['directions'][0]} directions a sex. "
        f"{measured['model']['identity_modes']} modes keep {_percent(left['variance_kept'])} of its variance and leave out "
        f"{left['left_out_rms_mm']:.2f} mm RMS of {left['whole_rms_mm']:.2f}; the measure that loses most is "
        f"{worst.replace('_', ' ')}, {_percent(shares[0])} of its standard deviation in women and {_percent(shares[1])} in "
        "men. The last step gives the loss in the measures back within the modes; the table is measured after it."
    )


def faces_intersections() -> str:
    """How many faces pass through themselves."""
    counts = load("faces")["measured"]["intersections"]
    lines = ["| faces of 1,000 with an intersection | lids and eyeballs | upper and lower lip | ears and skull |"]
    lines.append("|---|---|---|---|")
    for key, name in (("neutral", "neutral"), ("with_expressions", "every expression drawn, standard deviation 0.35")):
        row = counts[key]
        lines.append(f"| {name} | {row['lids']} | {row['lips']} | {row['ears']} |")
    full = counts["each_expression_at_full_strength"].values()
    lines.append(
        f"| the mean face with each of the {len(full)} expressions at full strength (of {len(full)}) | "
        + " | ".join(str(sum(row[kind] > 0 for row in full)) for kind in ("lids", "lips", "ears"))
        + " |"
    )
    return "\n".join(lines)


def faces_ict() -> str:
    """The spread of the 68 landmarks beside ICT-FaceKit's."""
    measured = load("faces")["measured"]["ict"]
    lines = [
        "| 68 landmarks, mm RMS about their mean | all | jaw | brows | nose | eyes | mouth | first 1 / 5 / 10 modes |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, how in (("rigid", "turned and shifted"), ("one_size", "also brought to one size")):
        for key, name in (("ours", "embedded"), ("ict", f"ICT-FaceKit, {measured['ict_modes']} modes")):
            row = measured[kind][key]
            cells = [f"{row[part]:.1f}" for part in ("rms_mm", "jaw", "brows", "nose", "eyes", "mouth")]
            shares = " / ".join(f"{100 * row['share_of_first_modes'][k]:.0f} %" for k in ("1", "5", "10"))
            lines.append(f"| {name}, {how} | {' | '.join(cells)} | {shares} |")
    return "\n".join(lines)


def fitting() -> str:
    """How near fits to 68 landmarks come to known faces, and how many a second."""
    document = load("fitting")
    measured, machine = document["measured"], document["machine"]

    def cell(row: dict[str, Any]) -> str:
        low, high = row["mm_95"]
        return f"{row['mm']:.2f} ({low:.2f} – {high:.2f})" if row["mm"] >= 0.005 else "< 0.01"

    lines = [
        "| median vertex error, mm | determined directions (by half) | in the determined span | pose removed | size kept | "
        "mean face, pose removed | mean face, size kept | yaw, pitch, roll off by, ° | not converged |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, model in measured["models"].items():
        for noise, row in model["rows"].items():
            known, half = row["determined_directions"], row["half_determined_directions"]
            kinds = ("pose_removed", "size_kept", "mean_face_pose_removed", "mean_face_size_kept")
            cells = [
                f"{name}, {noise}",
                f"{known['p50']:.0f} ({half:.0f}) of {known['of']}",
                cell(row["determined_span"]) if known["p50"] else "–",
                *(cell(row[kind]) for kind in kinds),
                ", ".join(f"{angle:.2f}" for angle in row["angle_deg"].values()),
                f"{row['not_converged']} of {row['faces']}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| faces a second, 1 px | batched, two threads | batched, one thread | one call a face |",
        "|---|---|---|---|",
    ]
    rounds = 0
    for name, row in measured["speed"].items():
        rounds = row["rounds"]
        ways = ("batched_two_threads", "batched_one_thread", "one_call_a_face")
        rates = [f"{row['faces_per_s'][way]['p50']:.0f}" for way in ways]
        lines.append(f"| {name} | {' | '.join(rates)} |")
    load_before = measured["load_average_before"]
    lines += [
        "",
        f"{machine['cores']} cores of {machine['cpu']}; medians of {rounds} rounds, taking turns. Load average of the machine "
        f"before it began: {load_before:.1f}" + ("; others took part of both cores." if load_before > 0.5 else "."),
    ]
    return "\n".join(lines)


def ict_import() -> str:
    """The import of ICT-FaceKit."""
    row = load("ict_import")["measured"]
    mean = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in row["mean_face_mm"].items())
    ratios = ", ".join(f"{name} {value:.3f}" for name, value in row["are_anatomical"].items())
    return (
        f"{row['vertices']:,} vertices, {row['triangles']:,} triangles, {row['identity_modes']} + "
        f"{row['expression_modes']} modes. Vertices of {row['faces_compared']} random faces equal the weighted OBJ files "
        f"to {row['largest_difference_from_weighted_obj_mm']:.1e} mm before the modes are stored in half precision. "
        f"Mean face, mm: {mean}; anatomical ARE ratios: {ratios}. From the default bundle's model, "
        f"{100 * row['identity_explained']:.0f} % of the landmark movement of its identity modes is followed; the two "
        f"models place landmarks of the mean face {row['placement_uncertainty_mm']:.1f} mm apart per coordinate. "
        f"The bundle has {row['bundle_bytes'] / 1e6:.1f} MB."
    )


def worlds() -> str:
    """What a voice tells of a face in each world."""
    measured = load("worlds")["measured"]
    lines = [
        "| coupling | share of ratio variance told, women: ear, forehead, midline, cheek | men | share of mesh variance, "
        "women / men | mean ARE: told the cues | mean face of the sex | mean face | told below mean face of the sex |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in measured["worlds"].items():
        sexes = [row[sex] for sex in ("female", "male")]
        told = [", ".join(f"{100 * v:.0f} %" for v in sex["share_of_ratio_variance"].values()) for sex in sexes]
        mesh = " / ".join(_percent(sex["share_of_mesh_variance"]) for sex in sexes)
        are = " | ".join(f"{100 * row['mean_are'][key]:.2f} %" for key in ("told", "sex", "anyone"))
        lines.append(f"| {name} | {' | '.join(told)} | {mesh} | {are} | {_percent(row['below_mean_face_per_sex'])} |")
    return "\n".join(lines).replace("-0 %", "0 %")


def cues() -> str:
    """How well the cues are heard."""
    measured = load("worlds")["measured"]
    known, twice = measured["cues_heard"], measured["cues_heard_twice"]
    lines = [
        "| correlation within the sex | tract length, women | men | f0, women | men |",
        "|---|---|---|---|---|",
    ]
    for what, rows in (
        (f"measured with true, one synthetic utterance of {known['seconds']:g} s", known),
        ("first with second half of a real recording", twice),
    ):
        cells = [rows[sex][cue]["correlation"] for cue in ("tract_cm", "f0_hz") for sex in ("female", "male")]
        lines.append(f"| {what} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    return "\n".join(lines)


def int8() -> str:
    """INT8 against FP32, side by side."""
    document = load("int8")
    measured, machine = document["measured"], document["machine"]
    kinds = {
        "encoder_800_frames": "voice encoder, 8 s",
        "generator_default_bundle": "generator of the default bundle",
        "generator_full_size": "generator, full size",
    }
    lines = [
        "| ms, fastest run | FP32 | FP32 as convolutions | INT8 | INT8 is faster than FP32 by | than the faster FP32 by | "
        "INT8, GOP/s | MB, FP32 → INT8 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for key, name in kinds.items():
        row = measured[key]
        for threads in (1, 2):
            times = row[f"{threads}_threads"]
            gains = times["speed_up_of_int8_over"]
            convolutions = times.get("fp32_as_convolutions")
            cells = [
                f"{name}, {_threads(threads)}",
                f"{times['fp32']['min_ms']:.2f}",
                format(convolutions["min_ms"], ".2f") if convolutions else "",
                f"{times['int8']['min_ms']:.2f}",
                f"{gains['fp32']:.2f} ×",
                f"{gains['fastest_fp32']:.2f} ×" if convolutions else "",
                f"{times['gigaoperations_per_second']['int8']:.0f}",
                f"{row['megabytes']['fp32']:.1f} → {row['megabytes']['int8']:.1f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"{machine['cores']} cores of {machine['cpu']} ({measured['int8_instructions']}), load average "
            f"{measured['load_average_before']} by other programs; the graphs take turns, {measured['rounds']} times.",
        ]
    )


def int8_plain_layers() -> str:
    """What INT8 can gain at most: plain layers, in the same run."""
    kinds = {"convolution_1d": "1-D, kernel 3, 384 channels, 200 long", "convolution_2d": "2×2, 256 channels, 16×16"}
    lines = ["| GOP/s, four equal convolutions | FP32 | INT8 | INT8 is faster by |", "|---|---|---|---|"]
    plain = load("int8")["measured"]["plain_layers"]
    for key, name in kinds.items():
        for threads in (1, 2):
            times = plain[key][f"{threads}_threads"]
            speed = times["gigaoperations_per_second"]
            lines.append(
                f"| {name}, {_threads(threads)} | {speed['fp32']:.0f} | {speed['int8']:.0f} | "
                f"{times['speed_up_of_int8_over']['fp32']:.2f} × |"
            )
    return "\n".join(lines)


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def no_face() -> str:
    """How often what is no speech gets a face."""
    kinds = load("no_face")["measured"]["kinds"]
    lines = ["| windows of 5 s | how many | with a face | 95 % interval |", "|---|---|---|---|"]
    for name, row in kinds.items():
        low, high = row["interval_95"]
        lines.append(f"| {name} | {row['windows']} | {_percent(row['share'])} | {_percent(low)} – {_percent(high)} |")
    soon = kinds["speech"]
    lines += [
        "",
        f"Of the {soon['windows']} windows of speech {soon['within_1_3_s_of_the_voice']} have their first face within 1.3 s of "
        "the first voice; where a pause falls within the first second, or it does not move as speech does, it takes longer.",
    ]
    return "\n".join(lines)


def speaker_change() -> str:
    """How soon another speaker is noticed, at every threshold."""
    measured = load("speaker_change")["measured"]

    def cell(row: dict[str, Any]) -> str:
        low, high = row["interval_95"]
        return f"{row['count']} of {row['of']} ({_percent(row['share'])}; {_percent(low)} – {_percent(high)})"

    kinds = ("one_recording", "halves", "two_recordings", "moved_halves")
    names = ("noticed_within_2_s", "false_alarms", *(f"false_alarms_{kind}" for kind in kinds))
    lines = [
        "| threshold | noticed within 2 s | false alarms | of one recording | of its halves, swapped | of two of a chapter | "
        "of its halves, one equalised |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in measured["curve"]:
        chosen = " (used)" if row["threshold"] == measured["threshold"] else ""
        cells = [cell(row[name]) for name in names]
        lines.append(f"| {row['threshold']:g}{chosen} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def live_window() -> str:
    """Frames a second of the window."""
    document = load("live_window")
    row, machine = document["measured"], document["machine"]
    total = row["latency_ms"]["total"]
    lost = sum(cause["samples"] for cause in row["counters"]["lost"].values())
    return (
        f"{row['frames_per_s']:.0f} frames a second at {row['size'][0]}×{row['size'][1]}, drawn in software, {lost} samples "
        f"lost, {row['counters']['skipped_estimates']} estimates left out; converter to estimate p50 {total['p50']:.0f} ms, "
        f"p99 {total['p99']:.0f} ms ({machine['cores']} cores of {machine['cpu']}, load average before it began "
        f"{row['load_average_before']:.1f})."
    )


def incremental_cost() -> str:
    """What an update costs in each mode as the window grows."""
    document = load("incremental")
    measured, machine = document["measured"], document["machine"]
    ways = measured["cost"]["ways"]
    windows = [key for key in ways["exact"] if key.endswith("_s") and not key.startswith("growth")]
    lines = [
        "| ms an update (of it the encoder), median | "
        + " | ".join(f"window {key.replace('_', ' ')}" for key in windows)
        + " | 2 s → 8 s | encoder 2 s → 8 s |",
        "|---" * (len(windows) + 3) + "|",
    ]
    names = {"untiled": "the window as it is, all of it", "exact": "mode exact", "incremental": "mode incremental"}
    for way, name in names.items():
        row = ways[way]
        cells = [f"{row[key]['update_ms']['p50']:.1f} ({row[key]['encoder_ms']['p50']:.1f})" for key in windows]
        growth = row["growth_2_s_to_8_s"]
        lines.append(f"| {name} | {' | '.join(cells)} | × {growth['update']:.2f} | × {growth['encoder']:.2f} |")
    lines += [
        "",
        f"One thread on {machine['cores']} cores of {machine['cpu']}, load average before it began "
        f"{measured['load_average_before']:.1f}; {measured['cost']['updates']} updates of every session, in turn. The growth "
        "is the median of the ratios within a turn.",
    ]
    return "\n".join(lines)


def incremental_agreement() -> str:
    """How far mode incremental is from mode exact."""
    measured = load("incremental")["measured"]["agreement"]
    lines = [
        "| speakers never trained on, windows of | estimates | blocks encoded of 32 | cosine to exact, mean | "
        "1st percentile | least | below 0.995 | mesh, mm, median / 99th | picture, dB, median / 1st |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    names = {
        "1_s_to_3_s": "1 s to 3 s",
        "from_3_s_to_8_s": "3 s to 8 s",
        "full_8_s": "8 s, sliding",
        "from_3_s_one_voice": "from 3 s, one voice",
        "from_3_s_with_pauses": "from 3 s, with pauses",
        "from_3_s_after_another_voice": "from 3 s, after another voice",
    }
    for key, name in names.items():
        row = measured[key]
        cosine, mesh, picture = row["cosine"], row["mesh_mm"], row["picture_db"]
        lines.append(
            f"| {name} | {row['estimates']} | {row['blocks']:.0f} | {cosine['mean']:.4f} | {cosine['p1']:.4f} | "
            f"{cosine['least']:.4f} | {_percent(cosine['share_below_0.995'])} | {mesh['p50']:.2f} / {mesh['p99']:.2f} | "
            f"{picture['p50']:.0f} / {picture['p1']:.0f} |"
        )
    own, decisions = measured["full_8_s"]["cosine_to_the_estimate_before"], measured["decisions"]
    lines += [
        "",
        f"Of a sliding window, mode exact agrees with its own estimate 100 ms before at a cosine of "
        f"{own['exact']['mean']:.4f} (1st percentile {own['exact']['p1']:.4f}), mode incremental with its own at "
        f"{own['incremental']['mean']:.4f} ({own['incremental']['p1']:.4f}). The likeness to speech is the same in both, to "
        f"the bit; the confidence differs by less than {decisions['confidence_p99']:.3f} in 99 of 100 estimates; the evidence "
        f"of another speaker by {decisions['evidence_of_another_speaker_p50']:.2f} (median), "
        f"{decisions['evidence_of_another_speaker_p99']:.2f} (99th percentile).",
    ]
    return "\n".join(lines)


def still() -> str:
    """What keeping a picture saves, and costs."""
    measured = load("still")["measured"]
    lines = [
        "| embedding may move | pictures kept | levels of 255 off, mean | worst | dB, median | worst |",
        "|---|---|---|---|---|---|",
    ]
    for distance, row in measured["distances"].items():
        name = f"**{distance}**" if float(distance) == measured["threshold"] else distance
        levels, decibels = row["levels_of_255"], row["psnr_db"]
        lines.append(
            f"| {name} | {_percent(row['kept'])} | {levels['mean']:.2f} | {levels['worst']:.2f} | {decibels['median']:.0f} | "
            f"{decibels['worst']:.0f} |"
        )
    return "\n".join(lines)


def live_soak() -> str:
    """A long session on virtual time."""
    row = load("live_soak")["measured"]
    counters = row["counters"]
    return (
        f"{row['hours']:g} simulated hours, {row['samples']:,} samples, {counters['estimates']:,} estimates, "
        f"{counters['speaker_changes']} changes of speaker noticed: memory {row['memory_growth_mb']:+.1f} MB between a "
        f"quarter of them and the end, indices off by {row['index_error']}, {row['gaps']} gaps, a device that runs "
        f"{row['drift_ppm']['true']:g} parts in a million too fast is found to run {row['drift_ppm']['measured']:.2f} too fast."
    )


def profile() -> str:
    """What `voxface profile` prints."""
    measured = load("profile")["measured"]
    return "\n".join(["```", f"$ {measured['ran']}", *measured["printed"], "```"])


TABLES: dict[str, Callable[[], str]] = {
    "sex": sex,
    "listening": listening,
    "confidence": confidence,
    "face-gan": face_gan,
    "synthetic-world": synthetic_world,
    "measures": measures,
    "first-face": first_face,
    "faces": faces,
    "faces-fit": faces_fit,
    "faces-intersections": faces_intersections,
    "faces-ict": faces_ict,
    "fitting": fitting,
    "ict-import": ict_import,
    "worlds": worlds,
    "worlds-cues": cues,
    "int8": int8,
    "int8-plain-layers": int8_plain_layers,
    "no-face": no_face,
    "speaker-change": speaker_change,
    "live-window": live_window,
    "live-soak": live_soak,
    "profile": profile,
    "incremental-cost": incremental_cost,
    "incremental-agreement": incremental_agreement,
    "still": still,
    **performance.TABLES,
}


def fill(text: str) -> str:
    """The page with every block between `<!-- numbers:NAME -->` and `<!-- /numbers -->` written anew."""
    return re.sub(
        r"(<!-- numbers:([\w-]+) -->\n).*?(<!-- /numbers -->)",
        lambda match: f"{match[1]}{TABLES[match[2]]()}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def written() -> dict[Path, str]:
    """Every page with its numbers, and every plot, as the results have them."""
    return {
        **{page: fill(page.read_text()) for page in PAGES},
        **{ROOT / "docs" / name: plot() for name, plot in PLOTS.items()},
    }


def stale() -> list[Path]:
    """Pages whose numbers, and plots whose lines, are not those of the results."""
    return [path for path, text in written().items() if not path.exists() or path.read_text() != text]


def main() -> int:
    """Writes pages and plots, or with --check only says which are stale."""
    texts = written()
    for path in stale():
        print(path.relative_to(ROOT))
        if "--check" in sys.argv:
            return 1
        write_bytes(path, texts[path].encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
