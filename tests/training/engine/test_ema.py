"""The exponential moving average of a network."""

import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import nn  # noqa: E402

from voxface.training.engine.ema import ExponentialMovingAverage  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]


def test_moving_average_by_hand() -> None:
    network = nn.Linear(1, 1)
    with torch.no_grad():
        network.weight.fill_(0.0)
    average = ExponentialMovingAverage(network, 0.5)
    expected = 0.0
    for number, value in enumerate((1.0, 3.0, -2.0, 5.0, 4.0, 4.0, 0.0, 1.0, 2.0, 7.0)):
        with torch.no_grad():
            network.weight.fill_(value)
        average.update(network, number)
        beta = min(0.5, (1 + number) / (10 + number))
        expected = beta * expected + (1 - beta) * value
        assert float(average.module.weight) == pytest.approx(expected, rel=1e-5)
    average.train()
    assert not average.module.training
    assert not any(p.requires_grad for p in average.parameters())
    with pytest.raises(ValueError, match="decay"):
        ExponentialMovingAverage(network, 1.0)
