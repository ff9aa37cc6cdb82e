"""Telemetry of dependencies, switched off.

The Linux wheels of ONNX Runtime collect telemetry from version 1.29 on: a program that opens a session writes an identifier and
a database below the user's cache folder, and one that runs for about ten seconds looks up a collector's host. The environment
variable stops both, if it is set before ONNX Runtime is imported. So `import voxface` sets it, and the processes that a program
starts inherit it. An explicit setting stays. Windows has no such variable; there, the events are switched off by a call when
ONNX Runtime is loaded (`voxface.runtime.engines.onnxruntime`).
"""

import os
import sys
from typing import Final

VARIABLE: Final = "ORT_DISABLE_TELEMETRY"
_imported_before_us = False


def switch_off() -> None:
    """Sets the variable, unless the user has set it; an empty one counts as not set."""
    global _imported_before_us  # noqa: PLW0603 - a fact about this process, learnt once
    if os.environ.get(VARIABLE):
        return
    _imported_before_us = "onnxruntime" in sys.modules
    os.environ[VARIABLE] = "1"


def why_on() -> str | None:
    """Why ONNX Runtime may collect telemetry in this process; None: it does not."""
    if _imported_before_us:
        return (
            f"ONNX Runtime was imported before voxface, with its telemetry on; import voxface first, or set {VARIABLE}=1 "
            "before the program starts"
        )
    value = os.environ.get(VARIABLE, "")
    return (
        None if value == "1" else f"{VARIABLE} is {value!r}, which may leave ONNX Runtime's telemetry on; set it to 1"
    )
