"""The two TensorRT libraries as `voxface doctor` finds them: which is installed, where it came from, and whether it loads.

They have nearly one name and run different engines. What is called `tensorrt` on PyPI is a stub: while it is installed it
fetches the library from the vendor's own index, and where that was not reachable only the stub is there.
"""

from importlib import metadata
from typing import Any, Final

from voxface.runtime.engines.tensorrt_library import library
from voxface.runtime.errors import ProviderError

# Flavour -> what it is, and the distributions that hold the library itself, without which a package of its name is a stub.
LIBRARIES: Final = {
    "tensorrt-rtx": (
        "TensorRT for RTX: its engines are built anywhere, and run on RTX GPUs",
        ("tensorrt-rtx-cu13-libs", "tensorrt-rtx-cu12-libs"),
    ),
    "tensorrt": (
        "TensorRT proper: its engines are built on the GPU that runs them",
        ("tensorrt-cu13-libs", "tensorrt-cu12-libs", "tensorrt-libs"),
    ),
}


def tensorrt_libraries() -> dict[str, dict[str, Any]]:
    """Flavour -> `what` it is; `installed`, the versions of its distributions; `ok`, and then `version` and `source`, or else
    `why` it cannot be used."""
    found: dict[str, dict[str, Any]] = {}
    for flavour, (what, holding) in LIBRARIES.items():
        installed = {name: version for name in (flavour, *holding) if (version := _version(name)) is not None}
        found[flavour] = {"what": what, "installed": installed, **_state(flavour, installed)}
    return found


def _state(flavour: str, installed: dict[str, str]) -> dict[str, Any]:
    held = [name for name in installed if name != flavour]
    try:
        module = library(flavour)
    except ProviderError as error:
        if flavour in installed and not held:
            return {
                "ok": False,
                "why": f"{flavour} {installed[flavour]} is a stub, and the library that it fetches from the vendor's index "
                f"when it is installed is not there; {_cure(str(error))}",
            }
        return {"ok": False, "why": str(error)}
    if held:
        source = f"from Python packages ({', '.join(held)})"
    else:
        source = "of this system, not from Python packages" if flavour not in installed else "of this system"
    return {"ok": True, "version": str(getattr(module, "__version__", "unknown")), "source": source}


def _cure(text: str) -> str:
    """What to do, of an error of `library`."""
    return text.rsplit("; ", maxsplit=1)[-1]


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
