"""Mesh regressor: voice embedding -> coefficients of the morphable model (Wu 2022, §3.2, supervised branch)."""

from torch import Tensor, nn


class MeshRegressor(nn.Module):
    """Unit-length embedding [B, E] -> coefficients [B, P] in the morphable model's unit-normal space.

    `hidden=0` is the paper's head: dropout and one linear map. The default has a hidden layer, because sex, which is most of
    what a voice tells, is a step: a linear map gives voices near the middle a face between the sexes.

    Args:
        coefficients: P, number of coefficients.
        embedding: E, numbers of an embedding.
        hidden: width of the hidden layer; 0: none.
        dropout: probability of dropout before the last layer.
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
