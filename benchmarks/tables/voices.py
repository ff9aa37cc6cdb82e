"""Tables of what a voice tells, on speakers never trained on, and of trainings."""

from collections.abc import Callable
from typing import Any, Final

from benchmarks.record import load
from benchmarks.tables.cells import percent


def sex() -> str:
    """Sex of the face against sex of the speaker."""
    measured = load("librispeech")["measured"]
    lines = [
        "| on speakers never trained on | agrees with the speaker's sex | 95 % interval | always the commoner sex |",
        "|---|---|---|---|",
    ]
    for key, name in (("sex_of_mesh_held_out", "mesh"), ("sex_of_picture_held_out", "picture")):
        row = measured[key]
        low, high = row["speakers_95"]
        lines.append(
            f"| {name} | {row['right_speakers']} of {row['all_speakers']} speakers ({percent(row['recordings'])} of "
            f"recordings) | {percent(low)} – {percent(high)} | {percent(row['always_the_commoner_sex'])} |"
        )
    return "\n".join(lines)


def listening() -> str:
    """Further measurements on speakers the default bundle was not trained on."""
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


_ENCODERS: Final = {"ours": "voxface", "before": "voxface 0.2.0", "teacher": "Resemblyzer, its teacher"}


def voice_encoder() -> str:
    """How well encoders tell speakers apart."""
    measured = load("voice_encoder")["measured"]
    encoders, lines = _beside_each_other(measured, "equal error rate / AUC", "chance")
    ours = measured["ours"]
    for group, row in ours.items():
        if "eer" not in row or any(row == ours[earlier] for earlier in list(ours)[: list(ours).index(group)]):
            continue  # a language that is a set of its own has been shown
        words = _group_in_words(group)
        cells = []
        for name in encoders:
            of = measured[name].get(group)
            if of is None:
                cells.append("–")
                continue
            rate, low, high = of["eer"]
            cells.append(f"{percent(rate)} ({percent(low)} – {percent(high)}) / {of['auc'][0]:.4f}")
        lines.append(f"| {words}, {row['speakers']} speakers | {' | '.join(cells)} | 50 % / 0.5 |")
    return "\n".join(lines)


def voice_encoder_deeper() -> str:
    """The default bundle's encoder beside one of the present recipe, which is not shipped."""
    shipped, deeper = load("voice_encoder")["measured"]["ours"], load("voice_encoder_deeper")["measured"]["ours"]
    lines = [
        "| equal error rate / AUC | shipped, one block | three blocks, formants moved | chance |",
        "|---" * 4 + "|",
    ]
    for group in ("librispeech", "many", "telephone"):
        cells = []
        for found in (shipped, deeper):
            rate, low, high = found[group]["eer"]
            cells.append(f"{percent(rate)} ({percent(low)} – {percent(high)}) / {found[group]['auc'][0]:.4f}")
        lines.append(f"| {_group_in_words(group)} | {' | '.join(cells)} | 50 % / 0.5 |")
    return "\n".join(lines)


def _beside_each_other(measured: dict[str, Any], first: str, last: str) -> tuple[list[str], list[str]]:
    """The encoders that were measured, and the head of a table with a column for each, between two others."""
    encoders = [name for name in _ENCODERS if name in measured]
    heads = [first, *(_ENCODERS[name] for name in encoders), last]
    return encoders, [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]


def _group_in_words(group: str) -> str:
    """What a group of test voices is called in a table."""
    known = {
        "librispeech": "LibriSpeech",
        "librispeech halves": "LibriSpeech, halves of recordings",
        "many": "59 languages and other sets",
        "telephone": "all, by telephone",
        "commonvoice61": "of these Common Voice, 59 languages",
        "speech_commands": "of these Speech Commands, one word each",
    }
    return known.get(group, group.replace("language ", "language: "))


def voice_labels() -> str:
    """Sex and age by linear probes on encoders."""
    measured = load("voice_encoder")["measured"]
    encoders, lines = _beside_each_other(measured, "linear probes, test speakers", "trivial")

    def interval(value: float, low: float, high: float) -> str:
        return f"{percent(value)} ({percent(low)} – {percent(high)})"

    for told, what in (("told", ""), ("told by telephone", ", by telephone")):
        rows = [measured[name].get(told) for name in encoders]
        first = next(row for row in rows if row)
        cells = ["–" if row is None else interval(*row["sex"]["share"]) for row in rows]
        lines.append(
            f"| sex{what}, {first['sex']['speakers']} adults with 5 s or more | {' | '.join(cells)} | "
            f"{percent(first['sex']['commoner'])} |"
        )
    rows = [measured[name]["told"] for name in encoders]
    cells = ["{:.2f} ({:.2f} – {:.2f}) years".format(*row["age"]["mean_absolute_error"]) for row in rows]
    age = rows[0]["age"]
    lines.append(
        f"| age, mean error, {age['speakers']} speakers | {' | '.join(cells)} | {age['mean_age'][0]:.2f} years, mean age |"
    )
    return "\n".join(lines)


