"""What `voxface eval` was given, as every suite gets it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxface.runtime.errors import UsageError
from voxface.training.data.pairs import Pairs, Split
from voxface.training.engine.phases import Done, Progress, no_progress
from voxface.training.evaluation.subject import BundleSubject, Subject


@dataclass(frozen=True)
class Inputs:
    """What was given; each suite asks for what it needs, and says what is missing.

    Attributes:
        out: folder of the results; networks that a suite trains to judge by are kept in its folder `judges`.
        given_bundle: the bundle, opened; None where pictures or meshes of another method are evaluated.
        given_pairs: the data, where given.
        predictions: pictures or meshes of another method, where given.
        beside: further bundles, for a row each.
        speech: folders of recordings.
        noise: folders of noise.
        lists: folder of the public lists of trials.
        embeddings: vectors of the voices and faces of the lists.
        critics: folder of a `train face-gan` run, with its discriminator and classifier.
        embedder: ONNX network of faces that the user has, for `images`.
        classifier: ONNX network that says whose face a picture shows, that the user has, for `images`.
        experts: networks that read a face from a picture, for the cascade; `whitening`: of published ones.
        split: the people that are evaluated.
        quick: fewer people, trials and rounds, so that everything takes minutes; its numbers are worth little.
        seed: of every random choice.
        progress: told how far each long phase is.
    """

    out: Path
    given_bundle: BundleSubject | None = None
    given_pairs: Pairs | None = None
    predictions: Subject | None = None
    beside: tuple[BundleSubject, ...] = ()
    speech: tuple[Path, ...] = ()
    noise: tuple[Path, ...] = ()
    lists: Path | None = None
    embeddings: Path | None = None
    critics: Path | None = None
    embedder: Path | None = None
    classifier: Path | None = None
    experts: tuple[Path, ...] = ()
    whitening: Path | None = None
    split: Split = "test"
    quick: bool = False
    seed: int = 0
    progress: Progress = no_progress

    @property
    def bundle(self) -> BundleSubject:
        """The bundle.

        Raises:
            UsageError: predictions are evaluated instead.
        """
        if self.given_bundle is None:
            raise UsageError("this suite runs a bundle's networks; --predictions cannot be scored by it")
        return self.given_bundle

    @property
    def subject(self) -> Subject:
        """The predictions, or else the bundle."""
        return self.bundle if self.predictions is None else self.predictions

    @property
    def voices(self) -> BundleSubject | None:
        """A bundle whose voice encoder hears for baselines: the bundle, or the first one beside; None: there is none."""
        return self.given_bundle or next(iter(self.beside), None)

    @property
    def pairs(self) -> Pairs:
        """The data.

        Raises:
            UsageError: none were given.
        """
        if self.given_pairs is None:
            raise UsageError("--data: this suite needs a folder of pairs, of `voxface data prepare` or `synth`")
        return self.given_pairs

    def phase(self, name: str) -> Done:
        """Who is told how far this phase is."""
        return lambda done, total: self.progress(done, total, name)

    def fewer(self, whole: int, quick: int) -> int:
        """A number of people, trials or steps: the smaller one with `quick`."""
        return min(whole, quick) if self.quick else whole

    def about(self) -> Mapping[str, Any]:
        """What was given, for the result: JSON values without paths of this machine."""
        pairs = self.given_pairs
        subject = self.predictions or self.given_bundle
        return {
            "subject": None if subject is None else {"name": subject.name, "sha256": subject.digest},
            "data": None
            if pairs is None
            else {"kind": pairs.kind, "sha256": pairs.digest, "people": len(pairs.people)},
            "split": self.split,
            "quick": self.quick,
            "seed": self.seed,
        }
