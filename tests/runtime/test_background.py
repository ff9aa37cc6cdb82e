"""A value computed on a thread of its own."""

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
