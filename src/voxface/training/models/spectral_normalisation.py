"""Spectral normalisation: each layer's weights divided by their largest singular value (Miyato et al. 2018, §2.1)."""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized


def normalise_spectrally(*networks: nn.Module) -> None:
    """Puts spectral normalisation on every 2-D convolution and linear layer of these networks, in place.

    The state dict then names `parametrizations.weight.original` and the vectors of the power iteration instead of `weight`.
    """
    for network in networks:
        for module in list(network.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear):
                spectral_norm(module)


def plain_state(network: nn.Module) -> dict[str, Tensor]:
    """State of a network with the weights that spectral normalisation gives it in eval mode, without the normalisation itself.

    The network's mode is restored.
    """
    modes = [(module, module.training) for module in network.modules()]
    network.eval()  # in train mode each look at a weight moves the power iteration on
    try:
        state = {name: value for name, value in network.state_dict().items() if ".parametrizations." not in f".{name}"}
        for name, module in network.named_modules():
            if is_parametrized(module, "weight"):
                state[f"{name}.weight".lstrip(".")] = module.weight.detach()
    finally:
        for module, training in modes:
            module.training = training
    return state
