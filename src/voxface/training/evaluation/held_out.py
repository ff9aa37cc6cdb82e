"""People kept aside: whole utterances of theirs, and what a network makes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from voxface.runtime.inference.attributes import sex_evidence
from voxface.training.data.embeddings import embed_whole
from voxface.training.data.pairs import Pairs, Split
from voxface.training.evaluation.baselines.mean_faces import HeardSex, MeanFaces
from voxface.training.evaluation.geometry import GeometryErrors, geometry_errors
from voxface.training.models.frozen import Frozen

Float32 = NDArray[np.float32]
_HELD: Final[tuple[Split, ...]] = ("validation", "test")


@dataclass(frozen=True)
class HeldOut:
    """Clean utterances of the people of one split, encoded whole, as the runtime encodes them; U utterances.

    Attributes:
        pairs: where they are from.
        utterances: int32 [U].
        embeddings: float32 [U, E].
        device: where networks are run.
    """

    pairs: Pairs
    utterances: NDArray[np.int32]
    embeddings: Float32
    device: torch.device

    @classmethod
    def of(cls, pairs: Pairs, encoder: Frozen, split: Split, device: torch.device | str = "cpu") -> Self | None:
        """Encodes them; None where the split has no such utterance, or not everybody's true face is known."""
        found = [pairs.clean_utterances[int(i)] for i in pairs.split(split)]
        utterances = np.concatenate([np.empty(0, np.int32), *found])
        if not len(utterances) or not np.isfinite(pairs.coefficients[pairs.utterance_person[utterances]]).all():
            return None
        return cls(pairs, utterances, embed_whole(pairs, encoder, utterances, device), torch.device(device))

    @property
    def person(self) -> NDArray[np.int32]:
        """Whose utterances, int32 [U]."""
        return self.pairs.utterance_person[self.utterances]

    def predictions(self, network: nn.Module, batch: int = 64) -> Float32:
        """Coefficients float32 [U, P] by a network embedding -> coefficients, in eval mode and left as it was found."""
        modes = [(module, module.training) for module in network.modules()]
        network.eval()
        with torch.no_grad():
            rows = [
                network(torch.from_numpy(self.embeddings[k : k + batch]).to(self.device)).float().cpu().numpy()
                for k in range(0, len(self.embeddings), batch)
            ]
        for module, training in modes:
            module.training = training
        return np.concatenate(rows)

    def errors(self, predicted: nn.Module | Float32) -> GeometryErrors:
        """Errors of a network, or of predictions float32 [U, P]."""
        found = self.predictions(predicted) if isinstance(predicted, nn.Module) else predicted
        return geometry_errors(self.pairs, found, self.utterances)

    def sex_evidence(self, predicted: Float32) -> NDArray[np.float64]:
        """For the female sex, of every utterance's mesh: float64 [U] of coefficients float32 [U, P]."""
        model = self.pairs.morphable
        return np.array([sex_evidence(model, row) for row in predicted])

    def sexes_agree(self, predicted: Float32) -> float:
        """Share of people whose meshes are of their sex, judged by the mean evidence of their utterances."""
        evidence = self.sex_evidence(predicted)
        people = np.unique(self.person)
        female = np.array([evidence[self.person == i].mean() > 0 for i in people])
        return float((female == (self.pairs.sexes[people] == 0)).mean())

    def mean_face_per_sex(self, fit: "HeldOut") -> Float32:
        """The trivial answer, float32 [U, P]: the mean face of the sex that is heard; means and ear are of the people of
        `fit`."""
        heard = HeardSex.of(fit.embeddings, self.pairs.sexes[fit.person])
        return MeanFaces.of(self.pairs, np.unique(fit.person)).of_sexes(heard(self.embeddings))


def held_out_metrics(
    pairs: Pairs, encoder: Frozen, network: nn.Module, device: torch.device, say: Callable[[str], None]
) -> dict[str, Any]:
    """Errors of a network embedding -> coefficients on people it has not learnt from, beside the trivial answer's: split
    -> `GeometryErrors.summary`, the share of right sexes and, under "trivial", that of the mean face of the sex heard."""
    fit = HeldOut.of(pairs, encoder, "train", device)
    metrics: dict[str, Any] = {}
    for split in _HELD:
        held = HeldOut.of(pairs, encoder, split, device)
        if fit is None or held is None:
            continue
        predicted, means = held.predictions(network), held.mean_face_per_sex(fit)
        found = held.errors(predicted).summary | {"sex": held.sexes_agree(predicted)}
        trivial = held.errors(means).summary | {"sex": 0.5}
        metrics[split] = found | {"people": len(np.unique(held.person)), "trivial": trivial}
        say(
            f"{split}: ARE {found['are']:.4f} (mean face of the sex {trivial['are']:.4f}), "
            f"mesh {found['rms_mm']:.2f} mm ({trivial['rms_mm']:.2f}), sex {found['sex']:.1%}"
        )
    return metrics
