"""The tables of docs/performance.md: speed beside the alternatives, the limits of the machine, and budgets."""

import json
from collections.abc import Callable
from typing import Any, Final

from benchmarks.record import RESULTS, load
from voxface.runtime.config.live import MODES

SIDES: Final = {
    "pytorch_eager": "PyTorch, the papers' way",
    "pytorch_compiled": "torch.compile, the papers' way",
    "onnxruntime_naive": "ONNX Runtime as it comes, the papers' way",
    "voxface_exact_fp32": "voxface, exact, FP32",
    "voxface_exact_int8": "voxface, exact, INT8",
    "voxface_incremental_fp32": "voxface, incremental, FP32",
    "voxface_incremental_int8": "voxface, incremental, INT8",
}
BUDGET_UPDATE_MS: Final = {"fp32": 10.0, "int8": 4.0}
BUDGET_GROWTH: Final = 1.05
BUDGET_FIRST_FACE_S: Final = 0.4
BUDGET_LIVE_SHARE, BUDGET_LIVE_MB = 0.05, 150.0
BUDGET_OVERHEAD: Final = 0.1
BUDGET_LATENCY_MS, BLOCK_MS = 30.0, 20.0
BUDGET_GPU: Final = 5.0


def machine(name: str) -> str:
    """The line below a table: machine, date and command, and a warning if other programs ran."""
    document = load(name)
    measured, where = document["measured"], document["machine"]
    cores = f"{where['cores']} core{'s' if where['cores'] > 1 else ''}"
    text = f"{cores} of {where['cpu']}, {document['date']}, `{document['command']}`."
    if "warning" in measured:
        text += f" Other programs had {measured['cores_taken_by_others']:.0%} of the cores: ratios hold, times are too long."
    return text


