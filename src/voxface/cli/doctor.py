"""`voxface doctor`: what is installed, what works, and how to mend what does not."""

import argparse
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from voxface.cli.arguments import add_bundle, add_json
from voxface.cli.engine_times import known_engine_times, lines_of, measure_engines
from voxface.cli.live.window_trial import window_apart
from voxface.cli.output import print_json
from voxface.cli.tensorrt_libraries import tensorrt_libraries
from voxface.runtime.install_advice import how_to_install

# distribution -> (what it is for, the extra that brings it; "" is voxface itself, None something else)
PACKAGES: dict[str, tuple[str, str | None]] = {
    "numpy": ("arrays", ""),
    "soxr": ("resampling", ""),
    "soundfile": ("sound files", ""),
    "webrtcvad-wheels": ("voice activity", ""),
    "onnxruntime": ("inference on the CPU", "cpu"),
    "onnxruntime-gpu": ("inference on NVIDIA GPUs", "gpu"),
    "openvino": ("inference on CPUs, Intel's GPUs and NPUs", "openvino"),
    "tensorrt-rtx": ("engines for RTX GPUs: built anywhere, run there", "tensorrt-rtx"),
    "tensorrt": ("engines for this device's GPU, built on it; PyPI's is a stub", "tensorrt"),
    "cuda-bindings": ("memory and streams of the GPU", None),
    "sounddevice": ("microphone", "mic"),
    "open3d": ("viewer", "viewer"),
    "fastapi": ("server", "serve"),
    "c2pa-python": ("signed pictures", "c2pa"),
    "torch": ("training and export", "train"),
    "onnx": ("export", "train"),
}
OTHERWISE = {
    "cuda-bindings": "pip install cuda-bindings",
}
NEEDED = ("numpy", "soxr", "soundfile", "webrtcvad-wheels")
ALIASES = {"open3d": ("open3d", "open3d-cpu"), "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    add_bundle(parser, "bundle whose engines are to be tried (the default bundle)")
    parser.add_argument(
        "--measure",
        action="store_true",
        help="measure which engine is fastest with this bundle, and how many threads are best; keep it in the user's cache "
        "folder, where `--provider auto` and `--threads` find it",
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what was found; returns 5 if sound files cannot be turned into faces here."""
    report = examine(options.bundle, measure=options.measure)
    if options.json:
        print_json(report)
    else:
        _print(report)
    return 5 if report["problems"] else 0


def examine(path: Path | None = None, *, measure: bool = False) -> dict[str, Any]:
    """The state of this installation: packages, providers (by loading a graph on each), GPU, bundle and its engines, whether
    PortAudio finds microphones, and whether a window opens.

    Args:
        path: the bundle; None: the default one.
        measure: whether to measure which engine is fastest, and to keep that in the user's cache folder.

    `problems` are what prevents making faces from sound files; `advice` is about unused GPUs. Each entry names one command or
    one thing to do.
    """
    from voxface import __version__
    from voxface.runtime import telemetry

    packages = {name: _version(name) for name in PACKAGES}
    problems = [f"{name} is missing; {cure(name)}" for name in NEEDED if packages[name] is None]
    if packages["onnxruntime"] and packages["onnxruntime-gpu"]:
        problems.append(
            "onnxruntime and onnxruntime-gpu are both installed and share one import name, so the GPU may be lost; "
            f"pip uninstall onnxruntime onnxruntime-gpu, then {how_to_install('cpu')} (or the extra gpu in its place)"
        )
    bundle: dict[str, Any] = {"path": None, "ok": False}
    providers: dict[str, dict[str, Any]] = {}
    engines: list[dict[str, Any]] = []
    times: dict[str, Any] = {"when": None, "why": "no bundle could be opened"}
    try:
        from voxface.runtime.bundle.bundle import Bundle
        from voxface.runtime.errors import VoxfaceError

        try:
            opened = Bundle.open(path)
            _ = opened.speaker_change  # reads its network
            opened.check_face_posterior()
            bundle = {
                "path": str(opened.path),
                "name": opened.name,
                "ok": True,
                "missing_parts": opened.missing_parts,
            }
        except VoxfaceError as error:
            bundle["why"] = str(error)
            problems.append(str(error))
        if bundle["ok"]:
            providers, engines = _providers(opened), _engines(opened)
            if not any(found["ok"] for found in providers.values()):
                problems.append(f"no provider works; {providers['cpu']['why']}")
            elif measure and providers["cpu"]["ok"]:  # with which the others must agree
                try:
                    times = measure_engines(opened, providers)
                except VoxfaceError as error:
                    times["why"] = str(error)
                    problems.append(str(error))
            else:
                times = known_engine_times(opened)
    except ImportError as error:  # one of the packages above, already named
        problems.append(f"voxface.runtime does not import: {error}")
    gpus = _gpu()
    collects = telemetry.why_on()
    return {
        "voxface": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "packages": packages,
        "providers": providers,
        "gpu": gpus,
        "cuda": _cuda(),
        "tensorrt": tensorrt_libraries(),
        "bundle": bundle,
        "engines": engines,
        "engine_times": times,
        "microphone": _microphone(),
        "window": window_apart(),
        "telemetry": {"off": collects is None} if collects is None else {"off": False, "why": collects},
        "problems": problems,
        "advice": [*_advice(gpus, packages, providers), *([collects] if collects else [])],
    }


def _providers(bundle: Any) -> dict[str, dict[str, Any]]:
    """Every provider, tried on the bundle's smallest graph."""
    from voxface.runtime.engines.opening import open_graph
    from voxface.runtime.engines.providers import ALL_PROVIDERS
    from voxface.runtime.errors import VoxfaceError

    found: dict[str, dict[str, Any]] = {}
    for provider in ALL_PROVIDERS:
        try:
            with open_graph(bundle, "mesh", provider) as engine:
                engine.warm_up()
                found[provider] = {"ok": True}
        except VoxfaceError as error:
            found[provider] = {"ok": False, "why": str(error)}
    return found


def _engines(bundle: Any) -> list[dict[str, Any]]:
    """Every engine in the bundle: whether it loads here, and if not why."""
    from voxface.runtime.engines.opening import open_plan
    from voxface.runtime.errors import VoxfaceError

    found = []
    for plan in bundle.plans:
        entry = {"graph": plan.graph, "flavour": plan.flavour, "version": plan.version, "targets": list(plan.targets)}
        try:
            with open_plan(bundle, plan):
                found.append({**entry, "ok": True})
        except VoxfaceError as error:
            found.append({**entry, "ok": False, "why": str(error)})
    return found


def _cuda() -> dict[str, Any]:
    """The GPU as CUDA sees it, which also works where there is no nvidia-smi (Jetson)."""
    from voxface.runtime.engines.cuda_memory import Cuda
    from voxface.runtime.errors import ProviderError

    try:
        return {"ok": True, "compute_capability": Cuda().target}
    except ProviderError as error:
        return {"ok": False, "why": str(error)}


def cure(name: str) -> str:
    """How to install a package."""
    extra = PACKAGES[name][1]
    if extra is None:
        return OTHERWISE[name]
    beside = " (instead of cpu, never beside it)" if extra == "gpu" else ""
    return f"{how_to_install(*([extra] if extra else []))}{beside}"


def _microphone() -> dict[str, Any]:
    """What `voxface live` would find: whether PortAudio loads, its host APIs, and the device that would be used."""
    from voxface.runtime.errors import VoxfaceError
    from voxface.runtime.live.device_choice import choose
    from voxface.runtime.live.portaudio import PortAudio

    found: dict[str, Any] = {"ok": False, "loads": False}
    try:
        backend = PortAudio()
        found |= {"loads": True, "hosts": backend.hosts()}
        devices = backend.devices()
        found |= {"devices": len(devices), "default": choose(devices, None).label, "ok": True}
    except VoxfaceError as error:
        found["why"] = str(error)
    return found


def _advice(gpus: list[dict[str, str]], packages: dict[str, str | None], providers: dict[str, Any]) -> list[str]:
    """Advice: what to install so that a GPU that is present is used."""
    if not gpus or any(found["ok"] for name, found in providers.items() if name != "cpu"):
        return []
    if packages["onnxruntime"] and not packages["onnxruntime-gpu"]:
        return [
            "there is a GPU and ONNX Runtime is the one for CPUs; pip uninstall onnxruntime, then "
            + how_to_install("gpu")
        ]
    return [f"there is a GPU and no provider loads on it; {providers['cuda']['why']}"] if "cuda" in providers else []


def _version(name: str) -> str | None:
    for alias in ALIASES.get(name, (name,)):
        try:
            return metadata.version(alias)
        except metadata.PackageNotFoundError:
            continue
    return None


def _gpu() -> list[dict[str, str]]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    query = [tool, "--query-gpu=name,driver_version,compute_cap,memory.total", "--format=csv,noheader"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
    keys = ("name", "driver", "compute_capability", "memory")
    return [dict(zip(keys, (part.strip() for part in line.split(",")), strict=False)) for line in lines]


def _print(report: dict[str, Any]) -> None:
    print(f"voxface {report['voxface']}, Python {report['python']}, {report['platform']}")
    print("\npackages")
    broken = {"sounddevice": report["microphone"], "open3d": report["window"]}
    for name, version in report["packages"].items():
        works = version and broken.get(name, {}).get("loads", True)
        print(
            f"  {'ok  ' if works else '-   '} {name:<18} {version or 'not installed':<16} {PACKAGES[name][0]}"
            + ("" if works else "; does not load, see below" if version else f"; {cure(name)}")
        )
    print("\nproviders (each was tried by loading a graph)")
    for name, found in report["providers"].items():
        print(f"  {'ok  ' if found['ok'] else '-   '} {name:<15} {found.get('why', '')}")
    print("\nGPU")
    for gpu in report["gpu"] or [{"name": "none found (no nvidia-smi)"}]:
        print("  " + ", ".join(gpu.values()))
    cuda = report["cuda"]
    print("  " + (f"CUDA: {cuda['compute_capability']}" if cuda["ok"] else f"CUDA: {cuda['why']}"))
    print("\nTensorRT, two libraries")
    for name, found in report["tensorrt"].items():
        said = f"{found['version']} {found['source']}" if found["ok"] else found["why"]
        print(f"  {'ok  ' if found['ok'] else '-   '} {name:<12} {found['what']}: {said}")
    bundle = report["bundle"]
    print("\nbundle\n  " + (f"ok   {bundle['path']}" if bundle["ok"] else f"-    {bundle.get('why', '')}"))
    for what in bundle.get("missing_parts", {}).values():
        print(f"  -    {what}")
    for engine in report["engines"]:
        what = f"{engine['graph']} {engine['flavour']} {engine['version']} for {','.join(engine['targets'])}"
        print(f"  {'ok  ' if engine['ok'] else '-   '} {what}" + (f": {engine['why']}" if not engine["ok"] else ""))
    print("\none update's networks on each engine, milliseconds")
    print("\n".join(f"  {line}" for line in lines_of(report["engine_times"])))
    microphone, window = report["microphone"], report["window"]
    heard = f"{microphone.get('default')}, of {microphone.get('devices')} (`voxface devices --try` opens them)"
    print(f"\nmicrophone\n  {'ok   ' + heard if microphone['ok'] else '-    ' + microphone['why']}")
    print(f"\nwindow of `voxface live`\n  {'ok' if window['ok'] else '-    ' + window['why']}")
    off = report["telemetry"]["off"]
    print(f"\ntelemetry of dependencies\n  {'ok   off' if off else '-    may be on, see below'}")
    if report["advice"]:
        print("\n" + "\n".join(f"advice: {a}" for a in report["advice"]))
    print("\n" + ("\n".join(f"problem: {p}" for p in report["problems"]) or "No problem found."))
