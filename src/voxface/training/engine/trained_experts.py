"""Experts from files: our own, of a `train expert` run, or a published one."""

from pathlib import Path

from torch import nn

from voxface.runtime.errors import InputError, UsageError
from voxface.training.engine.trained_networks import load_network


def load_expert(source: Path, whitening: Path | None = None) -> nn.Module:
    """Our own expert, or a published one; the names of its weights tell which published one it is.

    Args:
        source: folder of a run or its `.safetensors`, or SynergyNet's or 3DDFA-V2's file.
        whitening: mean and std of a published expert.

    Raises:
        UsageError, InputError: it cannot be used.
    """
    if source.is_dir() or source.suffix == ".safetensors":
        if whitening is not None:
            raise UsageError("--whitening: goes with a published expert; our own has none")
        return load_network(source, "expert")
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    from voxface.training.models.experts.published import Whitening, load_published

    return load_published(source, None if whitening is None else Whitening.load(whitening))
