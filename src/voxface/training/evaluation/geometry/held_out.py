"""Errors of a network on held-out people: the validation and the test split."""

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
from voxface.training.engine.phases import Done, not_told
from voxface.training.evaluation.baselines.mean_faces import LinearSexClassifier, MeanFaces
from voxface.training.evaluation.geometry.are_table import GeometryErrors, geometry_errors
from voxface.training.models.frozen import Frozen

Float32 = NDArray[np.float32]
MOST_FITTED: Final = 20_000
"""Training utterances from which mean faces and the sex classifier of the trivial prediction are taken."""
_HELD: Final[tuple[Split, ...]] = ("validation", "test")


@dataclass(frozen=True)
class HeldOut:
    """Clean utterances of the people of a split whose faces are known, encoded whole, as the runtime encodes them; U of them.

    Attributes:
        pairs: the pairs.
        utterances: int32 [U], indices of the utterances.
        embeddings: float32 [U, E].
        device: device that networks run on.
        left_out: people of the split with utterances whose true face is unknown, as of own data without a usable photograph.
    """

    pairs: Pairs
    utterances: NDArray[np.int32]
    embeddings: Float32
    device: torch.device
    left_out: int = 0

    @classmethod
    def from_pairs(
        cls,
        pairs: Pairs,
        encoder: Frozen,
        split: Split,
        device: torch.device | str = "cpu",
        done: Done = not_told,
        most: int | None = None,
    ) -> Self | None:
        """Encodes the utterances of a split; None where nobody with a known face has any.

        Args:
            most: number of utterances, drawn from those of the split, that are enough; None: all.
        """
        heard = [int(i) for i in pairs.split(split) if len(pairs.clean_utterances[int(i)])]
        known = [i for i in heard if np.isfinite(pairs.coefficients[i]).all()]
        utterances = np.concatenate([np.empty(0, np.int32), *(pairs.clean_utterances[i] for i in known)])
        if most is not None and len(utterances) > most:
            utterances = np.sort(np.random.default_rng(31).choice(utterances, most, replace=False))
        if not len(utterances):
            return None
        embeddings = embed_whole(pairs, encoder, utterances, device, done)
        return cls(pairs, utterances, embeddings, torch.device(device), len(heard) - len(known))

    @property
    def person(self) -> NDArray[np.int32]:
        """The person of each utterance, int32 [U]."""
        return self.pairs.utterance_person[self.utterances]

    def predictions(self, network: nn.Module, batch: int = 64) -> Float32:
        """Coefficients float32 [U, P] that a network embedding -> coefficients gives in eval mode; its mode is restored."""
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
        """Errors of a network embedding -> coefficients, or of predictions float32 [U, P]."""
        found = self.predictions(predicted) if isinstance(predicted, nn.Module) else predicted
        return geometry_errors(self.pairs, found, self.utterances)

    def sex_evidence(self, predicted: Float32) -> NDArray[np.float64]:
        """Evidence for the female sex in the mesh of every utterance: float64 [U] of coefficients float32 [U, P]."""
        model = self.pairs.morphable
        return np.array([sex_evidence(model, row) for row in predicted])

    def sexes_agree(self, predicted: Float32) -> float:
        """Share of people whose meshes are of their sex, by the mean evidence of their utterances."""
        evidence = self.sex_evidence(predicted)
        people = np.unique(self.person)
        female = np.array([evidence[self.person == i].mean() > 0 for i in people])
        return float((female == (self.pairs.sexes[people] == 0)).mean())

    def mean_face_per_sex(self, fit: "HeldOut") -> Float32:
        """Trivial prediction float32 [U, P]: the mean face of the sex that is heard.

        Args:
            fit: the people whose mean faces are taken, and whose voices the sex classifier learns from.
        """
        classifier = LinearSexClassifier.fit(fit.embeddings, self.pairs.sexes[fit.person])
        return MeanFaces.from_pairs(self.pairs, np.unique(fit.person)).of_sexes(classifier(self.embeddings))


def held_out_metrics(
    pairs: Pairs,
    encoder: Frozen,
    network: nn.Module,
    device: torch.device,
    say: Callable[[str], None],
    phase: Callable[[str], Done] = lambda _: not_told,
) -> dict[str, Any]:
    """Errors of a network embedding -> coefficients on validation and test people, beside those of the trivial prediction.

    Returns:
        For each split, `GeometryErrors.summary`, "sex" (share of meshes of the right sex), "people", and under "trivial" the
        same of the mean face of the sex that is heard. "people_left_out": how many have no known face, where there are such.
    """
    fit = HeldOut.from_pairs(pairs, encoder, "train", device, phase("encoding voices"), MOST_FITTED)
    metrics: dict[str, Any] = {}
    for split in _HELD:
        held = HeldOut.from_pairs(pairs, encoder, split, device, phase(f"encoding {split} voices"))
        if fit is None or held is None:
            continue
        predicted, means = held.predictions(network), held.mean_face_per_sex(fit)
        found = held.errors(predicted).summary | {"sex": held.sexes_agree(predicted)}
        trivial = held.errors(means).summary | {"sex": 0.5}
        metrics[split] = found | {"people": len(np.unique(held.person)), "trivial": trivial}
        if held.left_out:
            metrics[split]["people_left_out"] = held.left_out
            say(f"{split}: {held.left_out} people without a known face are left out")
        say(
            f"{split}: ARE {found['are']:.4f} (mean face of the sex {trivial['are']:.4f}), "
            f"mesh {found['rms_mm']:.2f} mm ({trivial['rms_mm']:.2f}), sex {found['sex']:.1%}"
        )
    return metrics
