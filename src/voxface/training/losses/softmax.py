"""Plain softmax cross-entropy over speakers, the loss of speaker identification in both papers."""

from torch import Tensor, nn
from torch.nn import functional as F


class Softmax(nn.Module):
    """Cross-entropy of a linear layer with bias on embeddings of any length (Wen 2019, §3.1).

    Args:
        identities: number of classes.
        embedding: E, numbers of an embedding.
    """

    def __init__(self, identities: int, embedding: int = 64) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding, identities)

    def scores(self, embedding: Tensor) -> Tensor:
        """Logits float32 [B, identities] of embeddings [B, E]; the class is the one with the largest."""
        logits: Tensor = self.linear(embedding)
        return logits.float()

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Mean cross-entropy of embeddings [B, E] of classes int64 [B]."""
        return F.cross_entropy(self.scores(embedding), label)
