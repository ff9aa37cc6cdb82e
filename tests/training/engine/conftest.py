"""One thread for the trainings of a module, and a run that nothing happened to."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """The last digits depend on how many there are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def whole(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Curve and weights of a run that nothing happened to."""
    from tests.stand_ins.killed_trainings import CONFIG, result
    from tests.stand_ins.small_training import train

    folder = tmp_path_factory.mktemp("whole")
    return result(folder, train(folder, CONFIG))
