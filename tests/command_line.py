"""The command line, called within the process of the test."""

from voxface.cli import main


def run(*words: object) -> int:
    """One command in this process: its exit code."""
    try:
        return main([str(word) for word in words])
    except SystemExit as end:
        return int(end.code or 0)
