"""The command line: one file a verb. A verb imports what it needs when it runs, so that `--help` loads nothing heavy."""

import argparse
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

VERBS = {
    "run": "faces and meshes from sound files",
    "live": "a moving face and mesh from the microphone, a file or a pipe",
    "serve": "many voices at once, by HTTP and WebSocket, and a page for browsers",
    "load": "how many voices a server keeps up with, and how late their faces are",
    "provenance": "what files say of how they came about: marks of synthetic content, of any maker",
    "devices": "microphones, and which of them work",
    "profile": "how fast it runs here, where the time goes, and whether it was faster before",
    "doctor": "what is installed, what works, and how to mend what does not",
    "bundle": "show and verify bundles; import published face models and networks",
    "export": "trained networks to ONNX graphs in a bundle",
    "calibrate": "a bundle to FP16 or INT8, decided node by node on real speech",
    "build": "TensorRT engines of a bundle's graphs, built ahead of time",
    "compare": "two engines side by side: how far apart, how fast, and where they first differ",
    "train": "voice encoder, face and mesh networks, and experts, from pairs of voices and faces",
    "eval": "the papers' tables and figures, and today's protocols, of a bundle or of another method's faces",
    "data": "voices and faces to train on, synthetic faces, and 3D faces fitted to landmarks",
    "completion": "a script that completes words of this command line in bash, zsh or fish",
}

# Verbs that run beside other work on the device, so they keep to one BLAS thread: see `voxface.runtime.processor`.
ON_DEVICE = ("run", "live", "serve", "load", "devices", "profile")
# Verbs in which something can go wrong beside the main thread, which is logged. `logging` takes time to import, so that others,
# whose first answer is waited for, import it only if VOXFACE_LOG asks for more than their errors.
LOGGING = ("live", "profile")


class _Misuse(SystemExit):
    """Arguments that the parser refuses."""

    def __init__(self, parser: argparse.ArgumentParser, message: str) -> None:
        super().__init__(2)
        self.said, self.message = f"{parser.format_usage()}{parser.prog}: error: {message}", message


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Misuse(self, message)

    def format_help(self) -> str:
        from voxface.cli.examples import EXAMPLES

        # Not `epilog`, whose lines argparse breaks: a command that is broken in two can be copied no more.
        return f"{super().format_help()}\nexample:\n  {EXAMPLES[self.prog]}\n"


def build_parser(verb: str | None, *, alone: bool = False) -> argparse.ArgumentParser:
    """The parser of all verbs, or of `verb` `alone`. Only `verb` gets its options, so that help for one never loads another."""
    parser = _Parser(
        prog="voxface", description="Turns a voice into a face image and a 3D face mesh.", allow_abbrev=False
    )
    parser.add_argument("--version", dest="about", action="store_true", help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, what in VERBS.items():
        if alone and name != verb:
            continue
        sub = verbs.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".", allow_abbrev=False)
        if name == verb:
            importlib.import_module(f"voxface.cli.{name}").add_arguments(sub)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    try:
        code = _command(arguments)
        watch = sys.modules.get("voxface.runtime.engines.watch")
        if watch is not None and watch.anything_left_behind():
            sys.stderr.flush()
            os._exit(code)
        processes = sys.modules.get("voxface.training.engine.processes")
        if processes is not None and arguments is None:
            processes.end_at_once(code)
        if arguments is None and "voxface.cli.run" in sys.modules:
            # The process ends. Otherwise the interpreter would search everything for circles, several times, on its way out,
            # which takes a fifteenth of the time to a first face. What other verbs have started, such as Ray, ends as ever.
            gc.freeze()
            gc.disable()
        return code
    except KeyboardInterrupt:  # before the verb ran
        print("voxface: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    finally:
        # The command is done. A Ctrl-C while the interpreter cleans up, which takes PyTorch a second, is no traceback.
        if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            with suppress(ValueError):  # called beside the main thread
                signal.signal(signal.SIGINT, signal.SIG_DFL)


def _command(arguments: Sequence[str] | None) -> int:
    """Reads the arguments and runs the verb; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the program that started this one
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # the terminal's encoding may lack letters of a file name
    verb = next((word for word in words if word in VERBS), None)
    from voxface.cli.output import Documents, complain, fail_json

    Documents.asked = Documents.printed = False
    try:
        # The other verbs are named where the first word is none; their parsers take longer to make than that of the verb.
        options = build_parser(verb, alone=words[:1] == [verb]).parse_args(words)
    except _Misuse as misuse:
        print(misuse.said, file=sys.stderr)
        fail_json("--json" in words and "--json-lines" not in words, misuse.message, 2)
        raise
    if options.about:
        from voxface import __version__

        print(f"voxface {__version__}")
        return 0
    if options.verb is None:
        build_parser(None).print_help()
        return 2
    Documents.asked = bool(getattr(options, "json", False))
    if options.verb in ON_DEVICE:
        from voxface.runtime.processor import ask_for_one_thread

        ask_for_one_thread()
    from voxface.runtime.engines.memory_bound import process_is_ours
    from voxface.runtime.errors import InputError

    logs = options.verb in LOGGING or bool(os.environ.get("VOXFACE_LOG"))
    try:
        with process_is_ours():
            code = _run(options, logs=logs)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output has gone, as in `voxface … | head`
        _silence()
        return 141
    except OSError as error:  # standard output on a full disk
        complain(f"standard output: {error.strerror or error}")
        _silence()
        return InputError.exit_code


def _run(options: argparse.Namespace, *, logs: bool) -> int:
    """Runs the verb, or says why it failed, with its traceback where `logs` are shown; returns the exit code.

    Raises:
        OSError: standard output cannot be written.
    """
    from voxface.cli.output import complain, fail_json
    from voxface.runtime.errors import InputError, VoxfaceError

    asked = getattr(options, "json", False) and not getattr(options, "json_lines", False)
    trace: BaseException | None = None
    try:
        if logs:
            from voxface.cli.logs import show_logs

            show_logs()
        return int(importlib.import_module(f"voxface.cli.{options.verb}").run(options))
    except VoxfaceError as error:
        if (interrupted := _interruption_behind(error)) is not None:
            return _tell_interrupted(interrupted, asked)
        code, said, trace = error.exit_code, str(error), error
    except KeyboardInterrupt as error:
        return _tell_interrupted(error, asked)
    except MemoryError as error:
        code = 1
        said = f"not enough memory ({error or 'none said how much'}); ask for less at a time, a smaller --batch say"
    except OSError as error:
        if not error.filename:
            raise
        code, said = InputError.exit_code, f"{error.filename}: {error.strerror or error}"  # which no verb has explained
    complain(said)
    if trace is not None and logs:
        from voxface.cli.logs import log_traceback

        log_traceback(trace)
    fail_json(asked, said, code)
    return code


def _interruption_behind(error: BaseException) -> KeyboardInterrupt | None:
    """The Ctrl-C that caused an error: a library in C that it meets while it loads says that it cannot be loaded."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt):
        cause = cause.__cause__
    return cause


def _tell_interrupted(interrupted: KeyboardInterrupt, asked: bool) -> int:
    """Says that the command was interrupted, in JSON too where it was `asked`; returns the exit code."""
    from voxface.cli.output import fail_json, tell
    from voxface.runtime.errors import Interrupted

    code = 128 + (interrupted.number if isinstance(interrupted, Interrupted) else signal.SIGINT)
    tell("voxface: interrupted\n")
    fail_json(asked, "interrupted", code)
    return code


def _silence() -> None:
    """Discards output that cannot be written, so that the interpreter does not report it again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
