"""Tables of live sessions: when there is a face, speaker changes, mode incremental, the profile."""

from collections.abc import Callable
from typing import Any, Final

from benchmarks.record import load
from benchmarks.tables.cells import percent


def _busy(measured: dict[str, Any]) -> str:
    """A sentence on other programs that slowed the benchmark down; empty where there were none."""
    return (
        f" Of both cores, other programs had {measured['cores_taken_by_others']:.0%}." if "warning" in measured else ""
    )


def first_face() -> str:
    """Time from process start to the first face."""
    document = load("first_face")
    row, machine = document["measured"], document["machine"]
    return (
        f"Process start to all files of the first face of an 8 s clip: {row['voxface_s']['p50']:.2f} s "
        f"(median of {row['rounds']}; {machine['cores']} cores of {machine['cpu']}); to import numpy, ONNX Runtime, soundfile "
        f"and WebRTC's VAD alone takes {row['imports_alone_s']['p50']:.2f} s of these. The same networks in eager PyTorch, "
        f"which write the image only: {row['pytorch_eager_s']['p50']:.2f} s in the same run, {row['ratio']['p50']:.1f} times "
        f"as long.{_busy(row)}"
    )


def no_face() -> str:
    """Rate at which sound that is no speech gets a face."""
    kinds = load("no_face")["measured"]["kinds"]
    lines = [
        "| windows of 5 s | how many | with a face live | 95 % interval | with a face as a file | 95 % interval | alike |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in kinds.items():
        cells = [name, str(row["windows"])]
        for one in (row, row["whole"]):
            low, high = one["interval_95"]
            cells += [percent(one["share"]), f"{percent(low)} – {percent(high)}"]
        lines.append(f"| {' | '.join(cells)} | {row['whole']['as_live']} of {row['windows']} |")
    soon = kinds["speech"]
    lines += [
        "",
        f"Of the {soon['windows']} windows of speech {soon['within_1_3_s_of_the_voice']} have their first face within 1.3 s of "
        "the first voice; where a pause falls within the first second, or it does not move as speech does, it takes longer.",
    ]
    return "\n".join(lines)


def no_face_lengths() -> str:
    """How much honest speech gets no face, and how much other sound gets one, by length."""
    measured = load("no_face")["measured"]["lengths"]
    long = measured["long music"]
    rows = {length: row for length, row in measured.items() if length != "long music"}
    sides = [("refused", name) for name in rows["5"]["refused"]] + [
        ("accepted", name) for name in rows["5"]["accepted"]
    ]
    names = {
        "held out": "LibriSpeech",
        "held out, at 10 dB": "LibriSpeech at 10 dB",
        "held out, at 5 dB": "LibriSpeech at 5 dB",
        "commonvoice61": "Common Voice",
        "speechocean762": "speechocean762",
    }
    lines = [
        "| length | " + " | ".join(f"{side}: {names.get(name, name)}" for side, name in sides) + " |",
        "|---" * (len(sides) + 1) + "|",
    ]
    for length, row in rows.items():
        cells = []
        for side, name in sides:
            cell = row[side].get(name)
            cells.append("–" if cell is None else _share(cell))
        lines.append(f"| {length} s | " + " | ".join(cells) + " |")
    speakers = rows["3"]["refused"]["held out"]["sources"]
    lines += [
        "",
        f"Intervals draw speakers (in noise and music: kinds and styles) anew; {speakers} speakers are held out. Of music of "
        f"30 s {_share(long['30 s'])} gets a face, of 60 s {_share(long['60 s'])}.",
    ]
    return "\n".join(lines)


def no_face_mixtures() -> str:
    """Speech beside other sound: how often it is heard, and how much of its face is of speech."""
    lines = ["| 4 s of speech | heard | speech in what the face is made of |", "|---|---|---|"]
    for name, row in load("no_face")["measured"]["mixtures"].items():
        lines.append(f"| {name.removeprefix('speech ')} | {_share(row)} | {percent(row['speech_in_face'])} |")
    return "\n".join(lines)


def no_face_thresholds() -> str:
    """What each least confidence refuses and accepts."""
    measured = load("no_face")["measured"]
    chosen = measured["min_confidence"]
    rows = measured["thresholds"]
    first = next(iter(rows.values()))
    sides = [("refused", name) for name in first["refused"]] + [("accepted", name) for name in first["accepted"]]
    lines = [
        "| `--min-confidence` | " + " | ".join(f"{side}: {name}" for side, name in sides) + " |",
        "|---" * (len(sides) + 1) + "|",
    ]
    for least, row in rows.items():
        shown = f"**{least}**" if float(least) == chosen else least
        lines.append(f"| {shown} | " + " | ".join(_share(row[side][name]) for side, name in sides) + " |")
    return "\n".join(lines)


def _share(row: dict[str, Any]) -> str:
    """A count of trials, with its share and the 95 % interval of that."""
    low, high = row["interval_95"]
    return f"{row['count']} of {row['of']} ({percent(row['share'])}; {percent(low)} – {percent(high)})"


def speaker_change() -> str:
    """Delay until another speaker is noticed, at the threshold in use."""
    measured = load("speaker_change")["measured"]
    lines = ["| speakers | threshold | noticed within 2 s | false alarms |", "|---|---|---|---|"]
    for name, rows in (("LibriSpeech", measured["curve"]), ("59 languages", measured["many"]["curve"])):
        row = next(row for row in rows if row["threshold"] == measured["threshold"])
        cells = (name, f"{row['threshold']:g}", _share(row["noticed_within_2_s"]), _share(row["false_alarms"]))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


_STREAMS: Final = {
    "one_recording": "of one recording",
    "halves": "of its halves, swapped",
    "two_recordings": "of two of a chapter",
    "moved_halves": "of its halves, one equalised",
}


def speaker_change_thresholds() -> str:
    """Delay until another speaker is noticed, at every threshold, with false alarms by kind of stream."""
    measured = load("speaker_change")["measured"]
    return _thresholds(measured["curve"], measured["threshold"])


def speaker_change_languages() -> str:
    """The same of speakers of many languages."""
    measured = load("speaker_change")["measured"]
    table = _thresholds(measured["many"]["curve"], measured["threshold"])
    return f"{table}\n\n{measured['many']['speakers']} speakers."


def _thresholds(rows: list[dict[str, Any]], used: float) -> str:
    kinds = [kind for kind in _STREAMS if f"false_alarms_{kind}" in rows[0]]
    names = ("noticed_within_2_s", "false_alarms", *(f"false_alarms_{kind}" for kind in kinds))
    heads = ("threshold", "noticed within 2 s", "false alarms", *(_STREAMS[kind] for kind in kinds))
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows:
        chosen = " (used)" if row["threshold"] == used else ""
        cells = [_share(row[name]) for name in names]
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
    """Cost of an update in each mode against the window."""
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
    """Distance of mode incremental from mode exact."""
    measured = load("incremental")["measured"]["agreement"]
    lines = [
        "| speakers never trained on, windows of | estimates | blocks encoded of 32 | cosine to exact, mean | "
        "1st percentile | least | below 0.995 | mesh, mm, median / 99th | image, dB, median / 1st |",
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
            f"| {name} | {row['estimates']} | {row['blocks']:.1f} | {cosine['mean']:.4f} | {cosine['p1']:.4f} | "
            f"{cosine['least']:.4f} | {percent(cosine['share_below_0.995'])} | {mesh['p50']:.2f} / {mesh['p99']:.2f} | "
            f"{picture['p50']:.0f} / {picture['p1']:.0f} |"
        )
    own, decisions = measured["full_8_s"]["cosine_to_the_estimate_before"], measured["decisions"]
    lines += [
        "",
        f"Of a sliding window, mode exact agrees with its own estimate 100 ms before at a cosine of "
        f"{own['exact']['mean']:.4f} (1st percentile {own['exact']['p1']:.4f}), mode incremental with its own at "
        f"{own['incremental']['mean']:.4f} ({own['incremental']['p1']:.4f}). The speech modulation is the same in both, to "
        f"the bit; the confidence differs by less than {decisions['confidence_p99']:.3f} in 99 of 100 estimates; the evidence "
        f"of another speaker by {decisions['evidence_of_another_speaker_p50']:.2f} (median), "
        f"{decisions['evidence_of_another_speaker_p99']:.2f} (99th percentile).",
    ]
    return "\n".join(lines)


def image_reuse() -> str:
    """Share of images reused at each distance, and the difference of a reused image from a new one."""
    measured = load("image_reuse")["measured"]
    lines = [
        "| distance of embeddings up to | images reused | levels of 255 off, mean | worst | dB, median | worst |",
        "|---|---|---|---|---|---|",
    ]
    for distance, row in measured["distances"].items():
        name = f"**{distance}**" if float(distance) == measured["threshold"] else distance
        levels, decibels = row["levels_of_255"], row["psnr_db"]
        lines.append(
            f"| {name} | {percent(row['kept'])} | {levels['mean']:.2f} | {levels['worst']:.2f} | {decibels['median']:.0f} | "
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
    """Output of `voxface profile`."""
    measured = load("profile")["measured"]
    return "\n".join(["```", f"$ {measured['ran']}", *measured["printed"], "```"])


def serving() -> str:
    """What the server keeps up with, beside what one thread keeps up with in a process of its own."""
    document = load("serving")
    row, machine = document["measured"], document["machine"]
    eighty, twice, batches = row["served_at_80_percent"], row["served_at_twice_the_capacity"], row["batches"]
    alone = max((run for run in row["in_process"]["runs"] if run["kept_up"]), key=lambda run: int(run["streams"]))
    lines = [
        f"| {row['updates_per_s']:g} updates a second | streams | refused | updates | p50, p99 | p50, p99 after 20 s |",
        "|---|---|---|---|---|---|",
        f"| in one process, no server | {alone['streams']} | – | – | {_p50_p99(alone['ms_from_due'])} | – |",
    ]
    for name, one in (("80 % of that, served", eighty), ("twice as many, served", twice)):
        lines.append(
            f"| {name}, {one['seconds'] / 60:g} min | {one['streams']} | {one['refused']} | {one['updates']:,} | "
            f"{_p50_p99(one['late_ms'])} | {_p50_p99(one['late_ms_settled'])} |"
        )
    memory, starved = row["resident_mb_at_s"], eighty["starved"] + twice["starved"]
    held = ", ".join(
        f"{mb:.0f} MB after {at / 60:.1f} min" for at, mb in (memory[len(memory) // 2], memory[-4], memory[-1])
    )
    lines += [
        "",
        f"{machine['cpu']}, {machine['cores']} cores; one thread infers, the load is another process with real speech, "
        "lateness counts from when an update's last sample would have been spoken. "
        f"{'No stream' if not starved else f'{starved} streams'} got less than a quarter of its updates. Memory of the server: "
        f"{memory[0][1]:.0f} MB before, {held}; it grows until each session keeps 2 MiB of answers for a client that comes "
        "back. With batches of "
        f"10 ms {batches['streams']} streams have a p99 of {batches['p99_ms']['10 ms']:.0f} ms, without "
        f"{batches['p99_ms']['none']:.0f} ms: they {'help' if batches['batches_help'] else 'do not help'} here.{_busy(row)}",
    ]
    return "\n".join(lines)


def live_replicas() -> str:
    """What it costs that sessions are worked on by a replica of a cluster."""
    document = load("live_replicas")
    row, machine = document["measured"], document["machine"]
    lines = ["| sessions are worked on | p50 | p99 | processors | updates |", "|---|---|---|---|---|"]
    for name, side in row["sides"].items():
        lines.append(
            f"| {name} | {side['p50_ms']:.0f} ms | {side['p99_ms']:.0f} ms | {side['cores']:.2f} cores | "
            f"{side['updates']:,} |"
        )
    starved = sum(side["starved"] + side["refused"] for side in row["sides"].values())
    lines += [
        "",
        f"{machine['cpu']}, {machine['cores']} cores; {row['streams']} streams of {row['updates_per_s']:g} updates a second, "
        "rounds in turn, medians of them; the cluster, with its one replica and one for clips, is on the same machine, and its "
        "processes count among the processors. "
        f"{'No stream' if not starved else f'{starved} streams'} was refused or got less than a quarter of its updates."
        f"{_busy(row)}",
    ]
    return "\n".join(lines)


def _p50_p99(times: dict[str, float]) -> str:
    return f"{times['p50']:.0f}, {times['p99']:.0f} ms"


TABLES: Final[dict[str, Callable[[], str]]] = {
    "first-face": first_face,
    "no-face": no_face,
    "no-face-lengths": no_face_lengths,
    "no-face-mixtures": no_face_mixtures,
    "no-face-thresholds": no_face_thresholds,
    "speaker-change": speaker_change,
    "speaker-change-thresholds": speaker_change_thresholds,
    "speaker-change-languages": speaker_change_languages,
    "live-window": live_window,
    "incremental-cost": incremental_cost,
    "incremental-agreement": incremental_agreement,
    "image-reuse": image_reuse,
    "live-soak": live_soak,
    "profile": profile,
    "serving": serving,
    "live-replicas": live_replicas,
}
