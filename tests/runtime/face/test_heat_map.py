"""Numbers of vertices as colours."""

import numpy as np

from tests.stand_ins.sphere import sphere
from voxface.runtime.face.heat_map import COLOURS, heat_colours, heat_map, scale_end


def test_colours_go_from_the_first_to_the_last_and_get_lighter() -> None:
    ramp = heat_colours(np.linspace(-1, 11, 121, dtype=np.float32), 10.0)
    stops = np.array(COLOURS) / 255
    for value, stop in ((-1, 0), (0, 0), (2.5, 1), (5, 2), (7.5, 3), (10, 4), (11, 4)):
        np.testing.assert_allclose(heat_colours(np.array([value], np.float32), 10.0)[0], stops[stop], atol=1e-6)
    assert (np.diff(ramp @ [0.2126, 0.7152, 0.0722]) >= -1e-6).all()
    np.testing.assert_allclose(heat_colours(np.zeros(2, np.float32), 0.0), np.repeat(stops[:1], 2, 0), atol=1e-6)


def test_the_scale_holds_all() -> None:
    assert [scale_end(np.array(v, np.float32)) for v in ([], [0.2], [3.0, 7.1])] == [1.0, 1.0, 8.0]


def test_a_picture_with_a_bar() -> None:
    model = sphere()
    values = (model.mean[:, 1] > 0).astype(np.float32)  # the upper half is at the end of the scale
    picture = heat_map(model.mean, model.triangles, values, 1.0, yaws=(0.0, 90.0))
    assert picture.shape == (354, 640, 3)
    upper, lower = (picture[rows, 160].astype(int) for rows in (slice(80, 140), slice(180, 240)))
    assert (upper[:, 0] > upper[:, 2]).all()
    assert (lower[:, 2] > lower[:, 0]).all()
    np.testing.assert_array_equal(picture[337, 10], COLOURS[0])
    np.testing.assert_array_equal(picture[337, 629], COLOURS[-1])
