"""First weights of a deep network without normalisation layers."""

import torch
from torch import Tensor, nn


def initialise_he(network: nn.Module, colour: Tensor | None = None) -> None:
    """Draws weights anew so that the signal keeps its size from layer to layer (He et al. 2015), and zeroes biases.

    Args:
        network: convolutions in a row with ReLU or leaky ReLU between; transposed ones take a unit-length vector.
        colour: [3], the last layer's bias; that layer is then drawn small, so that training starts from this colour.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    for layer in layers:
        taps = layer.kernel_size[0] * layer.kernel_size[1]
        if isinstance(layer, nn.ConvTranspose2d):
            # Of a transposed convolution's taps, each output pixel sees one in stride². The first layer's input is a vector
            # of length one, not one number of variance one for each channel.
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
