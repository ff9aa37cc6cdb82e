"""He initialisation: first weights of a deep network without normalisation layers (He et al. 2015, §2.2)."""

import torch
from torch import Tensor, nn


def initialise_he(network: nn.Module, colour: Tensor | None = None) -> None:
    """Draws weights so that the variance of the signal stays the same from layer to layer, and sets biases to zero.

    Args:
        network: convolutions, or transposed convolutions, with ReLU or leaky ReLU between them. The input of transposed ones
            is a vector of length one.
        colour: [3], bias of the last layer, whose weights are then drawn small, so that training starts from this colour.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    for layer in layers:
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        if isinstance(layer, nn.ConvTranspose2d):
            # One in stride² of a transposed convolution's taps reaches each output pixel. The first layer's input has length
            # one in all, not variance one in each channel.
            first, last = layer is layers[0], layer is layers[-1]
            seen = 1.0 if first else layer.in_channels * taps / (layer.stride[0] * layer.stride[1])
            gain = 0.004 if last and colour is not None else 2.0
        else:
            seen, gain = layer.in_channels * taps, 2.0 / (1 + 0.2**2)
        nn.init.normal_(layer.weight, std=(gain / seen) ** 0.5)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if colour is not None:
        last_bias = layers[-1].bias
        assert last_bias is not None
        with torch.no_grad():
            last_bias.copy_(colour)
