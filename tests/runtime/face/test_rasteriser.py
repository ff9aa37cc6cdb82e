"""Previews of a mesh: its outline, its light, and the way it turns."""

import numpy as np
import pytest

from tests.stand_ins.sphere import sphere
from voxface.runtime.face.rasteriser import BACKGROUND, preview

MODEL = sphere()


@pytest.mark.parametrize("yaw", [0.0, 40.0, 90.0, 180.0])
def test_preview_of_a_sphere_is_a_shaded_disc(yaw: float) -> None:
    picture = preview(MODEL.mean, MODEL.triangles, MODEL.albedo, yaw=yaw, size=100).astype(int)
    covered = (np.abs(picture - BACKGROUND).sum(2) > 8).mean()
    assert covered == pytest.approx(np.pi * (0.92 * 90 / 300) ** 2, rel=0.05)
    assert picture[35, 50].sum() > picture[68, 50].sum(), "the light comes from above"


def test_preview_turns_the_way_it_says() -> None:
    red = np.where(MODEL.mean[:, [0]] > 60, [1.0, 0, 0], [0.5, 0.5, 0.5]).astype(np.float32)  # the subject's left ear
    front = preview(MODEL.mean, MODEL.triangles, red, yaw=0, size=100).astype(int)
    ears = np.argwhere(front[:, :, 0] - front[:, :, 2] > 60)
    assert ears[:, 1].mean() > 60, "the subject's left is on the viewer's right"
    nose = np.where(MODEL.mean[:, [2]] > 60, [1.0, 0, 0], [0.5, 0.5, 0.5]).astype(np.float32)
    side = preview(MODEL.mean, MODEL.triangles, nose, yaw=90, size=100).astype(int)
    assert np.argwhere(side[:, :, 0] - side[:, :, 2] > 60)[:, 1].mean() > 60, "turned to its left: it looks right"
