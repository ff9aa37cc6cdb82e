"""Networks by name, built from their architecture and weights.

A network of default widths is recognised by its weights alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from voxface.runtime.errors import InputError
from voxface.training.models import Classifier, Discriminator, FaceEmbedding, FaceGenerator, MeshRegressor, VoiceEncoder
from voxface.training.models.shrunk_mesh import ShrunkMesh

_BY_NAME: Final[Mapping[str, type[nn.Module]]] = {
    "encoder": VoiceEncoder,
    "face": FaceGenerator,
    "mesh": MeshRegressor,
    # Of a GAN's critics the weights are those behind spectral normalisation, where they had some.
    "critic": FaceEmbedding,
    "discriminator": Discriminator,
    "classifier": Classifier,
}


def build_network(source: Path, name: str, architecture: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    """A network of this architecture with these weights, in eval mode.

    Args:
        source: where the weights are from, for the message.
        name: one of `voxface.training.engine.trained_networks.NETWORKS`.
        architecture: keyword arguments that it was built with.
        state: its state dict.

    Raises:
        InputError: the weights do not fit the architecture.
    """
    try:
        network = _make(name, architecture)
        network.load_state_dict(dict(state))
    except (KeyError, ValueError, TypeError, RuntimeError, AssertionError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines()]
        raise InputError(
            f"{source}: not a checkpoint that can be loaded: {name} does not fit its architecture ({' '.join(lines[:2])})"
        ) from error
    return network.eval()


def default_architecture(name: str, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Architecture of a network in a bare file: default widths, and as many coefficients as its last layer gives."""
    if name == "mesh":
        hidden = "model.3.weight" in state
        last = state.get("model.3.weight" if hidden else "model.1.weight")
        return {"coefficients": 0 if last is None else len(last), **({} if hidden else {"hidden": 0})}
    if name in ("expert", "student"):
        return {"coefficients": len(state.get("shape.1.weight", ()))}
    if name == "classifier":
        weight = state.get("model.0.weight")
        return {"identities": 0 if weight is None else len(weight)}
    return {}


def has_weights_of(name: str, state: Mapping[str, Tensor]) -> bool:
    """Whether weights are a network of this name, by one that it has."""
    first, dimensions = {
        "encoder": ("model.0.weight", 3),
        "face": ("model.0.weight", 4),
        "mesh": ("model.1.weight", 2),
        "critic": ("model.0.weight", 4),
        "discriminator": ("model.0.weight", 2),
        "classifier": ("model.0.weight", 2),
    }.get(name, ("shape.1.weight", 2))
    return first in state and state[first].ndim == dimensions


def _make(name: str, architecture: Mapping[str, Any]) -> nn.Module:
    """An untrained network of this architecture."""
    arguments: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in architecture.items()}
    if name in ("expert", "student"):
        from voxface.training.models.experts.own import ImageToFace

        return ImageToFace(**arguments)
    kind = arguments.pop("kind", None)
    if kind == "joint":
        from voxface.training.models.joint_mesh import JointMesh

        return JointMesh(**arguments)
    if kind == "shrunk":
        return ShrunkMesh(arguments["coefficients"], MeshRegressor(**arguments))
    return _BY_NAME[name](**arguments)
