"""Processes that are killed while they write: in a room beside their target, and between two steps that replace a folder."""

import signal
import subprocess
import sys
import textwrap


def killed(script: str, *words: object) -> None:
    """A process that ends itself by SIGKILL somewhere in the script."""
    code = textwrap.dedent(script)
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], check=False)
    assert done.returncode == -signal.SIGKILL


IN_A_ROOM = """
    import os, signal, sys
    from pathlib import Path
    from voxface.runtime.files.replacement import room_beside
    with room_beside(Path(sys.argv[1])) as room:
        (room / "half").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""
BETWEEN_TWO_STEPS = """
    import os, signal, sys
    from pathlib import Path
    from voxface.runtime.files import replacement
    replacement.exchange = lambda one, other: False
    place, real = Path(sys.argv[1]), Path.rename
    def rename(self, target):
        if self.name == "new":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, target)
    Path.rename = rename
    with replacement.room_beside(place) as room:
        (room / "new").mkdir()
        (room / "new" / "a").write_text("new")
        replacement.take_place(room / "new", place, room)
"""
