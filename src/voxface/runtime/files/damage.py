"""What a damaged file may raise, in one list, and the one line that an error becomes.

Whoever parses bytes that came from outside does it within `reading`: libraries answer damage with errors of many kinds, and a
list kept by each reader is never complete.
"""

import lzma
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from voxface.runtime.errors import InputError, VoxfaceError
from voxface.runtime.files.kinds import kind_of_file

# Of Python and its library; numpy, torch, h5py and Pillow mostly raise these too. OverflowError is an ArithmeticError, a
# decoding error of text or JSON a ValueError, KeyError a LookupError, RecursionError and NotImplementedError (zipfile: an
# unknown compression) a RuntimeError, SyntaxError and TokenError how numpy and Pillow refuse a header, MemoryError how numpy
# refuses a huge shape.
DAMAGE: Final[tuple[type[Exception], ...]] = (
    *(ArithmeticError, AssertionError, AttributeError, BufferError, EOFError, LookupError, MemoryError, OSError),
    *(RuntimeError, SyntaxError, TypeError, ValueError),
    *(
        lzma.LZMAError,
        pickle.PickleError,
        struct.error,
        tokenize.TokenError,
        zipfile.BadZipFile,
        zlib.error,
    ),
)
# Their own classes derive from Exception alone, and they cannot be named here without loading the library; a first face waits
# for every import.
_LIBRARIES: Final = ("PIL", "h5py", "safetensors", "_csv", "tarfile")
_LONGEST: Final = 240  # letters of a reason


def is_damage(error: BaseException) -> bool:
    """Whether an error may come from the bytes of a file; errors that were explained already are none."""
    if isinstance(error, VoxfaceError):
        return False
    return isinstance(error, DAMAGE) or (
        isinstance(error, Exception) and type(error).__module__.split(".")[0] in _LIBRARIES
    )


def reason(error: BaseException) -> str:
    """What an error says, in one line of printable letters."""
    if isinstance(error, MemoryError):
        return "it asks for more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, EOFError):
        return error.strerror
    text = " ".join(str(error).split())
    if isinstance(error, KeyError):
        text = f"no {text}"
    text = "".join(letter if letter.isprintable() else "?" for letter in text) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


@contextmanager
def reading(
    source: Path | str,
    what: str,
    *,
    advice: str = "fetch it again",
    error: type[VoxfaceError] = InputError,
) -> Iterator[None]:
    """Errors of damage within become one line about the file; what is no damage, and what is one line already, passes.

    Args:
        source: the file, or what stands for it in the message. A file that is plainly of another kind is named as such.
        what: what was to be read, with its article: "an .npz archive".
        advice: what to do about it.
        error: class of the error.

    Raises:
        VoxfaceError: of the class `error`.
    """
    try:
        yield
    except Exception as caught:
        if not is_damage(caught):
            raise
        if isinstance(caught, OSError) and caught.errno is not None and caught.strerror:
            raise error(f"{source}: cannot be read ({caught.strerror})") from caught
        kind = kind_of_file(source) if isinstance(source, Path) else None
        if kind is not None and not kind.startswith(what):
            raise error(f"{source}: is {kind}, not {what}; {advice}") from caught
        raise error(f"{source}: a damaged {what.split(' ', 1)[1]}, or none ({reason(caught)}); {advice}") from caught
