"""What `voxface live --show window` would do, tried in a process of its own, since a driver may end the process."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

WINDOW_S: Final = 60  # a window that is not open by then does not open


def window_apart() -> dict[str, Any]:
    """Opens a window for a moment in a process of its own: `ok`, whether Open3D `loads`, and `why` not."""
    code = "import json\nfrom voxface.cli.live.window import try_window\nprint()\nprint(json.dumps(try_window()))"
    here = str(Path(__file__).parent.parent.parent.parent)
    paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    # A driver's cache of shaders is not for a doctor to write: Mesa's, NVIDIA's.
    caches = {"MESA_SHADER_CACHE_DISABLE": "true", "__GL_SHADER_DISK_CACHE": "0"}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **caches}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=WINDOW_S, check=False,
            start_new_session=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"ok": False, "loads": True, "why": f"no window opens within {WINDOW_S} s; use --show terminal"}
    except OSError as error:
        return {
            "ok": False,
            "loads": False,
            "why": f"no window was tried: {sys.executable} does not start ({error.strerror})",
        }
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        return {"ok": False, "loads": False, "why": f"Open3D ends the process ({_ended(done)}); use --show terminal"}
    found: dict[str, Any] = json.loads(lines[-1])
    return found


def _ended(done: "subprocess.CompletedProcess[str]") -> str:
    """How a process ended, in words."""
    if done.returncode < 0:
        return f"signal {-done.returncode}"
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
