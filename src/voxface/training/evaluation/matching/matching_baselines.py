"""The classifiers that Wen et al. 2019 stand beside in Table 3, trained on the people learnt from, on frozen features."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxface.training.evaluation.baselines.dimnet import DimNet, DimNetConfig
from voxface.training.evaluation.baselines.features import Features
from voxface.training.evaluation.baselines.svhf import Svhf, SvhfConfig
from voxface.training.evaluation.hearing.evaluated_voices import voices_of
from voxface.training.evaluation.inputs import Inputs
from voxface.training.evaluation.matching.matching_trials import Choice, by_cosine
from voxface.training.evaluation.pictures.face_readers import FaceReader, embed_pictures
from voxface.training.evaluation.subject import BundleSubject

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Baselines:
    """Trained baselines.

    Attributes:
        encoder: whose voice embeddings they stand on.
        identity, sex: DIMNet-I and DIMNet-G.
        svhf: the network that chooses between two faces.
    """

    encoder: BundleSubject
    identity: DimNet
    sex: DimNet
    svhf: Svhf

    @classmethod
    def train(cls, inputs: Inputs, judge: FaceReader) -> "Baselines | str":
        """Trains them on recordings and pictures of the training people; or says why it cannot.

        Args:
            judge: whose embeddings of pictures they stand on.
        """
        encoder = inputs.given_bundle if inputs.given_bundle is not None else next(iter(inputs.beside), None)
        if encoder is None:
            return "DIMNet and SVHF: they stand on a voice encoder; give a bundle with --beside."
        pairs = inputs.pairs
        rng = np.random.default_rng([inputs.seed, 103])
        people = pairs.split("train")
        found = voices_of(
            pairs, people, utterances=inputs.fewer(10_000, 600), pictures=inputs.fewer(20_000, 1_500), rng=rng
        )
        if len(np.unique(found.person)) < 2:
            return "DIMNet and SVHF: there are too few people to learn from."
        numbers = np.full(len(pairs.people), -1)
        numbers[np.unique(found.person)] = np.arange(len(np.unique(found.person)))
        kept = np.isin(found.picture_person, found.person)
        data = Features(
            encoder.embeddings(found.utterances),
            found.person,
            embed_pictures(judge, pairs.pictures, found.pictures[kept]),
            found.picture_person[kept],
        )
        config = replace(DimNetConfig(seed=inputs.seed), steps=inputs.fewer(DimNetConfig.steps, 400))
        choose = replace(SvhfConfig(seed=inputs.seed), steps=inputs.fewer(SvhfConfig.steps, 400))
        return cls(
            encoder,
            DimNet.train(data, numbers, config, done=inputs.phase("DIMNet-I")),
            DimNet.train(data, pairs.sexes, config, done=inputs.phase("DIMNet-G")),
            Svhf.train(data, choose, done=inputs.phase("SVHF")),
        )

    def methods(
        self, utterances: NDArray[np.integer[Any]], faces: Float32, *, seed: int, forward: bool
    ) -> dict[str, Choice]:
        """How they choose, by their names in the table.

        Args:
            utterances: of the pairs.
            faces: the judge's embeddings of the real pictures.
            forward: from voices to faces, else from faces to voices, which SVHF has not learnt.
        """
        voices = self.encoder.embeddings(utterances)
        found: dict[str, Choice] = {}
        for name, net in (("DIMNet-I, on frozen features", self.identity), ("DIMNet-G, on frozen features", self.sex)):
            mapped = net.of_voices(voices), net.of_faces(faces)
            found[name] = by_cosine(*(mapped if forward else mapped[::-1]))
        if forward:
            found["SVHF, on frozen features"] = self.svhf.choosing(voices, faces, seed=seed)
        return found
