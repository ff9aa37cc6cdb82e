"""Small networks that a suite trains to judge by, each in one file, so that the next suite need not train them again.

The file is safetensors; its metadata say what it is and hold the SHA-256 of the weights.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor, nn

from voxface.runtime.errors import InputError
from voxface.runtime.files.atomic import write_bytes
from voxface.runtime.files.damage import reading
from voxface.runtime.files.regular import check_regular
from voxface.training.engine.trained_networks import weights_digest

_WHAT: Final = "a network that `voxface eval` judges by"


def key_of(kind: str, **what: Any) -> str:
    """Name of the file of a network: its kind, and a hash of all that decides its weights.

    Args:
        kind: "judge", "sex".
        what: JSON values: digest of the data, hyper-parameters, seed.
    """
    text = json.dumps(what, sort_keys=True, allow_nan=False)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.safetensors"


def write_networks(
    file: Path, networks: Mapping[str, nn.Module], arrays: Mapping[str, Tensor], about: Mapping[str, Any]
) -> None:
    """Writes networks, arrays that go with them, and JSON values, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    from safetensors.torch import save

    tensors = {
        f"{name}.{key}": value for name, network in networks.items() for key, value in network.state_dict().items()
    }
    tensors |= {f"arrays.{name}": value for name, value in arrays.items()}
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    metadata = {"about": json.dumps(about), "sha256": _digest(networks, arrays)}
    try:
        write_bytes(file, save(plain, metadata))
    except OSError as error:
        raise InputError(f"{file}: cannot be written ({error.strerror or error})") from error


def read_about(file: Path) -> dict[str, Any]:
    """The JSON values of a file.

    Raises:
        InputError: it is damaged.
    """
    from safetensors import safe_open

    check_regular(file)
    with reading(file, _WHAT), safe_open(file, "pt") as opened:
        about: dict[str, Any] = json.loads(opened.metadata()["about"])
    return about


def read_networks(file: Path, networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Gives networks of the right architecture the weights of a file, in eval mode and frozen; returns the arrays.

    Raises:
        InputError: it is damaged, or is of other networks.
    """
    from safetensors import safe_open

    check_regular(file)
    with reading(file, _WHAT), safe_open(file, "pt") as opened:
        sha256 = opened.metadata()["sha256"]
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (it is no dictionary)
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in (*networks, "arrays")}
        for name, value in tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = value
        for name, network in networks.items():
            network.load_state_dict(parts[name])
            network.eval().requires_grad_(False)
        if _digest(networks, parts["arrays"]) != sha256:
            raise ValueError("its weights are not what was written; delete it, and it is made again")
    return parts["arrays"]


def _digest(networks: Mapping[str, nn.Module], arrays: Mapping[str, Tensor]) -> str:
    whole = hashlib.sha256()
    for name, network in sorted(networks.items()):
        whole.update(f"{name} {weights_digest(network)}\n".encode())
    for name, value in sorted(arrays.items()):
        whole.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        whole.update(value.detach().cpu().numpy().tobytes())
    return whole.hexdigest()
