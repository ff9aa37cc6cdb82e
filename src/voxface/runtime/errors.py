"""The errors that a user can act on, each with its exit code of the command line."""

from typing import ClassVar


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
    """Readable audio in which no speech was found."""

    exit_code = 4


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
