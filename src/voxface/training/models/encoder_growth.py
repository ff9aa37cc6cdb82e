"""A voice encoder that begins as another one: the same function, with room to learn more.

A residual block whose last normalisation has the weight 0 changes nothing (Chen, Goodfellow, Shlens 2016: Net2Net), so a
network can go on from a shallower one.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from voxface.training.models.voice_encoder import VoiceEncoder


def begin_as(encoder: VoiceEncoder, start: VoiceEncoder) -> None:
    """Gives an untrained encoder the weights of another one; residual blocks that the other lacks begin as the identity.

    Raises:
        ValueError: widths or normalisation differ, or the other one has more blocks.
    """
    if start.normalisation != encoder.normalisation:
        raise ValueError(f"its input is normalised by {start.normalisation}")
    ours, others = list(encoder.model), list(start.model)
    more = len(ours) - len(others)
    if more < 0 or (more and start.blocks == 0):
        raise ValueError(f"it has {start.blocks} residual blocks")
    for own, other in zip([*ours[: len(others) - 1], ours[-1]], others, strict=True):
        try:
            own.load_state_dict(other.state_dict())
        except RuntimeError as error:
            raise ValueError("its layers are of other widths") from error


@torch.no_grad()
def turn_towards(encoder: VoiceEncoder, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Turns the embeddings, whose axes mean nothing, so that they lie as near as can be to what they are to become.

    The rotation (or reflection) is that of the orthogonal Procrustes problem (Schönemann 1966); angles between embeddings
    stay.

    Args:
        batches: network input [B, mels, T] with wanted embeddings [B, E].
    """
    training = encoder.training
    encoder.eval()
    products = [encoder(heard)[0].double().T @ wanted.double() for heard, wanted in batches]
    encoder.train(training)
    left, _, right = torch.linalg.svd(torch.stack(products).sum(0))
    turn = (left @ right).to(torch.float32)
    last = encoder.model[-1]
    assert isinstance(last, nn.Conv1d)
    assert last.bias is not None
    last.weight.copy_(torch.einsum("ef,eck->fck", turn, last.weight))
    last.bias.copy_(turn.T @ last.bias)


@torch.no_grad()
def measure_normalisation(encoder: VoiceEncoder, batches: Iterable[Tensor]) -> None:
    """Brings what batch normalisation measures to batches of network input [B, mels, T], and leaves the function as it is.

    Without it the first steps of training would normalise away what an exported encoder has in its biases.
    """
    layers = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm1d)]
    sums = {layer: [torch.zeros(layer.num_features, dtype=torch.float64) for _ in range(2)] for layer in layers}
    counts = dict.fromkeys(layers, 0)

    def measure(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm1d)
        x = inputs[0].double().cpu()
        sums[layer][0] += x.sum((0, 2))
        sums[layer][1] += x.square().sum((0, 2))
        counts[layer] += x.shape[0] * x.shape[2]

    training = encoder.training
    encoder.eval()
    hooks = [layer.register_forward_pre_hook(measure) for layer in layers]
    for batch in batches:
        encoder(batch)
    for hook in hooks:
        hook.remove()
    encoder.train(training)
    for layer in layers:
        assert layer.running_mean is not None
        assert layer.running_var is not None
        mean, square = (total / counts[layer] for total in sums[layer])
        variance = (square - mean.square()).clamp(min=0)
        scale = layer.weight.double().cpu() / (layer.running_var.double().cpu() + layer.eps).sqrt()
        shift = layer.bias.double().cpu() - layer.running_mean.double().cpu() * scale
        layer.weight.copy_(scale * (variance + layer.eps).sqrt())
        layer.bias.copy_(shift + mean * scale)
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