def confidence() -> str:
    """Separation of speech from other sound by the confidence."""
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
                f"| {name}, {row['steps']} {what} | {row['frechet']:.0f} | {percent(row['identity_top1'])} / "
                f"{percent(row['identity_top5'])} | {percent(row['sex_unknown_people'])} | "
                f"{measured['step_time'][name]['median_s']:.3f} |"
            )
    lines += [
        f"| the mean picture | {trivial['frechet_mean_picture']:.0f} | – | – | – |",
        f"| chance | – | {percent(trivial['identity_top1_chance'])} | {percent(trivial['sex_chance'])} | – |",
        f"| real pictures | {trivial['frechet_real_halves']:.0f} | {percent(trivial['identity_top1_real_pictures'])} | "
        f"{percent(trivial['sex_unknown_people_real_pictures'])} | – |",
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
        f"| method, mean ± sd of {seeds} worlds | mean ARE | gain over the cascade | mesh, mm RMS | "
        "nearer than the mean face of the sex heard, mm (95 %) |",
        "|---|---|---|---|---|",
    ]
    trained = [name for name in measured["methods"] if name.startswith(("supervised", "joint"))]
    nearer = [name for name in trained if measured["met"][name]["beats_it_in_mm"]]
    for name, row in measured["methods"].items():
        gain, below = row["gain_over_cascade"], row["mm_below_sex_heard"]
        lines.append(
            f"| {name} | {100 * row['are']['mean']:.2f} ± {100 * row['are']['sd']:.2f} % | "
            + ("–" if name == "cascade" else f"{100 * gain['mean']:+.1f} ± {100 * gain['sd']:.1f} %")
            + f" | {row['rms_mm']['mean']:.2f} ± {row['rms_mm']['sd']:.2f} | "
            + (
                "–"
                if name == "mean face of the sex heard"
                else f"{below['mean']:+.2f} ({below['low']:+.2f} to {below['high']:+.2f})"
            )
            + " |"
        )
    people = measured["people"]
    beaten = [name for name in trained if name not in nearer]
    lines += [
        "",
        "In millimetres, "
        + (f"**{_listed(nearer)} beat{'s' * (len(nearer) == 1)} the mean face of the sex heard**" if nearer else "")
        + ("; " if nearer and beaten else "")
        + (f"**{_listed(beaten)} do{'es' * (len(beaten) == 1)} not beat it**" if nearer and beaten else "")
        + ("**no trained method beats the mean face of the sex heard**" if not nearer else "")
        + ": the interval over speakers lies above 0, or not.",
        "",
        f"{people['train']} people to learn from and {people['test']} to measure in each world; {measured['device']}. Wu 2022, "
        "Table 1, real people and another face model: cascade "
        f"{100 * measured['paper']['cascade']:.2f} %, supervised {100 * measured['paper']['supervised']:.2f} %, joint "
        f"{100 * measured['paper']['joint']:.2f} %.",
    ]
    return "\n".join(lines)


