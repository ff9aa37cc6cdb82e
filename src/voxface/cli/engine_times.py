"""What `voxface doctor` says of the speed of engines: what was measured, what is fastest, and that it was chosen."""

from typing import TYPE_CHECKING, Any, Final

from voxface.cli.output import Progress, warn

if TYPE_CHECKING:
    from voxface.runtime.bundle.bundle import Bundle
    from voxface.runtime.engines.choice import ChosenEngine

MEASURE: Final = "voxface doctor --measure"
BUSY: Final = 0.5  # load average a core, from which times depend on what else ran


def measure_engines(bundle: "Bundle", providers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Measures the providers that work, and keeps the times in the user's cache folder.

    Args:
        providers: what doctor found of each, by name.
    """
    from voxface.runtime.engines.engine_times import keep
    from voxface.runtime.engines.measurement import MEASURED, ROUNDS, WARM_UP, measure

    progress = Progress(ROUNDS + WARM_UP, "engines")
    try:
        usable = [name for name in MEASURED if providers.get(name, {}).get("ok")]
        times = measure(bundle, usable, report=progress.at)
    finally:
        progress.close()
    found: dict[str, Any] = {"when": "now", **times.to_json(), "file": None}
    try:
        found["file"] = str(keep(times))
    except OSError as error:
        found["why_not_kept"] = f"the cache folder cannot be written ({error.strerror}); set XDG_CACHE_HOME to another"
    return found


def known_engine_times(bundle: "Bundle") -> dict[str, Any]:
    """What was measured of a bundle before."""
    from voxface.runtime.engines.choice import CHANGED, NOT_MEASURED
    from voxface.runtime.engines.engine_times import kept

    times, any_times = kept(str(bundle.manifest.sha256))
    if times is None:
        return {"when": None, "why": CHANGED if any_times else NOT_MEASURED}
    return {"when": "before", **times.to_json()}


def lines_of(found: dict[str, Any]) -> list[str]:
    """What was measured, as lines of text."""
    from voxface.runtime.engines.engine_times import EngineTime, in_words

    if found["when"] is None:
        return [f"-    {found['why']}; `{MEASURE}` measures which engine is fastest here"]
    lines = in_words([EngineTime(**one) for one in found["times"]])
    lines += [f"{name:<15} left out: {why}" for name, why in found["left_out"].items()]
    fastest = found["fastest"]
    if fastest is not None:
        several = "s" if fastest["threads"] > 1 else ""
        lines.append(
            f"fastest: {fastest['provider']}, {fastest['threads']} thread{several}; `--provider auto` uses it, and every "
            "provider the threads that were best for it"
        )
    load = found["load_average_before"]
    if load is not None and load > BUSY * found["machine"]["cores"]:
        lines.append(
            f"the machine was busy (load average {load:.1f}); `{MEASURE}` again when it is as it usually will be"
        )
    if "why_not_kept" in found:
        lines.append(f"not kept: {found['why_not_kept']}")
    elif found.get("file"):
        lines.append(f"kept in {found['file']}")
    return lines


def warn_of_change(asked: str, choice: "ChosenEngine") -> None:
    """Warns where "auto" was asked for, and what was measured is of another machine."""
    from voxface.runtime.engines.choice import AUTO, CHANGED, in_words

    if asked == AUTO and choice.why == CHANGED:
        warn(f"{AUTO}: {in_words(choice)}; `{MEASURE}` measures anew")
