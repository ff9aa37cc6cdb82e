"""Spectral normalisation: each layer's weights divided by their largest singular value (Miyato et al. 2018, §2.1)."""

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


def normalise_spectrally(*networks: nn.Module) -> None:
    """Puts spectral normalisation on every 2-D convolution and linear layer of these networks, in place.

    The state dict then names `parametrizations.weight.original` and the vectors of the power iteration instead of `weight`.
    """
    for network in networks:
        for module in list(network.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)
