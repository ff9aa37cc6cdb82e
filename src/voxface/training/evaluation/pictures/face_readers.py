"""Networks that look at pictures of faces: embeddings that they are compared by, and whose face it is.

A reader is the judge, which no generator has learnt against (`picture_judge`), or the classifier F_c of a GAN (`critics`), by
which Wen et al. 2019 judge.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voxface.training.data.array_shards import Rows
from voxface.training.data.images import as_images
from voxface.training.evaluation.matching.association import unit

Float32 = NDArray[np.float32]
BATCH = 256


class FaceReader(Protocol):
    """A network that looks at faces.

    Attributes:
        people: int32 [k], the people that it knows, as indices into `Pairs.people`; -1: nobody of these data.
    """

    @property
    def people(self) -> NDArray[np.int32]:
        """See above."""
        ...

    def features(self, images: Tensor) -> Tensor:
        """Embeddings [B, E] of images [B, 3, S, S] in [-1, 1]."""
        ...

    def person(self, images: Tensor, best: int = 1) -> NDArray[np.int32]:
        """The `best` likeliest people of each image, likeliest first: int32 [B, best]."""
        ...


def embed_pictures(reader: FaceReader, pictures: Rows, which: NDArray[np.integer] | None = None) -> Float32:
    """Embeddings float32 [N, E] of unit length, of pictures uint8 [N, S, S, 3] or of some of them."""
    rows = [reader.features(images).float().cpu().numpy() for images in _batches(pictures, which)]
    return unit(np.concatenate(rows))


def name_people(reader: FaceReader, pictures: Rows, best: int = 5) -> NDArray[np.int32]:
    """The likeliest people of each picture, likeliest first: int32 [N, best], or fewer where it knows fewer people."""
    return np.concatenate([reader.person(images, best) for images in _batches(pictures, None)])


def _batches(pictures: Rows, which: NDArray[np.integer] | None) -> Iterator[Tensor]:
    """Images of these pictures, `BATCH` at a time; at least one batch, which may be empty."""
    rows = np.arange(len(pictures)) if which is None else which
    for begin in range(0, max(1, len(rows)), BATCH):
        yield as_images(torch.from_numpy(np.ascontiguousarray(pictures[rows[begin : begin + BATCH]])))
