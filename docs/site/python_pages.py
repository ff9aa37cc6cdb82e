"""The reference of the Python interface: a page for each group of public names, filled from their docstrings."""

from functools import cache
from typing import Final

import voxface

FOLDER: Final = "reference/python"
GROUPS: Final = {
    "voices": ("Voices to faces", ("VoiceToFace", "Stream", "AsyncStream")),
    "estimates": ("Estimates", ("Estimate", "Attributes", "Age", "FacePosterior", "Told", "Speech")),
    "events": (
        "Events",
        (
            "Event", "StreamStarted", "VoiceStarted", "FaceEstimated", "NoFace", "SpeakerChanged", "VoiceEnded", "Lost",
            "Rejected", "Skipped", "EngineFailed", "StreamEnded",
        ),
    ),
    "settings": ("Settings", ("LiveConfig", "VadConfig", "FrontEndConfig")),
    "bundles": ("Bundles", ("Bundle", "MorphableModel", "FrontEnd")),
    "errors": ("Errors", ("VoxfaceError", "UsageError", "InputError", "NoSpeechError", "ProviderError", "BundleError")),
}  # fmt: skip
"""File -> title and names."""


@cache
def python_pages() -> dict[str, str]:
    """Path -> Markdown."""
    shown = {name for _, names in GROUPS.values() for name in names}
    missing = set(voxface.__all__) - shown - {"__version__"}
    assert not missing, f"docs/site/python_pages.py: put {', '.join(sorted(missing))} into a group"
    pages = {f"{FOLDER}/index.md": _index()}
    return pages | {f"{FOLDER}/{file}.md": _page(title, names) for file, (title, names) in GROUPS.items()}


def _index() -> str:
    rows = "\n".join(
        f"| [{title}]({file}.md) | {', '.join(f'[`{name}`]({file}.md#{_place(name)})' for name in names)} |"
        for file, (title, names) in GROUPS.items()
    )
    return (
        "# The Python interface\n\n`import voxface` has these names; each is loaded when it is first used. Whatever else lies "
        f"below `voxface` may change from one version to the next.\n\n| | |\n|---|---|\n{rows}\n"
    )


def _page(title: str, names: tuple[str, ...]) -> str:
    return f"# {title}\n\n" + "\n".join(f"::: {_place(name)}\n" for name in names)


def _place(name: str) -> str:
    """The module that defines a public name, and the name."""
    return f"voxface.runtime.{voxface._MODULES[name]}.{name}"
