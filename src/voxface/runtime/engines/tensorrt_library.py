"""The two TensorRT libraries, which have the same interface: how to get one, and what it says while it works."""

import importlib
from collections import deque
from functools import cache
from typing import Any

from voxface.runtime.errors import ProviderError

MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
INSTALL = {
    "tensorrt": "TensorRT of this device (JetPack brings it; elsewhere the vendor's packages)",
    "tensorrt-rtx": "TensorRT for RTX: pip install 'voxface[tensorrt-rtx]'",
}
KEPT = 200  # messages


def library(flavour: str) -> Any:
    """The Python module of a flavour ("tensorrt" or "tensorrt-rtx").

    Raises:
        ProviderError: it is not installed, or does not load.
    """
    try:
        return importlib.import_module(MODULES[flavour])
    except ImportError as error:
        raise ProviderError(
            f"flavour {flavour!r}: {MODULES[flavour]} is not installed; install {INSTALL[flavour]}"
        ) from error
    except (OSError, RuntimeError) as error:  # a shared library that is missing or of another system
        raise ProviderError(
            f"flavour {flavour!r}: {MODULES[flavour]} does not load ({error}); install {INSTALL[flavour]}"
        ) from error


@cache
def log_of(trt: Any) -> Any:
    """What a library said: one collector for each, because TensorRT keeps to the first logger it is given.

    It has `clear()` and `last_error()`; pass it where a logger is wanted.
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
            """The last error in one line, or that there was none."""
            if not self._messages:
                return "TensorRT gave no reason"
            return " ".join(self._messages[-1][1].split())[:400]

    return Log()
