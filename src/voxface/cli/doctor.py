"""`voxface doctor`: what is installed, what works, and how to mend what does not."""

import argparse
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from typing import Any

from voxface.cli.output import print_json

# distribution -> (what it is for, what installs it)
PACKAGES = {
    "numpy": ("arrays", "pip install voxface"),
    "soxr": ("resampling", "pip install voxface"),
    "soundfile": ("sound files", "pip install voxface"),
    "webrtcvad-wheels": ("voice activity", "pip install voxface"),
    "onnxruntime": ("inference on the CPU", "pip install 'voxface[cpu]'"),
    "onnxruntime-gpu": ("inference on NVIDIA GPUs", "pip install 'voxface[gpu]' (instead of cpu, never beside it)"),
    "sounddevice": ("microphone", "pip install 'voxface[mic]'"),
    "open3d": ("viewer", "pip install 'voxface[viewer]'"),
    "torch": ("training and export", "pip install 'voxface[train]' -c constraints.txt"),
    "onnx": ("export", "pip install 'voxface[train]' -c constraints.txt"),
}
NEEDED = ("numpy", "soxr", "soundfile", "webrtcvad-wheels")
ALIASES = {"open3d": ("open3d", "open3d-cpu")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this verb."""
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def run(options: argparse.Namespace) -> int:
    """Prints what was found; exit code 5 when sound files could not be turned into faces."""
    report = examine()
    if options.json:
        print_json(report)
    else:
        _print(report)
    return 5 if report["problems"] else 0


def examine() -> dict[str, Any]:
    """Looks at this installation: packages, providers (by loading a graph on each), GPU, default bundle."""
    from voxface import __version__

    packages = {name: _version(name) for name in PACKAGES}
    problems = [f"{name} is missing; {PACKAGES[name][1]}" for name in NEEDED if packages[name] is None]
    if packages["onnxruntime"] and packages["onnxruntime-gpu"]:
        problems.append(
            "onnxruntime and onnxruntime-gpu are both installed and share one import name, so the GPU may be lost; "
            "pip uninstall onnxruntime onnxruntime-gpu, then install one of voxface[cpu] and voxface[gpu]"
        )
    bundle: dict[str, Any] = {"path": None, "ok": False}
    providers: dict[str, dict[str, Any]] = {}
    graph: bytes | None = None
    try:
        from voxface.runtime.bundle import Bundle
        from voxface.runtime.errors import VoxfaceError

        try:
            opened = Bundle.open()
            graph = opened.graph("mesh")
            bundle = {"path": str(opened.path), "name": opened.name, "ok": True}
        except VoxfaceError as error:
            bundle["why"] = str(error)
            problems.append(str(error))
        if graph is not None:
            providers = _providers(graph)
            if not any(found["ok"] for found in providers.values()):
                problems.append(f"no provider works; {providers['cpu']['why']}")
    except ImportError as error:  # one of the packages above, already named
        problems.append(f"voxface.runtime does not import: {error}")
    return {
        "voxface": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "executable": sys.executable,
        "packages": packages,
        "providers": providers,
        "gpu": _gpu(),
        "bundle": bundle,
        "problems": problems,
    }


def _providers(graph: bytes) -> dict[str, dict[str, Any]]:
    from voxface.runtime.engines import PROVIDERS, open_engine
    from voxface.runtime.errors import VoxfaceError

    found: dict[str, dict[str, Any]] = {}
    for provider in PROVIDERS:
        try:
            with open_engine(graph, provider, name="mesh") as engine:
                engine.warm_up()
                found[provider] = {"ok": True}
        except VoxfaceError as error:
            found[provider] = {"ok": False, "why": str(error)}
    return found


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
    for name, version in report["packages"].items():
        what, cure = PACKAGES[name]
        print(
            f"  {'ok  ' if version else '-   '} {name:<18} {version or 'not installed':<16} {what}"
            + ("" if version else f"; {cure}")
        )
    print("\nproviders (each was tried by loading a graph)")
    for name, found in report["providers"].items():
        print(f"  {'ok  ' if found['ok'] else '-   '} {name:<10} {found.get('why', '')}")
    print("\nGPU")
    for gpu in report["gpu"] or [{"name": "none found (no nvidia-smi)"}]:
        print("  " + ", ".join(gpu.values()))
    bundle = report["bundle"]
    print("\nbundle\n  " + (f"ok   {bundle['path']}" if bundle["ok"] else f"-    {bundle.get('why', '')}"))
    print("\n" + ("\n".join(f"problem: {p}" for p in report["problems"]) or "No problem found."))
