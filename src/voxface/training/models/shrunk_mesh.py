"""A mesh regressor whose faces are drawn towards the mean face of the sex that it hears."""

import torch
from torch import Tensor, nn


class ShrunkMesh(nn.Module):
    """Embedding [B, E] -> coefficients [B, P]: probability-weighted mean faces of the sexes, and a share of what is left.

    With the regressor's face y between the mean woman F and the mean man M at y = M + t (F − M) + w, the result is

        M + [decided · σ(slope (t − ½)) + (1 − decided) · t] (F − M) + share · w

    A regressor that learns from some hundred voices puts faces beyond the mean of their sex, or between the two where the voice
    leaves no doubt, and its deviations w within a sex may be mostly chance. `trainers.mesh_shrinkage` chooses the three numbers
    on people that it was not trained on. At decided 1 and share 0 it is the mean face of the sex heard, weighted by its
    probability; at decided 0 and share 1 it is y.

    Args:
        coefficients: P.
        regressor: embedding -> coefficients [B, P].
    """

    def __init__(self, coefficients: int, regressor: nn.Module) -> None:
        super().__init__()
        self.regressor = regressor
        self.sex = nn.Linear(coefficients, 1)
        self.rest = nn.Linear(coefficients, coefficients)
        self.apart = nn.Parameter(torch.zeros(coefficients))

    @classmethod
    def from_means(
        cls,
        regressor: nn.Module,
        woman: Tensor,
        man: Tensor,
        metric: Tensor,
        *,
        slope: float,
        decided: float,
        share: float,
    ) -> "ShrunkMesh":
        """The network for these mean faces.

        Args:
            woman, man: F and M, float64 [P].
            metric: float64 [P, P], symmetric; dᵀ · metric · d is the squared length of a difference of faces, for t.
            slope, decided, share: see the class.
        """
        apart = woman - man
        axis = metric @ apart / (apart @ metric @ apart)  # t = axis · (y − M)
        along = torch.outer(apart, axis)
        rest = (1 - decided) * along + share * (torch.eye(len(man), dtype=torch.float64) - along)
        made = cls(len(man), regressor)
        with torch.no_grad():
            made.sex.weight.copy_(slope * axis[None])
            made.sex.bias.fill_(float(-slope * (axis @ man + 0.5)))
            made.rest.weight.copy_(rest)
            made.rest.bias.copy_(man - rest @ man)
            made.apart.copy_(decided * apart)
        return made.eval()

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P]."""
        face = self.regressor(embedding)
        coefficients: Tensor = torch.sigmoid(self.sex(face)) * self.apart + self.rest(face)
        return coefficients
