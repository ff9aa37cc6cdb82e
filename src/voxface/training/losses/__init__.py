"""Losses, one per file.

| file | source |
|---|---|
| `adversarial` | Wen 2019, Algorithm 1; Wu 2022, L_f and L_r (§3.3) |
| `coefficients` | Wu 2022, Eqs. 2 and 4 |
| `triplet` | Wu 2022, Eq. 3 |
| `distillation` | Wu 2022, Eqs. 5 and 6 |
| `published_joint` | divergence and triplet of Wu 2022's published code |
| `softmax` | cross-entropy of speaker identification (Wen 2019, §3.1) |
| `angular_margin` | ArcFace (Deng 2019), in place of it |

All take [B, …] and return a scalar that does not grow with B (but for `published_joint`). Wu's published code departs from the
paper in the triplet loss and the distillation; the files of these follow the paper, and each says what differs.
"""

from voxface.training.losses.adversarial import discriminator_loss, generator_loss, r1_penalty
from voxface.training.losses.angular_margin import AngularMargin
from voxface.training.losses.coefficients import coefficient_loss
from voxface.training.losses.distillation import conditional_probabilities, divergence
from voxface.training.losses.published_joint import published_divergence, published_triplet
from voxface.training.losses.softmax import Softmax
from voxface.training.losses.triplet import triplet_loss

__all__ = [
    "AngularMargin",
    "Softmax",
    "coefficient_loss",
    "conditional_probabilities",
    "discriminator_loss",
    "divergence",
    "generator_loss",
    "published_divergence",
    "published_triplet",
    "r1_penalty",
    "triplet_loss",
]
