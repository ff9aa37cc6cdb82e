"""The voice encoder of a bundle as a network again, to learn on from: `voxface train voice-encoder --start BUNDLE`."""

import torch
from torch import nn

from voxface.onnx_graph.graph import Graph
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import UsageError
from voxface.training.models import VoiceEncoder


def exported_encoder(bundle: Bundle) -> VoiceEncoder:
    """The network that gave the bundle's graph, in eval mode, computing what the graph computes.

    An export folds batch normalisation into the convolutions; here it is there again, but measures nothing yet: see
    `voxface.training.models.encoder_growth.measure_normalisation`.

    Raises:
        UsageError: the graph is not one that `VoiceEncoder` exports in FP32 or FP16.
        BundleError: it is no valid ONNX graph.
    """
    graph = Graph.from_bytes(bundle.files[bundle.manifest.graphs["encoder"].file], name=f"{bundle.path}: encoder")
    convolutions = [node for node in graph.nodes if node.op_type == "Conv"]
    try:
        weights = [torch.from_numpy(graph.constants[node.input[1]].copy()).float() for node in convolutions]
        biases = [torch.from_numpy(graph.constants[node.input[2]].copy()).float() for node in convolutions]
        widths = [int(weight.shape[1]) for weight in weights] + [int(weights[-1].shape[0])]
        blocks = sum(weight.shape[2] == 1 for weight in weights[:-1]) // 2
        strided = len(weights) - 1 - 2 * blocks
        encoder = VoiceEncoder(
            widths[0], tuple(widths[1 : strided + 1]), widths[-1], blocks, bundle.front_end.normalisation
        )
        own = [module for module in encoder.modules() if isinstance(module, nn.Conv1d)]
        normalisations = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm1d)]
        if [layer.weight.shape for layer in own] != [weight.shape for weight in weights]:
            raise ValueError("other convolutions")
        for layer, weight in zip(own, weights, strict=True):
            layer.weight.data.copy_(weight)
        for normalisation, bias in zip(normalisations, biases[:-1], strict=True):
            normalisation.weight.data.fill_((1 + normalisation.eps) ** 0.5)
            normalisation.bias.data.copy_(bias)
        assert own[-1].bias is not None
        own[-1].bias.data.copy_(biases[-1])
    except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise UsageError(
            f"{bundle.path}: its voice encoder cannot be learnt on; bundles in FP32 or FP16 of a trained encoder can"
        ) from error
    return encoder.eval()
