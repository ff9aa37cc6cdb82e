"""Runs a notebook from its first cell to its last, and keeps the executed copy.

    python examples/notebooks/run.py examples/notebooks/1_quickstart.ipynb --out quickstart.ipynb

It needs the extra `notebooks`. What Jupyter would leave in the home goes into a temporary folder.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path


def run(path: Path) -> str:
    """The executed notebook as JSON.

    Raises:
        CellExecutionError: a cell failed; the message shows it.
    """
    with tempfile.TemporaryDirectory() as place:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
            os.environ.setdefault(name, str(Path(place) / name.lower()))
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a remark about the debugger, which nobody attaches here
        import nbformat
        from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
        from jupyter_client.manager import AsyncKernelManager
        from nbclient import NotebookClient

        notebook = nbformat.read(path, as_version=4)
        # The kernel is that of this Python, whatever kernels are installed elsewhere. It is reached by sockets in the folder:
        # no port is opened.
        manager = AsyncKernelManager(
            kernel_name=NATIVE_KERNEL_NAME,
            kernel_spec_manager=KernelSpecManager(ensure_native_kernel=True),
            transport="ipc",
            connection_file=str(Path(place) / "kernel.json"),
            ip=str(Path(place) / "kernel"),
        )
        where = {"metadata": {"path": str(path.parent)}}
        NotebookClient(notebook, km=manager, timeout=600, startup_timeout=300, resources=where).execute()
        return str(nbformat.writes(notebook))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], allow_abbrev=False)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the executed copy to write")
    options = parser.parse_args()
    if not options.notebook.is_file():
        print(f"{options.notebook}: no such file", file=sys.stderr)
        return 3
    if options.out.resolve() == options.notebook.resolve():
        print(f"--out {options.out}: is the notebook itself, which is kept without outputs", file=sys.stderr)
        return 2
    options.out.write_text(run(options.notebook))
    return 0


if __name__ == "__main__":
    sys.exit(main())
