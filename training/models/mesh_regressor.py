"""Voice embedding -> morphable-model coefficients (Wu 2022, §3.2, supervised branch)."""

from torch import Tensor, nn


class MeshRegressor(nn.Module):
    """Unit-length embedding [B, E] -> coefficients [B, P] in the morphable model's unit-normal space.

    One hidden layer instead of the paper's single linear map: sex, which is most of what a voice tells, is a step, and
    voices near the middle would otherwise get a face between the two.
    """

    def __init__(self, coefficients: int, embedding: int = 64, hidden: int = 128, dropout: float = 0.2) -> None:
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(embedding, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout), nn.Linear(hidden, coefficients)
        )

    def forward(self, embedding: Tensor) -> Tensor:
        """Returns coefficients [B, P]."""
        coefficients: Tensor = self.model(embedding)
        return coefficients
