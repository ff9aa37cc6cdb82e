"""What the verbs of `voxface data` say of files that they had to leave out."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from voxface.cli.output import complain

if TYPE_CHECKING:
    from voxface.training.data.speech_corpus import LeftOut


def complain_of(left_out: "Sequence[LeftOut]") -> list[dict[str, Any]]:
    """Prints a line of each; returns them for "errors" of the JSON document."""
    for left in left_out:
        complain(f"{left.file}: {left.reason}")
    return [
        {"file": left.file, "exit_code": left.exit_code, "message": f"{left.file}: {left.reason}"} for left in left_out
    ]
