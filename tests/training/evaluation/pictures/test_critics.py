"""Discriminator and classifier of a run."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch comes with voxface[train]")

from torch import nn  # noqa: E402

from tests.stand_ins.small_pairs import small_pairs  # noqa: E402
from voxface.runtime.errors import InputError  # noqa: E402
from voxface.training.engine.trained_networks import save_networks  # noqa: E402
from voxface.training.evaluation.pictures.critics import Critics  # noqa: E402
from voxface.training.models import Classifier, Discriminator, FaceEmbedding, FaceGenerator  # noqa: E402

pytestmark = [pytest.mark.train, pytest.mark.usefixtures("one_thread")]

CRITIC: dict[str, Any] = {"channels": (4, 4, 4, 4, 4)}
FACE: dict[str, Any] = {"channels": (8, 8, 8, 8, 8)}


def save(folder: Path, names: tuple[str, ...], **about: Any) -> list[nn.Module]:
    torch.manual_seed(2)
    networks = [FaceEmbedding(**CRITIC), Discriminator(), Classifier(len(names))]
    architecture: dict[str, Any] = {"critic": CRITIC, "discriminator": {}, "classifier": {"identities": len(names)}}
    save_networks(folder, dict(zip(architecture, networks, strict=True)), architecture, about, identities=names)
    return [network.eval() for network in networks]


def test_what_they_say_is_what_the_networks_say(tmp_path: Path) -> None:
    pairs = small_pairs(8)
    critic, discriminator, classifier = save(tmp_path, ("p3", "nobody", "p1"), config={"conditional": True})
    critics = Critics.load(tmp_path, pairs)
    images = torch.rand(5, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        features = critic(images)
        real = 1 / (1 + np.exp(-discriminator(features).double().numpy()[:, 0]))
        best = classifier(features).argmax(1).numpy()
    assert critics.people.tolist() == [3, -1, 1]
    assert critics.conditional
    np.testing.assert_allclose(critics.realness(images), real)
    np.testing.assert_array_equal(critics.person(images)[:, 0], np.array([3, -1, 1])[best])
    assert critics.person(images, 5).shape == (5, 3), "there are no more people than it knows"


def test_a_run_without_them_is_named(tmp_path: Path) -> None:
    save_networks(tmp_path, {"face": FaceGenerator(**FACE)}, {"face": FACE}, {})
    with pytest.raises(InputError, match=r"--critics: .*holds face, no critic and no discriminator and no classifier"):
        Critics.load(tmp_path, small_pairs(8))
    with pytest.raises(InputError, match="no checkpoint here"):
        Critics.load(tmp_path / "nothing", small_pairs(8))
