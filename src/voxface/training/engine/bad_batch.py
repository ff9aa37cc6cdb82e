"""The batch of a step whose losses or weights are NaN or infinite: it is saved, and the error says where."""

import io
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from voxface.runtime.errors import InputError
from voxface.runtime.files.atomic import write_bytes


class TrainingError(InputError):
    """Error about a loss or weight that is NaN or infinite, because of data or hyper-parameters; the batch has been saved."""


def save_bad_batch(folder: Path, step: int, rank: int, batch: Mapping[str, Any]) -> None:
    """Writes tensors and arrays of a step to `bad-batch-STEP-RANK.npz`, as far as there is room."""
    arrays: dict[str, Any] = {}
    for name, value in batch.items():
        if isinstance(value, Tensor):
            whole = value.detach().cpu()
            arrays[name] = (whole.float() if whole.dtype == torch.bfloat16 else whole).numpy()
        else:
            arrays[name] = np.asarray(value)
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    with suppress(OSError):  # the error about the NaN matters more
        write_bytes(folder / f"bad-batch-{step:07d}-{rank}.npz", data.getvalue())


def not_a_number(folder: Path, step: int, what: str) -> TrainingError:
    """The error of a step, with the batches that were saved of it."""
    batches = sorted(folder.glob(f"bad-batch-{step:07d}-*.npz"))
    where = f"the batch is in {', '.join(map(str, batches))}" if batches else "its batch could not be saved"
    return TrainingError(
        f"step {step}: {what}; {where}: look for odd data in it, or begin anew with a lower learning rate"
    )
