"""Voice embedding -> morphable-model coefficients (Wu 2022, §3.2, supervised branch)."""

from torch import Tensor, nn


class MeshRegressor(nn.Module):
    """Unit-length embedding [B, E] -> coefficients [B, P] in the morphable model's unit-normal space.

    `hidden=0` is the paper's head: dropout and one linear map. By default there is a hidden layer: sex, which is most of
    what a voice tells, is a step, and voices near the middle would otherwise get a face between the two.
    """

    def __init__(self, coefficients: int, embedding: int = 64, hidden: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Dropout(dropout), nn.Linear(hidden or embedding, coefficients)]
        if hidden:
            layers = [nn.Linear(embedding, hidden), nn.ReLU(inplace=True), *layers]
        self.model = nn.Sequential(*layers)

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P]."""
        coefficients: Tensor = self.model(embedding)
        return coefficients