def update(size: str) -> Callable[[], str]:
    """A table of one update of an 8 s window, by system; `size` is "full_size" or "default_bundle"."""

    def table() -> str:
        measured = load("update")["measured"][size]
        lines = [
            "| ms, median | threads | features | encoder | face | mesh | rest | total | p99 | limit here | times the limit |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for threads in (1, 2):
            for key, row in measured[f"{threads}_threads"]["sides"].items():
                stages = row["stages_p50_ms"]
                cells = [f"{stages[name]:.2f}" for name in ("features", "encoder", "face", "mesh")]
                rest = stages.get("rest", 0.0) + stages.get("vad", 0.0)
                lines.append(
                    f"| {SIDES[key]} | {threads} | {' | '.join(cells)} | {rest:.2f} | {row['total_ms']['p50']:.1f} | "
                    f"{row['total_ms']['p99']:.1f} | {row['limit_ms']:.1f} | {row['times_the_limit']:.1f} |"
                )
        work = measured["work"]["whole"]
        return "\n".join(
            [
                *lines,
                "",
                f"An update needs {work['operations'] / 1e9:.2f} GFLOP and {work['megabytes']:.1f} MB of weights. "
                f"{machine('update')}",
            ]
        )

    return table


def growth() -> str:
    """Time of an update against the window."""
    measured = load("update")["measured"]["growth"]
    seconds = next(iter(measured.values()))["seconds"]
    lines = [
        f"| ms, median, one thread | {' | '.join(f'{s} s' for s in seconds)} | 2 s → 8 s |",
        "|---|" + "---|" * (len(seconds) + 1),
    ]
    for name, row in measured.items():
        times = " | ".join(f"{t:.1f}" for t in row["p50_ms"])
        lines.append(f"| {SIDES[name]} | {times} | × {_growth(row):.2f} |")
    return "\n".join(lines)


def _growth(row: dict[str, Any]) -> float:
    times = dict(zip(row["seconds"], row["p50_ms"], strict=True))
    return float(times[8] / times[2])


def front_end() -> str:
    """Features and voice activity per 10 ms of sound."""
    measured = load("front_end")["measured"]
    lines = ["| µs per 10 ms of sound, one thread | fastest | median | times as long as ours |", "|---|---|---|---|"]
    for part in ("log_mel", "voice_activity"):
        found = measured[part]
        for name, times in found["us_per_10_ms"].items():
            ratio = found["times_as_long"].get(name)
            lines.append(
                f"| {'log-mel' if part == 'log_mel' else 'voice activity'}: {name} | {times['min']:.1f} | {times['p50']:.1f} | "
                f"{'1' if ratio is None else format(ratio, '.2f')} |"
            )
    return "\n".join([*lines, "", machine("front_end")])


def memory() -> str:
    """Memory and processor time of whole processes."""
    measured = load("memory")["measured"]
    names = {
        "run": "`voxface run`, one clip",
        "live_exact": "`voxface live`, exact, 10 updates/s",
        "live_incremental": "`voxface live`, incremental, 10 updates/s",
        "live_incremental_two_voices": "the same, two voices in turns of 8 s",
        "live_incremental_int8": "`voxface live`, incremental, calibrated to INT8",
        "pytorch_eager": "PyTorch, the papers' way, 10 updates/s",
    }
    lines = [
        "| default bundle | most resident, MB | at the end, MB | of one core, once under way |",
        "|---|---|---|---|",
    ]
    for key, name in names.items():
        if key in measured:
            row = measured[key]
            share = "–" if key == "run" else f"{row['share_of_a_core']:.1%}"
            lines.append(f"| {name} | {row['most_mb']:.0f} | {row['last_mb']:.0f} | {share} |")
    return "\n".join([*lines, "", machine("memory")])


def streams() -> str:
    """Number of live sessions that one core sustains, on each kind of processor."""
    lines: list[str] = []
    for kind, found in load("streams")["measured"]["machines"].items():
        lines += [
            f"| {kind}; default bundle, one core, 10 updates/s | ms per 0.1 s of sound | streams, by that | kept up with | "
            "ms from due to done, p50, p99 |",
            "|---|---|---|---|---|",
        ]
        for name, row in found["ways"].items():
            precision, way = name.split(", ", 1)
            cost = row.get("processor_ms_per_0.1_s", row["ms_per_0.1_s"])["p50"]
            most = max(
                (run for run in row["runs"] if run["kept_up"]), key=lambda run: int(run["streams"]), default=None
            )
            late = "–" if most is None else f"{most['ms_from_due']['p50']:.0f}, {most['ms_from_due']['p99']:.0f}"
            lines.append(
                f"| {precision.upper()}, {way} | {cost:.2f} | {row['predicted']:.1f} | {row['sustained']} | {late} |"
            )
        text = f"1 core of {found['cpu']}, {found['date']}, `python -m benchmarks.streams`."
        if "warning" in found:
            text += f" Other programs had {found['cores_taken_by_others']:.0%} of the cores: ratios hold, times are too long."
        lines += ["", text, ""]
    return "\n".join(lines[:-1])


def roofline() -> str:
    """The highest rates of arithmetic and memory that this machine reaches."""
    measured = load("roofline")["measured"]
    lines = ["| at most | 1 thread | 2 threads |", "|---|---|---|"]
    one, two = (measured["matrix"][f"{threads}_threads"] for threads in (1, 2))
    for key, name in (("fp32_gflops", "FP32 matrix product, GFLOP/s"), ("int8_gflops", "INT8 matrix product, GOP/s")):
        lines.append(f"| {name} | {one[key]:.0f} | {two[key]:.0f} |")
    for key, name in (("read", "memory read, GB/s"), ("copy", "memory copied, read and written, GB/s")):
        values = [measured["memory_gb_per_s"][f"{threads}_threads"][key] for threads in (1, 2)]
        lines.append(f"| {name} | {values[0]:.0f} | {values[1]:.0f} |")
    for name, row in measured["same_shape"].items():
        cells = [
            f"{row[f'{t}_threads']['fp32_gflops']:.0f} → {row[f'{t}_threads']['int8_gflops']:.0f} "
            f"(× {row[f'{t}_threads']['int8_is_faster_by']:.2f})"
            for t in (1, 2)
        ]
        lines.append(f"| {name}: FP32 → INT8, GOP/s | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Instructions: {measured['int8_instructions']}. {machine('roofline')}"])


def _best(side: Callable[[str], bool]) -> tuple[str, dict[str, Any]]:
    """The fastest of some sides of a full-size update, with one thread or two."""
    measured = load("update")["measured"]["full_size"]
    found = [
        (f"{name.split('_')[1]}, {threads} thread{'s' * (threads > 1)}", row)
        for threads in (1, 2)
        for name, row in measured[f"{threads}_threads"]["sides"].items()
        if side(name)
    ]
    return min(found, key=lambda item: float(item[1]["total_ms"]["p50"]))


def _disturbed(*names: str) -> list[str]:
    """Lines that warn of results from a busy machine; none if it was idle."""
    shares = [load(name)["measured"].get("cores_taken_by_others", 0.0) for name in names]
    busy = any("warning" in load(name)["measured"] for name in names)
    text = f"Other programs had up to {max(shares):.0%} of the cores while this was measured: times are too long."
    return ["", text] if busy else []


