"""A Ctrl-C within the machinery of imports: it comes a moment later, and is not lost."""

import signal
from threading import Event, Thread

import pytest

from voxface.cli.interrupted_import import InterruptedImport


def _interrupted_in(file: str) -> list[str]:
    """What a function of this file has done when it was interrupted in its midst."""
    done: list[str] = []
    names = {"done": done, "raise_signal": signal.raise_signal, "number": signal.SIGINT}
    code = compile("done.append('begun'); raise_signal(number); done.append('ended')", file, "exec")

    def run() -> None:
        exec(code, names)
        Event().wait(10)
        done.append("lost")

    with InterruptedImport(), pytest.raises(KeyboardInterrupt):
        run()
    return done


@pytest.mark.parametrize("name", ["_bootstrap", "_bootstrap_external"])
def test_it_waits_for_the_machinery(name: str) -> None:
    assert _interrupted_in(f"<frozen importlib.{name}>") == ["begun", "ended"]


def test_elsewhere_it_comes_at_once() -> None:
    assert _interrupted_in("a_module.py") == ["begun"]


def test_the_handler_is_set_back_and_others_stay() -> None:
    with InterruptedImport():
        assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with InterruptedImport():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_beside_the_main_thread_nothing_changes() -> None:
    seen: list[object] = []

    def beside() -> None:
        with InterruptedImport():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = Thread(target=beside)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
