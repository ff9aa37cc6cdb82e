"""Published experts, read from their authors' files: 3DDFA-V2, SynergyNet, and the student of Wu 2022's checkpoints.

As in their published code, these networks take 120×120 pixels, BGR, (x − 127.5) / 128, and give 62 whitened numbers: 12 pose,
40 shape, 10 expression of BFM-2009 without the neck; value = number · std + mean. (Wu's published code gives them RGB.)
Coefficients are returned in standard deviations of the whitening, number + mean / std, as in a bundle that was imported from
3DDFA-V2's BFM (docs/face-models.md). Pose is returned as they define it: rows of [A | t], from vertices in micrometres to
pixels of the 120×120 picture, x right, y up.

No code in a file can run: pickles are read as data (`training.foreign`). Weights and BFM have licences of their own and do not
come with voxface.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from voxface.runtime.errors import InputError
from voxface.runtime.files.damage import reading
from voxface.runtime.files.npz import read_npz, to_float32
from voxface.runtime.files.regular import read_bytes
from voxface.training.foreign.pickled_arrays import read_pickle
from voxface.training.foreign.state_dicts import read_state_dict
from voxface.training.models.experts.expert import POSE, Expert, Geometry, resized
from voxface.training.models.experts.mobilenet_v1 import MobileNetV1
from voxface.training.models.mobilenet_v2 import POOLED, MobileNetV2

SHAPE: Final = 40
EXPRESSION: Final = 10
NUMBERS: Final = POSE + SHAPE + EXPRESSION
_LARGEST_WHITENING: Final = 1 << 20  # bytes
_FIRST: Final = "features.0.0.weight"  # of a MobileNetV2, after any prefix
# Keys of (mean, std): 3DDFA-V2's, then those of SynergyNet and Wu 2022.
_WHITENINGS: Final = (("mean", "std"), ("param_mean", "param_std"))


@dataclass(frozen=True)
class Whitening:
    """Mean and standard deviation with which the 62 numbers were standardised when the network was trained.

    Attributes:
        mean, std: float32 [62] each: 12 pose, 40 shape, 10 expression.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], source: Path) -> Self:
        """Takes the whitening from arrays of a file; numbers after the 62nd (Wu's 40 of texture) are left out.

        Raises:
            InputError: neither `mean` and `std` nor `param_mean` and `param_std`, too few numbers, or deviations that are not
                positive.
        """
        for keys in _WHITENINGS:
            if all(key in arrays for key in keys):
                try:
                    mean, std = (to_float32(np.asarray(arrays[key])).ravel()[:NUMBERS] for key in keys)
                except ValueError as error:
                    raise InputError(f"{source}: {' and '.join(keys)}: {error}") from error
                break
        else:
            raise InputError(f"{source}: no whitening here; it holds `mean` and `std`, or `param_mean` and `param_std`")
        if len(mean) != NUMBERS or len(std) != NUMBERS:
            raise InputError(
                f"{source}: a whitening of {len(mean)} means and {len(std)} deviations, not {NUMBERS} each"
            )
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise InputError(
                f"{source}: the whitening holds NaN, infinity, or a standard deviation that is not positive"
            )
        return cls(mean, std)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a whitening from 3DDFA's own pickle (`param_mean_std_62d_120x120.pkl`), as data, or from an `.npz`.

        Raises:
            InputError: no such file, damaged, or not as `from_arrays` wants it.
        """
        data = read_bytes(path, _LARGEST_WHITENING)
        if data.startswith((b"PK", b"\x93NUMPY")) or path.suffix.lower() == ".npz":
            with reading(path, "a whitening", advice="give an .npz with `mean` and `std`, or 3DDFA's pickle of them"):
                found = read_npz(data, {key for keys in _WHITENINGS for key in keys}, most=_LARGEST_WHITENING)
        else:
            found = read_pickle(path, "whitening")
        return cls.from_arrays(found, path)


class _Published(Expert):
    """Input scaling and whitening that both published experts have."""

    mean: Tensor
    std: Tensor

    def __init__(self, whitening: Whitening) -> None:
        super().__init__()
        self.coefficients = SHAPE + EXPRESSION
        self.register_buffer("mean", torch.from_numpy(whitening.mean.copy()))
        self.register_buffer("std", torch.from_numpy(whitening.std.copy()))

    def forward(self, images: Tensor) -> Geometry:
        """Reads pictures [B, 3, H, H], RGB, in [-1, 1]; the module's docstring describes the result."""
        bgr = resized(images).flip(1) * (127.5 / 128)
        numbers, pooled, middle = self._numbers(bgr)
        value = numbers * self.std + self.mean
        return Geometry((value / self.std)[:, POSE:], value[:, :POSE], pooled, middle.flatten(1))

    @abstractmethod
    def _numbers(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(whitened numbers [B, 62], pooled, middle) of pictures [B, 3, 120, 120] as the network takes them."""


class TDDFA(_Published):
    """3DDFA-V2 (Guo 2020): MobileNet; pooled [B, 1024·w], middle [B, 512·w·8·8]."""

    def __init__(self, whitening: Whitening, width: float = 1.0) -> None:
        super().__init__(whitening)
        self.network = MobileNetV1(NUMBERS, width)

    def _numbers(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        numbers, pooled, middle = self.network(picture)
        return numbers, pooled, middle


class SynergyNet(_Published):
    """SynergyNet (Wu 2021): MobileNetV2 with a head each for pose, shape and expression."""

    def __init__(self, whitening: Whitening) -> None:
        super().__init__(whitening)
        self.network = _ThreeHeads()

    def _numbers(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        numbers, pooled, middle = self.network(picture)
        return numbers, pooled, middle


class _ThreeHeads(MobileNetV2):
    """MobileNetV2 with three heads, named as in the checkpoints: `classifier_ori.1.weight`, …"""

    def __init__(self) -> None:
        super().__init__()
        self.classifier_ori = nn.Sequential(nn.Dropout(0.2), nn.Linear(POOLED, POSE))
        self.classifier_shape = nn.Sequential(nn.Dropout(0.2), nn.Linear(POOLED, SHAPE))
        self.classifier_exp = nn.Sequential(nn.Dropout(0.2), nn.Linear(POOLED, EXPRESSION))

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
        pooled, middle = super().forward(picture)
        heads = (self.classifier_ori, self.classifier_shape, self.classifier_exp)
        return torch.cat([head(pooled) for head in heads], 1), pooled, middle


def load_published(checkpoint: Path, whitening: Whitening | None) -> _Published:
    """Reads a published expert; the names of its weights tell which one it is.

    Raises:
        InputError: see `load_synergynet` and `load_tddfa`, or 3DDFA-V2's file without its whitening.
    """
    try:
        return load_synergynet(checkpoint, whitening)
    except InputError as error:
        if "no weights of SynergyNet" not in str(error):
            raise
        if whitening is None:
            raise InputError(f"{error}; if it is 3DDFA-V2's, give its mean and std with --whitening") from error
    return load_tddfa(checkpoint, whitening)


def load_tddfa(checkpoint: Path, whitening: Whitening) -> TDDFA:
    """Reads 3DDFA-V2's `mb1_120x120.pth` (or `mb05_120x120.pth`, half as wide), in eval mode, on the CPU.

    Raises:
        InputError: the file is unreadable, holds more than weights, or weights of another network.
    """
    state = _state(checkpoint, "3DDFA-V2", lambda state: "conv1.weight" in state and "dw2_1.conv_dw.weight" in state)
    # Some published weights call the last layer `fc_param`.
    state = {name.replace("fc_param.", "fc."): value for name, value in state.items()}
    first = state.get("conv1.weight")
    width = len(first) / 32 if first is not None and first.ndim == 4 else 1.0
    if width not in (0.25, 0.5, 0.75, 1.0, 2.0):
        raise InputError(
            f"{checkpoint}: conv1 has {int(32 * width)} channels, not 32 or 16 as 3DDFA-V2's; other weights?"
        )
    expert = TDDFA(whitening, width)
    _fill(expert.network, state, checkpoint, "3DDFA-V2 (MobileNet)")
    return expert.eval()


def load_synergynet(checkpoint: Path, whitening: Whitening | None = None) -> SynergyNet:
    """Reads SynergyNet's `best.pth.tar`, or the picture -> geometry network of Wu 2022, in eval mode, on the CPU.

    Args:
        checkpoint: names may have any prefix (`module.I2P.backbone.`, `module.IGM.backbone.`); its landmark refinement, BFM
            and texture heads are left out.
        whitening: by default, `param_mean` and `param_std` of the checkpoint itself.

    Raises:
        InputError: the file is unreadable, holds more than weights, or weights of another network, or has no whitening.
    """
    state = _state(checkpoint, "SynergyNet", _has_first)
    prefixes = sorted({name.removesuffix(_FIRST) for name in state if name.endswith(_FIRST)})
    if len(prefixes) != 1:
        found = f"{len(prefixes)} of them" if prefixes else "none"
        raise InputError(
            f"{checkpoint}: no weights of SynergyNet: one MobileNetV2 (`…{_FIRST}`) was expected, found {found}"
        )
    if whitening is None:
        arrays = {
            name: value.float().numpy()
            for name, value in state.items()
            if name in _WHITENINGS[1] and value.is_floating_point()
        }
        whitening = Whitening.from_arrays(arrays, checkpoint)
    expert = SynergyNet(whitening)
    inner = {name[len(prefixes[0]) :]: value for name, value in state.items() if name.startswith(prefixes[0])}
    _fill(expert.network, inner, checkpoint, "SynergyNet (MobileNetV2)")
    return expert.eval()


def _state(checkpoint: Path, name: str, fits: Callable[[Mapping[str, Tensor]], bool]) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name, without prefixes of wrappers; `fits` tells them from others in the same file."""
    return read_state_dict(checkpoint, f"weights of {name}", fits)


def _has_first(state: Mapping[str, Tensor]) -> bool:
    return any(name.endswith(_FIRST) for name in state)


def _fill(network: nn.Module, state: Mapping[str, Tensor], checkpoint: Path, what: str) -> None:
    """Copies the weights of all of the network's names.

    Raises:
        InputError: one is missing, has another shape, or holds NaN.
    """
    wanted = network.state_dict()
    # `num_batches_tracked`, which old checkpoints do not have, changes nothing.
    missing = [name for name in wanted if name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{checkpoint}: not the weights of {what}: {missing[0]}{more} are missing")
    filled = {name: state.get(name, value) for name, value in wanted.items()}
    for name, value in wanted.items():
        if filled[name].shape != value.shape:
            raise InputError(
                f"{checkpoint}: not the weights of {what}: {name} has shape {tuple(filled[name].shape)}, "
                f"not {tuple(value.shape)}"
            )
        if value.is_floating_point() and not filled[name].is_floating_point():
            kind = str(filled[name].dtype).removeprefix("torch.")
            raise InputError(f"{checkpoint}: {name} holds {kind}, not real numbers; is it quantised?")
        if not bool(filled[name].to(value.dtype).isfinite().all()):
            raise InputError(f"{checkpoint}: {name} holds NaN, infinity or numbers too large for FP32; fetch it again")
    network.load_state_dict(filled)
