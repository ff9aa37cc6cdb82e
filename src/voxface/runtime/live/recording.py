"""A recording that `Recorder` wrote, read again: settings, sound, inputs, events and meshes, each checked before it is used.

A process that was killed leaves a recording that is whole up to its last event; it is read as far as it goes.
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.config.sample_rate import SAMPLE_RATE
from voxface.runtime.errors import InputError
from voxface.runtime.live.audio_input import Audio, Item
from voxface.runtime.live.events import Lost, Rejected, Skipped, StreamEnded, StreamStarted
from voxface.runtime.live.sinks.recorder import FORMAT, MANIFEST, VERTICES
from voxface.runtime.provenance.mark import KEY

BLOCK_SAMPLES: Final = SAMPLE_RATE // 50
VADS: Final = ("webrtc", "silero")
LAST_SAMPLE: Final = 2**53  # millions of years; numbers beyond are damage
Input = StreamStarted | StreamEnded | Lost | Rejected
Row = TypeVar("Row")
_KINDS: Final = {kind.kind: kind for kind in (StreamStarted, StreamEnded, Lost, Rejected, Skipped)}


class Recording:
    """A recording in a folder.

    Attributes:
        folder: the folder.
        about: contents of `recording.json`.
        complete: whether the recording was closed, and not left by a process that was killed or a disk that was full.
        config: settings of the session.
        start: absolute index of the first sample.
        skips: positions of the estimates that were left out.
    """

    def __init__(self, folder: Path) -> None:
        """Reads everything but the sound, the events and the meshes.

        Raises:
            InputError: the folder holds no recording, or a damaged one.
        """
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            raise InputError(f"{folder}: no recording there (it has no {MANIFEST})")
        try:
            self.about: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
            if self.about["format"] != FORMAT:
                raise InputError(f"{folder}: recording format {self.about['format']}, this voxface reads {FORMAT}")
            self.complete = bool(self.about.get("complete", True))
            self.config = LiveConfig.from_json(self.about["config"])
            self.start = _count("start", self.about["start"])
            if self.about.get("vad", VADS[0]) not in VADS:
                raise ValueError(f"vad {self.about['vad']!r} is not one of {', '.join(VADS)}")
            inputs = list(self._rows("inputs.jsonl", _input))
            self.skips = frozenset(given.position for _, given in inputs if isinstance(given, Skipped))
            self._inputs = [(fed, given) for fed, given in inputs if not isinstance(given, Skipped)]
            self._audio = sorted(
                (_count("its name", int(path.stem)), path) for path in (folder / "audio").glob("*.wav")
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(f"{folder}: a damaged recording ({_reason(error)})") from error

    def items(self) -> Iterator[Item]:
        """The sound and the events that the session was fed, in order.

        Raises:
            InputError: a sound file is missing or damaged, or what was fed does not follow on what was fed before.
        """
        waiting = deque(self._inputs)
        position = self.start
        for start, path in self._audio:
            while waiting and position < start and waiting[0][0] <= position:
                item = self._next(waiting, position)
                yield item
                position = item.end if isinstance(item, Lost) else position
            if position != start:
                raise InputError(f"{path}: begins at sample {start}, but the recording has got to {position}")
            for block in read_blocks(path):
                at = 0
                while at < len(block):
                    while waiting and waiting[0][0] <= position and not isinstance(waiting[0][1], Lost):
                        yield self._next(waiting, position)
                    stop = min(len(block), at + BLOCK_SAMPLES)
                    if waiting and waiting[0][0] > position:
                        stop = min(stop, at + waiting[0][0] - position)
                    yield Audio(position, block[at:stop])
                    position += stop - at
                    at = stop
        while waiting:
            if not self.complete and waiting[0][0] > position:
                return  # the sound that came before it was not written any more
            item = self._next(waiting, position)
            yield item
            position = item.end if isinstance(item, Lost) else position

    def events(self) -> Iterator[dict[str, Any]]:
        """The recorded events as JSON, without the times that a clock measured.

        Raises:
            InputError: the file is missing or damaged.
        """
        try:
            yield from self._rows("events.jsonl", comparable)
        except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise InputError(
                f"{self.folder / 'events.jsonl'}: damaged ({_reason(error)}); the recording cannot be compared"
            ) from error

    def meshes(self) -> NDArray[np.float32]:
        """The vertices of every face, float32 [K, N, 3]; K is 0 if there are none.

        Raises:
            InputError: the file is damaged.
        """
        path = self.folder / VERTICES
        if not path.exists():
            return np.empty((0, 0, 3), np.float32)
        try:
            shape, offset = _header(path)
            rows, points, axes = shape
            return (
                np.memmap(path, np.float32, "r", offset, (rows, points, axes)) if rows else np.empty(shape, np.float32)
            )
        except (OSError, ValueError, OverflowError, TypeError) as error:
            raise InputError(f"{path}: damaged ({_reason(error)})") from error

    def _next(self, waiting: deque[tuple[int, Input]], position: int) -> Input:
        """The next input, which must follow on the sample that the recording has got to."""
        fed, item = waiting.popleft()
        if fed != position or (isinstance(item, Lost) and item.start != position):
            raise InputError(
                f"{self.folder}: a damaged recording (inputs.jsonl: {item.kind} at sample {fed}"
                f"{f' of samples from {item.start}' if isinstance(item, Lost) else ''}, where the recording has got to "
                f"{position})"
            )
        return item

    def _rows(self, name: str, read: Callable[[dict[str, Any]], Row]) -> Iterator[Row]:
        """What `read` makes of each line's JSON object; ValueError for a line that is none.

        A last line without an end is what a kill leaves of a line that was being written.
        """
        with (self.folder / name).open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    if self.complete:
                        raise ValueError(f"{name}: its last line is cut off")
                    return
                try:
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ValueError("no object")
                    made = read(row)
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise ValueError(f"{name}, line {number}: {_reason(error)}") from error
                yield made


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """The JSON of an event without the times, which differ from run to run, and without the mark, which is of the version and
    the bundle and not of the sound."""
    return {key: value for key, value in document.items() if key not in ("latency_ms", KEY)}


def _input(row: dict[str, Any]) -> tuple[int, Input | Skipped]:
    """(position at which it was fed, the input) of a line of `inputs.jsonl`."""
    if row.get("event") not in _KINDS:
        raise ValueError(f"{row.get('event')!r} is no input")
    kind = _KINDS[row["event"]]
    given = {key: value for key, value in row.items() if key not in ("fed", "event")}
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name != "kind"}
    if given.keys() != hints.keys():
        raise ValueError(f"{kind.kind} has {', '.join(given) or 'nothing'}, not {', '.join(hints)}")
    for name, hint in hints.items():
        if hint is int:
            _count(name, given[name])
        elif not isinstance(given[name], str) or (get_origin(hint) and given[name] not in get_args(hint)):
            raise ValueError(f"{name} is {given[name]!r}")
    made: Input | Skipped = kind(**given)
    if isinstance(made, Lost | Rejected) and made.end - made.start < isinstance(made, Lost):  # no loss of nothing
        raise ValueError(f"{kind.kind} from sample {made.start} to {made.end}")
    return _count("fed", row.get("fed")), made


def _count(name: str, value: Any) -> int:
    """A whole number that a sample's position can be."""
    if type(value) is not int or not 0 <= value <= LAST_SAMPLE:
        raise ValueError(f"{name} is {str(value)[:40]!r}, no position of a sample")
    return value


def _header(path: Path) -> tuple[tuple[int, ...], int]:
    """Shape of the array in a .npy file float32 [K, N, 3], and where its numbers begin.

    Raises:
        ValueError: the file is no .npy file, its array is another, or it is shorter than its array. It may be longer: a row is
            written before the header counts it.
    """
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"version {version} of .npy")
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, fortran, dtype = read(file)
        except Exception as error:  # numpy evaluates it as Python, which raises errors of many kinds
            raise ValueError("no header of .npy") from error
        offset, size = file.tell(), os.fstat(file.fileno()).st_size
    if dtype != np.float32 or dtype.hasobject or fortran:
        raise ValueError(f"{dtype}{' in column order' if fortran else ''}, not float32")
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 0:
        raise ValueError(f"shape {shape}, not [K, N, 3]")
    rows, points, axes = shape
    if offset + 4 * rows * points * axes > size:
        raise ValueError(f"{size} bytes, {offset + 4 * rows * points * axes} are needed for {rows} meshes")
    return shape, offset


def _reason(error: BaseException) -> str:
    """One line about what is wrong."""
    if isinstance(error, OSError):
        return f"{Path(str(error.filename)).name}: {error.strerror or error}" if error.filename else str(error)
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return " ".join(str(error).split())
