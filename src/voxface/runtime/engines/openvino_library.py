"""OpenVINO as a library: imported with its telemetry off, its devices, and its errors in one line.

`import openvino` imports its converter of models, which tells Google Analytics of the import and keeps an identifier below
the home; there is no setting against it. It does neither where the package `openvino_telemetry` cannot be imported. So that
package is barred in this process before OpenVINO is imported. In a command, the converter itself is barred too: it is not
needed, and its import takes longer than the rest.
"""

import os
import sys
import warnings
from functools import cache
from typing import Any, Final

from voxface.runtime.engines.memory_bound import is_process_ours
from voxface.runtime.errors import ProviderError
from voxface.runtime.install_advice import how_to_install

TELEMETRY: Final = "openvino_telemetry"
_CONVERTER: Final = "openvino.tools.ovc"
_KERNEL_CACHE: Final = "NEO_CACHE_PERSISTENT"  # the GPU driver's, in the user's home
_LONGEST_MESSAGE: Final = 300  # letters
_NO_REASON: Final = ("Exception from ", "Check '")  # lines that say where in OpenVINO's source it was raised


def import_openvino() -> Any:
    """The module openvino, with its telemetry off.

    Raises:
        ProviderError: it is not installed, or does not load.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]  # importing it raises ModuleNotFoundError
        if is_process_ours():
            sys.modules.setdefault(_CONVERTER, None)  # type: ignore[arg-type]
        os.environ.setdefault(_KERNEL_CACHE, "0")
    elif sys.modules.get(TELEMETRY) is not None:
        warnings.warn(  # of one place, so that it is shown once
            "voxface: openvino was imported before an engine of voxface was opened, with its telemetry on; import it later",
            RuntimeWarning,
            stacklevel=1,
        )
    try:
        import openvino
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "openvino"
        raise ProviderError(
            f"OpenVINO {'is not installed' if missing else f'does not load ({reason(error)})'}; {how_to_install('openvino')}"
        ) from error
    return openvino


@cache
def core() -> Any:
    """OpenVINO's Core, one for the process, since it keeps the plugins of devices.

    Raises:
        ProviderError: see `import_openvino`.
    """
    return import_openvino().Core()


def version() -> str:
    """OpenVINO's version without its build, as "2026.4.1"."""
    return str(import_openvino().__version__).split("-", maxsplit=1)[0]


def check_device(device: str) -> None:
    """Checks that there is a device ("CPU", "GPU" or "NPU").

    Raises:
        ProviderError: there is none, or OpenVINO is not installed.
    """
    found = [str(name) for name in core().available_devices]
    if not any(name.split(".")[0] == device for name in found):
        raise ProviderError(
            f"OpenVINO {version()} finds no {device} (it has {', '.join(found) or 'no device'}); install the driver of the "
            f"{device}, or use --provider {'cpu' if device == 'CPU' else 'openvino'}"
        )


def reason(error: BaseException) -> str:
    """The reason in an error of OpenVINO, which may quote names from a graph, in one line that fits a terminal."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = " ".join(line for line in lines if line and not line.startswith(_NO_REASON)) or type(error).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in said[:_LONGEST_MESSAGE])
