"""The weights of one network, by name, however they were saved.

Bare or in a dictionary with other things, with the prefixes that wrappers add, as a whole network, in any format of PyTorch, in
safetensors or as a pickle of arrays.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from torch import Tensor

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.training.foreign.pickled_arrays import pairs_of
from voxface.training.foreign.pickled_tensors import OtherTensor, is_tensor
from voxface.training.foreign.pickles import Made
from voxface.training.foreign.torch_files import CHECKPOINT, SAVE_THE_STATE, Checkpoint, read_checkpoint

State = dict[str, Tensor]
# Parts that wrappers put into names: DataParallel and averaged models, torch.compile, FSDP, activation checkpointing, Fabric.
WRAPPERS: Final = frozenset(
    {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "_original_module"}
)
_COUNTER: Final = "n_averaged"  # torch.optim.swa_utils.AveragedModel adds it to the weights
_DEEPEST: Final = 3  # dictionaries about the weights
_OPTIMISER: Final = "param_groups"  # key of an optimiser's state, whose averages are tensors by name too
_MOST: Final = 10_000  # parts of a file that are looked at
_LAYERS: Final = 100  # networks within networks


def read_state_dict(path: Path, wanted: str, fits: Callable[[Mapping[str, Tensor]], bool]) -> State:
    """The weights of the network that is wanted, by the names that it gave them itself.

    Where a file holds several (generator and discriminator, a network and its average), the one that `fits` is taken.

    Args:
        path: the file.
        wanted: what is wanted, for messages: "face generator".
        fits: whether weights are of the wanted kind, by their names and shapes.

    Raises:
        InputError: no weights, or several that fit; what `read_checkpoint` raises.
    """
    checkpoint = read_checkpoint(path)
    with reading(path, CHECKPOINT):
        found = {
            label: _state(path, label, pairs, checkpoint) for label, pairs in _candidates(checkpoint.value).items()
        }
    if not found:
        raise InputError(f"{path}: holds no weights by name, so no {wanted}{_instead(checkpoint.value)}")
    fitting = [label for label, state in found.items() if fits(state)]
    if len(fitting) == 1:
        return found[fitting[0]]
    if len(found) == 1:
        return next(iter(found.values()))
    several = ", ".join(repr(label) if label else "the file itself" for label in fitting or found)
    if fitting:
        raise InputError(f"{path}: holds more than one {wanted}: {several}; save the one that is meant alone")
    raise InputError(f"{path}: no {wanted}: it holds weights in {several}, and none of them is one")


def bare_name(name: str) -> str:
    """A name without the parts that wrappers have put into it."""
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def _candidates(value: Any) -> dict[str, list[tuple[Any, Any]]]:
    """Dictionaries that hold tensors, and whole networks, by where they are in the file ("" is the whole)."""
    found: dict[str, list[tuple[Any, Any]]] = {}
    left: list[tuple[str, Any, int]] = [("", value, 0)]
    for _ in range(_MOST):
        if not left:
            break
        label, one, depth = left.pop(0)
        if isinstance(one, Mapping):
            pairs: list[tuple[Any, Any]] | None = list(one.items())
        elif (network := _network(one)) is not None:
            pairs = network
        elif isinstance(one, list | tuple):
            pairs = list(enumerate(one))
        else:
            pairs = pairs_of(one)
        named = [pair for pair in pairs or () if isinstance(pair[0], str) and _holds(pair[1])]
        if named:
            found[label] = named
        if depth < _DEEPEST and all(key != _OPTIMISER for key, _ in pairs or () if isinstance(key, str)):
            left += [
                (f"{label}.{key}".strip("."), each, depth + 1)
                for key, each in pairs or ()
                if isinstance(key, str | int)
            ]
    return found


def _holds(value: Any) -> bool:
    return isinstance(value, Tensor) or is_tensor(value)


def _network(value: Any) -> list[tuple[Any, Any]] | None:
    """The weights of a whole network (torch.save of an `nn.Module`), as its `state_dict()` names them; None if it is none."""
    found: list[tuple[Any, Any]] = []
    left: list[tuple[str, Any, int]] = [("", value, 0)]
    for _ in range(_MOST):
        if not left:
            break
        prefix, one, depth = left.pop(0)
        parts = dict(_attributes(one))
        if not {"_parameters", "_buffers", "_modules"} <= parts.keys():
            if depth == 0:
                return None
            continue
        for kind in ("_parameters", "_buffers"):
            found += [(prefix + key, each) for key, each in _named(parts[kind]) if _holds(each)]
        if depth < _LAYERS:
            left += [(f"{prefix}{key}.", each, depth + 1) for key, each in _named(parts["_modules"])]
    return found


def _attributes(value: Any) -> list[tuple[str, Any]]:
    return _named(value.state) if isinstance(value, Made) else []


def _named(value: Any) -> list[tuple[str, Any]]:
    return [(key, each) for key, each in pairs_of(value) or () if isinstance(key, str)]


def _state(path: Path, label: str, pairs: list[tuple[Any, Any]], checkpoint: Checkpoint) -> State:
    where = f" (in {label!r})" if label else ""
    state: State = {}
    for name, value in pairs:
        bare = bare_name(name)
        if bare in state:
            raise InputError(f"{path}: holds {bare} twice{where}, under other prefixes; {SAVE_THE_STATE}")
        if bare in ("", _COUNTER):
            continue
        try:
            state[bare] = checkpoint.tensor(value)
        except OtherTensor as error:
            raise InputError(f"{path}: {bare}{where} is {error}; save the network with plain tensors") from error
    return state


def _instead(value: Any) -> str:
    """What a file without weights holds."""
    pairs = list(value.items()) if isinstance(value, Mapping) else pairs_of(value)
    if pairs:
        names = [repr(key) for key, _ in pairs if isinstance(key, str)]
        return f" (it holds {', '.join(names[:4])}{' …' if len(names) > 4 else ''})" if names else ""
    if isinstance(value, Made):
        return f" (it holds what {value.callee} would make; {SAVE_THE_STATE})"
    return ""