def budgets() -> str:
    """Every budget, a reference measured in the same run, our figure, and whether the budget is met."""
    lines = ["| what | budget | reference measured here | voxface | met |", "|---|---|---|---|---|"]

    def row(what: str, budget: str, reference: str, ours: str, met: bool | None) -> None:
        lines.append(
            f"| {what} | {budget} | {reference} | {ours} | {'–' if met is None else 'yes' if met else '**no**'} |"
        )

    _, eager = _best(lambda name: name == "pytorch_eager")
    for precision, most in BUDGET_UPDATE_MS.items():
        how, best = _best(lambda name, end=precision: name.startswith("voxface") and name.endswith(end))
        took, least = best["total_ms"]["p50"], best["limit_ms"]
        row(
            f"one update, full size, 8 s, {precision.upper()}, two cores",
            f"≤ {most:g} ms",
            f"{eager['total_ms']['p50']:.1f} ms (PyTorch)",
            f"{took:.1f} ms, {how} (limit here {least:.1f} ms)",
            took <= most,
        )
    grown = load("update")["measured"]["growth"]
    mode = "incremental" if "voxface_incremental_fp32" in grown else "exact"
    ratio = _growth(grown[f"voxface_{mode}_fp32"])
    row(
        "growth of an update, window 2 s → 8 s, incremental",
        f"× {BUDGET_GROWTH:g}",
        f"× {_growth(grown['pytorch_eager']):.2f}",
        f"× {ratio:.2f}, {mode}",
        ratio <= BUDGET_GROWTH if mode == "incremental" else None,
    )
    front = load("front_end")["measured"]
    kaldi = front["log_mel"]["us_per_10_ms"].get("kaldi-native-fbank, 100 ms a call")
    log_mel = front["log_mel"]["us_per_10_ms"]["voxface, 100 ms a call"]["p50"]
    row(
        "log-mel per 10 ms",
        f"≤ {front['budget_us']:g} µs",
        f"{kaldi['p50']:.1f} µs (kaldi-native-fbank)" if kaldi else "–",
        f"{log_mel:.1f} µs",
        log_mel <= front["budget_us"],
    )
    first = load("first_face")["measured"]
    began = first["voxface_s"]["p50"]
    row(
        "process start → first face of a clip",
        f"≤ {BUDGET_FIRST_FACE_S:g} s",
        f"{first['pytorch_eager_s']['p50']:.2f} s (PyTorch)",
        f"{began:.2f} s",
        began <= BUDGET_FIRST_FACE_S,
    )
    held = load("memory")["measured"]
    live = held.get("live_incremental", held["live_exact"])
    row(
        "live stream, 10 updates/s: of one core",
        f"≤ {BUDGET_LIVE_SHARE:.0%}",
        f"{held['pytorch_eager']['share_of_a_core']:.0%} (PyTorch)",
        f"{live['share_of_a_core']:.1%}, incremental; INT8 {held['live_incremental_int8']['share_of_a_core']:.1%}",
        live["share_of_a_core"] <= BUDGET_LIVE_SHARE,
    )
    row(
        "live stream: resident memory",
        f"≤ {BUDGET_LIVE_MB:.0f} MB",
        f"{held['pytorch_eager']['most_mb']:.0f} MB (PyTorch)",
        f"{live['most_mb']:.0f} MB",
        live["most_mb"] <= BUDGET_LIVE_MB,
    )
    window = load("live_window")["measured"]
    drawn, late = (
        part["total"]["p99"] for part in (window["latency_ms"], window["latency_ms_with_nothing_drawn"]["exact"])
    )
    row(
        "capture → estimate, live, p99",
        f"≤ {BUDGET_LATENCY_MS:.0f} ms + one block of {BLOCK_MS:.0f} ms",
        "5 s (record, then predict)",
        f"{late:.0f} ms; {drawn:.0f} ms while a window draws {window['frames_per_s']:.0f} frames a second",
        late <= BUDGET_LATENCY_MS + BLOCK_MS,
    )
    for name, sides in load("profile")["measured"]["outside_of_engines"].items():
        over = sides["exact"]["of_engine_runs"]
        row(
            f"an update outside of the engines' own runs, {name.replace('_', ' ')}, exact",
            f"≤ {BUDGET_OVERHEAD:.0%}",
            "–",
            f"{over:.1%}, {sides['exact']['p50_ms']:.1f} ms; incremental {sides['incremental']['p50_ms']:.1f} ms, "
            f"{sides['incremental']['of_engine_runs']:.0%}, where most images are reused",
            over <= BUDGET_OVERHEAD,
        )
    if (RESULTS / "gpu.json").exists():
        gpu = json.loads((RESULTS / "gpu.json").read_text())["measured"]
        alone = gpu["batch_1"]
        name, faster = max(alone["times_faster"].items(), key=lambda item: float(item[1]["p50"]))
        row(
            f"update on {gpu['gpu']['name']}, full size",
            f"≥ {BUDGET_GPU:g} × PyTorch eager",
            f"{alone['latency_ms']['pytorch_eager_fp32']['p50']:.2f} ms",
            f"{faster['p50']:.1f} × ({name.replace('_', ' ')})",
            faster["p50"] >= BUDGET_GPU,
        )
    return "\n".join([*lines, *_disturbed("update", "front_end", "first_face", "memory")])