def _listed(names: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def measures() -> str:
    """Mean measurements of the faces of held-out women and men."""
    measured = load("librispeech")["measured"]["measurements_held_out"]
    lines = ["| mean over held-out speakers, mm | women | men |", "|---|---|---|"]
    for name, row in measured.items():
        lines.append(f"| {name.replace('_', ' ')} | {row['women_mm']:.1f} | {row['men_mm']:.1f} |")
    return "\n".join(lines)


def worlds() -> str:
    """Share of a face that a voice predicts in each world."""
    measured = load("worlds")["measured"]
    lines = [
        "| coupling | share of ratio variance told, women: ear, forehead, midline, cheek | men | share of mesh variance, "
        "women / men | mean ARE: told the cues | mean face of the sex | mean face | told below mean face of the sex |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in measured["worlds"].items():
        sexes = [row[sex] for sex in ("female", "male")]
        told = [", ".join(f"{100 * v:.0f} %" for v in sex["share_of_ratio_variance"].values()) for sex in sexes]
        mesh = " / ".join(percent(sex["share_of_mesh_variance"]) for sex in sexes)
        are = " | ".join(f"{100 * row['mean_are'][key]:.2f} %" for key in ("told", "sex", "anyone"))
        lines.append(f"| {name} | {' | '.join(told)} | {mesh} | {are} | {percent(row['below_mean_face_per_sex'])} |")
    return "\n".join(lines).replace("-0 %", "0 %")


def cues() -> str:
    """Accuracy of the measured cues."""
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


def face_posterior_told() -> str:
    """How much a voice tells of a face, in the mean over test people."""
    measured = load("face_posterior")["measured"]
    lines = [
        "| share of variance told | " + " | ".join(f"{kind} world (95 %) | within the sex" for kind in measured) + " |"
    ]
    lines.append("|---|" + "---|---|" * len(measured))
    for name in next(iter(measured.values()))["told"]:
        cells = []
        for row in measured.values():
            told = row["told"][name]
            cells.append(f"{percent(told['share'])} ({percent(told['low'])} – {percent(told['high'])})")
            cells.append(percent(told["within_sex"]))
        lines.append(f"| {name.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines).replace("-0.0 %", "0.0 %")


def face_posterior_coverage() -> str:
    """Measurements in central regions of their posterior, beside what should be in them."""
    measured = load("face_posterior")["measured"]
    lines = ["| measurements in the central region of | 50 % | 80 % | 95 % |", "|---|---|---|---|"]
    for kind, world in measured.items():
        for people, row in world["coverage"].items():
            cells = []
            for region in (50, 80, 95):
                low, high = row.get(f"coverage_{region}_interval", (None, None))
                interval = "" if low is None else f" ({percent(low)} – {percent(high)})"
                cells.append(f"{percent(row[f'coverage_{region}'])}{interval}")
            lines.append(f"| {kind} world, {people} | {' | '.join(cells)} |")
    return "\n".join(lines)


def face_posterior_errors() -> str:
    """The error of the mesh beside that of trivial answers."""
    measured = load("face_posterior")["measured"]
    names = {
        "mesh": "mesh",
        "mesh_before_shrinkage": "mesh before",
        "mean_face_of_the_sex_heard": "mean face of the sex heard (trivial)",
        "population_mean_of_the_true_sex": "population's mean of the true sex (oracle)",
        "conditional_mean_of_the_world": "conditional mean of the world (oracle)",
    }
    lines = [
        "| mm RMS over vertices | error | above the trivial answer (95 %) | expected error | above the trivial answer (95 %) |",
        "|---|---|---|---|---|",
    ]
    for kind, world in measured.items():
        for name in world["errors"]:
            cells = _error_cells(world, name)
            lines.append(f"| {kind} world, {names.get(name, name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _error_cells(world: dict[str, Any], name: str) -> list[str]:
    """Errors of an answer, and how much they are above those of the trivial one."""
    cells = []
    for kind in ("errors", "expected_errors"):
        row = world[kind][name]
        low, high = row["above_trivial_95"]
        trivial = name == "mean_face_of_the_sex_heard"
        above = "–" if trivial else f"{row['above_trivial_mm']:+.3f} ({low:+.3f} – {high:+.3f})"
        cells += [f"{row['rms_mm']:.3f}", above]
    return cells


def mesh() -> str:
    """The error of the default bundle's mesh beside trivial answers."""
    world = load("face_posterior")["measured"]["paired"]
    names = {
        "mesh": "the mesh",
        "mean_face_of_the_sex_heard": "mean face of the sex heard (trivial)",
        "population_mean_of_the_true_sex": "mean face of the speaker's own sex (oracle)",
    }
    lines = [
        "| mesh, mm RMS | error | above the trivial answer (95 %) | expected | above the trivial answer (95 %) |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {words} | {' | '.join(_error_cells(world, name))} |" for name, words in names.items()]
    return "\n".join([*lines, "", f"{world['speakers']} test speakers."])


TABLES: Final[dict[str, Callable[[], str]]] = {
    "sex": sex,
    "listening": listening,
    "voice-encoder": voice_encoder,
    "voice-encoder-deeper": voice_encoder_deeper,
    "mesh": mesh,
    "voice-labels": voice_labels,
    "confidence": confidence,
    "face-gan": face_gan,
    "synthetic-world": synthetic_world,
    "measures": measures,
    "worlds": worlds,
    "worlds-cues": cues,
    "face-posterior-told": face_posterior_told,
    "face-posterior-coverage": face_posterior_coverage,
    "face-posterior-errors": face_posterior_errors,
}
