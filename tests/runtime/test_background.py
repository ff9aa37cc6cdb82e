"""A value computed on a thread of its own."""

import gc
import weakref
from threading import Event, get_ident

import pytest

from voxface.runtime.background import Background


def test_it_is_computed_elsewhere_and_waited_for() -> None:
    go = Event()

    def compute() -> int:
        go.wait(10)
        return get_ident()

    value = Background(compute)
    go.set()
    assert value.result() != get_ident()
    assert value.result() == value.result()


def test_an_error_comes_to_whoever_asks_each_time() -> None:
    def compute() -> int:
        raise ValueError("no")

    value = Background(compute)
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            value.result()


class Kept:
    """Something that can be watched."""

    def itself(self) -> "Kept":
        return self

    def fail(self) -> "Kept":
        raise ValueError("no")


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_is_kept_after_it(fails: bool) -> None:
    """A circle would keep the value, or the error and all that it was raised through, until Python looks for circles."""
    kept = Kept()
    seen = weakref.ref(kept)
    gc.collect()
    gc.disable()
    try:
        value = Background(kept.fail if fails else kept.itself)
        if fails:
            with pytest.raises(ValueError, match="no") as caught:
                value.result()
            del caught
        else:
            assert value.result() is kept
        del value, kept
        assert seen() is None
    finally:
        gc.enable()