def few_figures() -> str:
    """Main figures, for the README."""
    ways = {
        precision: ", ".join(
            f"{best['total_ms']['p50']:.1f} ms ({how})"
            for how, best in (_best(lambda name, end=side: name == end) for side in sides)
        )
        for precision, sides in (
            ("FP32", ("voxface_exact_fp32", "voxface_incremental_fp32")),
            ("INT8", ("voxface_exact_int8", "voxface_incremental_int8")),
        )
    }
    _, eager = _best(lambda name: name == "pytorch_eager")
    front = load("front_end")["measured"]["log_mel"]
    held = load("memory")["measured"]
    live = ", ".join(
        f"{held[f'live_{mode}']['most_mb']:.0f} MB and {held[f'live_{mode}']['share_of_a_core']:.0%} ({mode})"
        for mode in ("exact", "incremental")
    )
    lines = [
        "| on two CPU cores | voxface | beside |",
        "|---|---|---|",
        f"| one update, the papers' networks at full size, 8 s of voice, FP32 | {ways['FP32']} | "
        f"{eager['total_ms']['p50']:.1f} ms, the papers' way in PyTorch |",
        f"| the same, every layer that can be in INT8 | {ways['INT8']} | |",
        f"| log-mel, 10 ms of sound | {front['us_per_10_ms']['voxface, 100 ms a call']['p50']:.1f} µs | "
        + (
            f"{front['us_per_10_ms']['kaldi-native-fbank, 100 ms a call']['p50']:.1f} µs, kaldi-native-fbank |"
            if "kaldi-native-fbank, 100 ms a call" in front["us_per_10_ms"]
            else "– |"
        ),
        f"| live, default bundle, 10 updates a second: memory, and how much of one core | {live} | "
        f"{held['pytorch_eager']['most_mb']:.0f} MB and {held['pytorch_eager']['share_of_a_core']:.0%}, PyTorch |",
    ]
    return "\n".join([*lines, *_disturbed("update", "front_end", "memory")])


def picture_size() -> str:
    """Times with pictures of 64 and of 128 px."""
    measured = load("picture_size")["measured"]
    kinds = [
        (f"{mode}, {precision.upper()}", f"{mode}_{precision}") for precision in ("fp32", "int8") for mode in MODES
    ]
    lines = [
        f"| ms, median, one thread (times as long as with 64 px) | MFLOP | generator, FP32 | generator, INT8 | "
        f"{' | '.join(f'update, {title}' for title, _ in kinds)} |",
        "|---|" + "---|" * (3 + len(kinds)),
    ]
    for name, row in measured["generator"].items():
        cells = [f"{row['megaoperations']:.0f}"]
        cells += [f"{row[p]['ms']['p50']:.2f} (× {row[p]['times_as_long']:.2f})" for p in ("fp32", "int8")]
        for _, key in kinds:
            found = measured["update"][key]
            cells.append(f"{found['ms'][name]['p50']:.1f} (× {found['times_as_long'].get(name, 1.0):.2f})")
        lines.append(f"| {name}: {', '.join(map(str, row['channels']))} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", machine("picture_size")])


def before_after() -> str:
    """This version beside an earlier one: what an update takes, and whether the results are the same."""
    if not (RESULTS / "before_after.json").exists():
        return "Not measured yet; `python -m benchmarks.before_after COMMIT` does it."
    measured = load("before_after")["measured"]
    lines = [
        "| ms, one thread, at 10 updates a second | update, before | now | outside of engines, before | now |",
        "|---|---|---|---|---|",
    ]
    for name, sides in measured["updates_ms"].items():
        cells = [f"{sides[side][what]:.2f}" for what in ("update", "outside") for side in ("before", "after")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    first, heard = measured["first_face_s"], measured["heard"]
    bits = "; ".join(
        f"{mode}: the same events in {found['same_events']}, cosine of embeddings at least "
        f"1 − {found['1-cosine']:.0e}, vertices at most {found['vertex_max_mm']:.4f} mm apart"
        for mode, found in heard.items()
    )
    lines += [
        "",
        f"First face: {first['before']:.2f} s before, {first['after']:.2f} s now. On {measured['clips']} clips, {bits}.",
        "",
        machine("before_after"),
    ]
    return "\n".join(lines)


TABLES: Final[dict[str, Callable[[], str]]] = {
    "performance": few_figures,
    "budgets": budgets,
    "update-full-size": update("full_size"),
    "update-default-bundle": update("default_bundle"),
    "update-growth": growth,
    "picture-size": picture_size,
    "front-end": front_end,
    "memory": memory,
    "streams": streams,
    "roofline": roofline,
    "before-after": before_after,
}
