"""First weights of DCGAN: N(0, 0.02²) everywhere (Radford et al. 2016, §4)."""

from torch import nn


def initialise_dcgan(*networks: nn.Module) -> None:
    """Weights of convolutions and linear layers from N(0, 0.02²), those of batch normalisation from N(1, 0.02²), biases 0.

    The paper gives the distribution of "all weights"; that it lies about 1 for batch normalisation is from its authors' code.
    """
    for network in networks:
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(module.weight, 0.0, 0.02)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
            else:
                continue
            if module.bias is not None:
                nn.init.zeros_(module.bias)
