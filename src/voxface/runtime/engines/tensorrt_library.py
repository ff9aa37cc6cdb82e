"""The two TensorRT libraries, which have the same interface: how one is imported, and the messages that it logs."""

import importlib
from collections import deque
from functools import cache
from typing import Any

from voxface.runtime.errors import ProviderError
from voxface.runtime.install_advice import how_to_install

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
KEPT = 200  # messages of a log


def how_to_get(flavour: str) -> str:
    """How to install the library of a flavour."""
    if flavour == "tensorrt":
        return f"install TensorRT of this device (JetPack brings it; elsewhere {how_to_install('tensorrt')})"
    return f"for TensorRT for RTX {how_to_install('tensorrt-rtx')}"


def library(flavour: str) -> Any:
    """The Python module of a flavour ("tensorrt" or "tensorrt-rtx").

    Raises:
        ProviderError: the module is not installed, or does not load.
    """
    try:
        return importlib.import_module(MODULES[flavour])
    except ImportError as error:
        raise ProviderError(
            f"flavour {flavour!r}: {MODULES[flavour]} is not installed; {how_to_get(flavour)}"
        ) from error
    except (OSError, RuntimeError) as error:  # a shared library that is missing or of another system
        raise ProviderError(
            f"flavour {flavour!r}: {MODULES[flavour]} does not load ({error}); {how_to_get(flavour)}"
        ) from error


@cache
def log_of(trt: Any) -> Any:
    """The logger of a library, which collects error messages: it has `clear()` and `last_error()`.

    There is one for each library, because TensorRT keeps the first logger it is given.
    """

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # the binding wants it called by name
            self._messages: deque[tuple[Any, str]] = deque(maxlen=KEPT)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self._messages.append((severity, msg))

        def clear(self) -> None:
            self._messages.clear()

        def last_error(self) -> str:
            """The last error message in one line; a sentence in its place if there was none."""
            if not self._messages:
                return "TensorRT gave no reason"
            return " ".join(self._messages[-1][1].split())[:400]

    return Log()
