"""The errors that a user can act on, each with its exit code of the command line."""

from typing import ClassVar, Literal

# Why no face is made of a sound. The event `NoFace` of a live session, `NoSpeechError` and the JSON of the command line have
# the same words.
NoFaceReason = Literal[
    "silence",
    "noise",
    "music",
    "too quiet",
    "clipping",
    "all-zero microphone",
    "too little speech",
    "confidence",
    "child",
]


class VoxfaceError(Exception):
    """An error that a user can act on: one line that says what was wrong, where, and what to do.

    Attributes:
        exit_code: exit code of a command that ends with this error.
    """

    exit_code: ClassVar[int] = 1


class UsageError(VoxfaceError):
    """An option or argument with an impossible value, or a call that is not allowed now."""

    exit_code = 2


class NoPickleError(UsageError, TypeError):
    """An object that holds engines or a thread was to be pickled or copied, as for another process."""


class InputError(VoxfaceError):
    """Audio, a folder or a model file that is missing, unreadable or invalid."""

    exit_code = 3


class NoSpeechError(VoxfaceError):
    """Readable audio of which no face is made: no speech was found in it, the confidence is too low, or it is a child's voice.

    Attributes:
        reason: why, in the words of the live event `NoFace`; None where several sounds were heard.
    """

    exit_code = 4

    def __init__(self, message: str, reason: NoFaceReason | None = None) -> None:
        super().__init__(message)
        self.reason = reason


class ProviderError(VoxfaceError):
    """An execution provider, library or device that was asked for and cannot be used."""

    exit_code = 5


class BundleError(VoxfaceError):
    """A bundle, or a file in it, that is not what its manifest says."""

    exit_code = 6


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work; what was promised for that is saved.

    Attributes:
        number: the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
