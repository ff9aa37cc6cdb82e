"""A pickle's program, carried out as data: nothing that it names is imported, and nothing that it calls is called.

A pickle can call whatever it can import, so `pickle.load` of a file from elsewhere runs that file. Here a name becomes a
`Global`, a call a `Made` object that keeps its arguments, a dictionary a `Table`. Whoever wants arrays or tensors looks for
the calls that make them. All protocols are read (0 to 5).
"""

import codecs
import io
import pickletools
from dataclasses import dataclass, field
from typing import Any, Final

_OPCODES: Final = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
_MOST_OPERATIONS: Final = 2_000_000  # of a pickle; the state of a network with a thousand layers has about 100,000
_CONSTANTS: Final[dict[str, Any]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES: Final = frozenset(
    """
    INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT BINFLOAT
    """.split()  # noqa: SIM905 (a list of 20 strings is harder to read)
)
_PASSED_OVER: Final = frozenset({"PROTO", "FRAME"})
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# Modules, and names of others, that no array or network needs and that could run programs or reach files if they were called.
_COULD_RUN: Final = frozenset(
    """
    os posix nt subprocess _posixsubprocess sys shutil socket pty runpy importlib imp zipimport ctypes _ctypes code codeop
    commands webbrowser pip ensurepip pdb bdb timeit cProfile multiprocessing pickle _pickle dill cloudpickle marshal shelve
    urllib http requests ftplib smtplib
    """.split()  # noqa: SIM905 (as above)
)
_COULD_RUN_TOO: Final = frozenset(
    f"{module}.{name}"
    for module in ("builtins", "__builtin__")
    for name in ("eval", "exec", "execfile", "compile", "open", "file", "__import__", "breakpoint", "input", "globals")
) | {"torch.load", "numpy.load", "numpy.save", "numpy.fromfile", "numpy.memmap", "io.open", "_io.open", "_io.FileIO"} | {
    "types.CodeType", "types.FunctionType"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Global:
    """Something that the pickle would import."""

    module: str
    name: str

    def __str__(self) -> str:
        return "".join(c if c.isprintable() else "?" for c in f"{self.module}.{self.name}")

    @property
    def could_run(self) -> bool:
        """Whether it is known to run programs, or to read or write files, when it is called."""
        module = self.module.split(".")
        name = self.name.split(".")[0]
        return (
            module[0] in _COULD_RUN
            or ".".join([*module, name]) in _COULD_RUN_TOO
            or (
                self.module == "torch.hub"
                or (module[0] == "pathlib" and "." in self.name)  # Path.write_text and the like
            )
        )


@dataclass(slots=True, eq=False)
class Table:
    """A dictionary: its pairs in the order in which they were set; keys of a hostile pickle may take forever to hash."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Made:
    """What a call would make.

    Attributes:
        callee: what is called, a `Global` as a rule.
        arguments: the arguments.
        state: what is set afterwards (`__setstate__`).
        pairs: what is set as in a dictionary.
        items: what is appended as to a list.
    """

    callee: Any
    arguments: tuple[Any, ...]
    state: Any = None
    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    items: list[Any] = field(default_factory=list)

    def is_of(self, *names: str) -> bool:
        """Whether the callee is the global of one of these dotted names."""
        return isinstance(self.callee, Global) and f"{self.callee.module}.{self.callee.name}" in names


@dataclass(frozen=True, slots=True, eq=False)
class Persistent:
    """What lies outside the pickle, by the id that it has there."""

    id: Any


@dataclass(frozen=True, slots=True)
class Pickled:
    """A pickle that was read.

    Attributes:
        value: its value.
        globals: what it names, in order, each once.
        outside: what lies outside of it, in order.
    """

    value: Any
    globals: tuple[Global, ...]
    outside: tuple[Persistent, ...]


class _Mark:
    """Beginning of a group on the stack."""


def read_pickled(file: io.BytesIO) -> Pickled:
    """The pickle that begins where the file stands; afterwards it stands behind it.

    Raises:
        ValueError: no pickle, or one that is cut or too long.
        Exception: another one of `damage.DAMAGE`; call it within `damage.reading`.
    """
    return _Program(file).run()


class _Program:
    """The stack and the memo of a pickle."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._globals: dict[Global, None] = {}
        self._outside: list[Persistent] = []

    def run(self) -> Pickled:
        for _ in range(_MOST_OPERATIONS):
            code = self._file.read(1)
            opcode = _OPCODES.get(code)
            if opcode is None:
                raise ValueError("no pickle" if code else "it ends in the middle of a pickle")
            argument = self._argument(opcode)
            if opcode.name == "STOP":
                return Pickled(self._pop(), tuple(self._globals), tuple(self._outside))
            self._do(opcode.name, argument)
        raise ValueError(f"a pickle of more than {_MOST_OPERATIONS} operations")

    def _argument(self, opcode: pickletools.OpcodeInfo) -> Any:
        if opcode.arg is None:
            return None
        if opcode.name == "STRING":  # pickletools takes ASCII alone, and Python 2 wrote bytes so
            line = self._file.readline().strip()
            if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
                raise ValueError("a string without its quotes")
            return codecs.escape_decode(line[1:-1])[0].decode("latin1")
        return opcode.arg.reader(self._file)

    def _do(self, name: str, argument: Any) -> None:
        stack = self._stack
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _PASSED_OVER:
            pass
        elif name == "MARK":
            stack.append(_Mark)
        elif name in ("EMPTY_LIST", "EMPTY_SET"):
            stack.append([])
        elif name == "EMPTY_DICT":
            stack.append(Table())
        elif name in ("LIST", "FROZENSET"):
            stack.append(self._group())
        elif name == "TUPLE":
            stack.append(tuple(self._group()))
        elif name in _TUPLES:
            stack.append(tuple(self._take(_TUPLES[name])))
        elif name == "DICT":
            stack.append(Table(_pairs(self._group())))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            self._append(self._take(1) if name == "APPEND" else self._group())
        elif name in ("SETITEM", "SETITEMS"):
            self._set(_pairs(self._take(2) if name == "SETITEM" else self._group()))
        elif name in ("POP", "POP_MARK"):
            if name == "POP_MARK":
                self._group()
            elif not stack:
                raise ValueError("nothing to take off the stack")
            else:
                stack.pop()
        elif name == "DUP":
            stack.append(self._top())
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self._memo[argument])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._top()
        elif name == "MEMOIZE":
            self._memo[len(self._memo)] = self._top()
        else:
            self._object(name, argument)

    def _object(self, name: str, argument: Any) -> None:
        """Names, calls, and what lies outside."""
        if name == "GLOBAL":
            self._stack.append(self._named(*argument.split(" ", 1)))
        elif name == "STACK_GLOBAL":
            self._stack.append(self._named(*self._take(2)))
        elif name in ("REDUCE", "NEWOBJ"):
            callee, arguments = self._take(2)
            self._stack.append(Made(callee, _arguments(arguments)))
        elif name == "NEWOBJ_EX":
            callee, arguments, _ = self._take(3)
            self._stack.append(Made(callee, _arguments(arguments)))
        elif name == "INST":
            self._stack.append(Made(self._named(*argument.split(" ", 1)), tuple(self._group())))
        elif name == "OBJ":
            callee, *rest = self._group()
            self._stack.append(Made(callee, tuple(rest)))
        elif name == "BUILD":
            state = self._pop()
            made = self._top()
            if isinstance(made, Made):
                made.state = state
            elif not isinstance(made, Table | list):  # what is set on them is an attribute, which holds no weights
                raise ValueError(f"sets the state of {type(made).__name__}")
        elif name in ("PERSID", "BINPERSID"):
            self._outside.append(Persistent(argument if name == "PERSID" else self._pop()))
            self._stack.append(self._outside[-1])
        else:
            raise ValueError(f"a pickle with the opcode {name}, which needs more than the file")

    def _named(self, module: Any, name: Any = "") -> Global:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("a global whose name is no text")
        found = Global(module, name)
        self._globals[found] = None
        return found

    def _append(self, items: list[Any]) -> None:
        onto = self._top()
        if isinstance(onto, Made):
            onto.items.extend(items)
        elif isinstance(onto, list):
            onto.extend(items)
        else:
            raise ValueError(f"appends to {type(onto).__name__}")

    def _set(self, pairs: list[tuple[Any, Any]]) -> None:
        onto = self._top()
        if not isinstance(onto, Made | Table):
            raise ValueError(f"sets items of {type(onto).__name__}")
        onto.pairs.extend(pairs)

    def _pop(self) -> Any:
        return self._take(1)[0]

    def _top(self) -> Any:
        if not self._stack or self._stack[-1] is _Mark:
            raise ValueError("nothing on the stack")
        return self._stack[-1]

    def _take(self, count: int) -> list[Any]:
        """The last `count` values, which must not reach over a mark."""
        taken = self._stack[-count:]
        if len(taken) < count or _Mark in taken:
            raise ValueError("too little on the stack")
        del self._stack[-count:]
        return taken

    def _group(self) -> list[Any]:
        """The values since the last mark, which goes too."""
        place = len(self._stack) - 1
        while place >= 0 and self._stack[place] is not _Mark:
            place -= 1
        if place < 0:
            raise ValueError("the end of a group that does not begin")
        group = self._stack[place + 1 :]
        del self._stack[place:]
        return group


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    if len(flat) % 2:
        raise ValueError("a key without its value")
    return list(zip(flat[::2], flat[1::2], strict=True))


def _arguments(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise ValueError("a call whose arguments are no tuple")
    return value
