"""An encoder that begins as another one: the same function, with more blocks and with what batch normalisation measures."""

import numpy as np
import pytest
import torch

from voxface.training.models import VoiceEncoder
from voxface.training.models.encoder_growth import begin_as, measure_normalisation, turn_towards

pytestmark = pytest.mark.train

WIDTHS = (16, 16, 24, 24, 32)


def encoder(blocks: int = 1, channels: tuple[int, ...] = WIDTHS, normalisation: str = "level") -> VoiceEncoder:
    torch.manual_seed(blocks)
    made = VoiceEncoder(64, channels, 8, blocks, normalisation)
    for module in made.modules():  # as after a training
        if isinstance(module, torch.nn.BatchNorm1d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.normal_(module.bias)
            torch.nn.init.normal_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return made.eval()


@pytest.mark.parametrize(("have", "get"), [(1, 1), (1, 3), (2, 3), (0, 0)])
def test_it_computes_the_same(have: int, get: int) -> None:
    widths = WIDTHS if have else WIDTHS[:4]
    start, grown = (
        encoder(have, widths),
        encoder(get, widths) if have == get else VoiceEncoder(64, WIDTHS, 8, get, "level"),
    )
    begin_as(grown, start)
    sound = torch.randn(3, 64, 200)
    for one, other in zip(start(sound), grown.eval()(sound), strict=True):
        torch.testing.assert_close(one, other)


def test_what_is_measured_leaves_the_function_as_it_is() -> None:
    network, sound = encoder(2), torch.randn(6, 64, 160) * 2 + 1
    before = network(sound)[0]
    measure_normalisation(network, [sound[:3], sound[3:]])
    torch.testing.assert_close(network(sound)[0], before, atol=1e-5, rtol=1e-4)
    network.train()
    with torch.no_grad():  # and now what training computes on these batches is what was there before
        torch.testing.assert_close(network(sound)[0], before, atol=2e-3, rtol=2e-3)


def test_embeddings_are_turned_to_what_they_are_to_become() -> None:
    network, sound = encoder(1), torch.randn(40, 64, 96)
    before = network(sound)[0].detach()
    turn = torch.linalg.qr(torch.randn(8, 8))[0]
    wanted = before @ turn
    turn_towards(network, [(sound[:25], wanted[:25]), (sound[25:], wanted[25:])])
    torch.testing.assert_close(network(sound)[0].detach(), wanted, atol=1e-4, rtol=1e-3)


def test_a_layer_that_is_always_the_same_divides_by_nothing() -> None:
    network = encoder(1)
    measure_normalisation(network, [torch.zeros(2, 64, 320)])
    assert all(bool(torch.isfinite(value).all()) for value in network.state_dict().values())


@pytest.mark.parametrize(
    ("start", "own", "why"),
    [
        (encoder(2), encoder(1), "2 residual blocks"),
        (encoder(0, WIDTHS[:4]), encoder(1), "0 residual blocks"),
        (encoder(1, (16, 16, 24, 24, 16)), encoder(1), "other widths"),
        (encoder(1, normalisation="bands"), encoder(1), "normalised by bands"),
    ],
)
def test_what_does_not_fit_is_said(start: VoiceEncoder, own: VoiceEncoder, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        begin_as(own, start)


def test_new_blocks_learn() -> None:
    grown = VoiceEncoder(64, WIDTHS, 8, 2, "level").train()
    begin_as(grown, encoder(1))
    optimiser = torch.optim.SGD(grown.parameters(), 0.1)
    for _ in range(2):
        loss = (grown(torch.randn(4, 64, 160))[0] - 0.3).square().sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    added = grown.model[16].inner  # type: ignore[union-attr]
    assert np.abs(added[4].weight.detach().numpy()).max() > 0  # type: ignore[index, union-attr, operator]
