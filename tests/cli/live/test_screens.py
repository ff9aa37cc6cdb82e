"""The screens of `voxface live`: a window drawn off screen, a panel, a terminal."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import SAMPLES
from tests.stand_ins.age import with_age
from tests.stand_ins.face_posterior import with_posterior
from tests.stand_ins.open_screen import shown
from voxface.cli.live import lettering as lettering_module
from voxface.cli.live.lettering import Lettering
from voxface.cli.live.panel import (
    FACE,
    HEIGHT,
    LINE,
    MARGIN,
    TEXT,
    WAVE,
    WIDTH,
    face_side,
    lettering,
    packed,
    panel,
    scale_bar,
)
from voxface.cli.live.pictures.half_blocks import HalfBlocks
from voxface.cli.live.pictures.painter import NoPictures
from voxface.cli.live.screen_scale import scale_told
from voxface.cli.live.terminal import Terminal, broken
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.session import LiveSession


class Watched(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.slow
def test_the_window_shows_the_mesh_and_different_voices_differ(face_estimator: FaceEstimator) -> None:
    pytest.importorskip("open3d")
    from voxface.cli.live.window import Window
    from voxface.runtime.errors import ProviderError

    pictures = []
    for path in SAMPLES:
        pipeline = Pipeline(LiveSession(face_estimator), SystemClock())
        try:
            window = Window(pipeline, face_estimator.morphable, visible=False, frames_a_second=0)
        except ProviderError as error:
            pytest.skip(f"no OpenGL here: {error}")
        before = window.picture()
        shown(path, pipeline, window)
        assert all(window.draw() for _ in range(5))
        after = window.picture()
        window.close()
        assert not window.draw()
        assert before.shape == after.shape == (720, 960, 3)
        head = after[60:660, 30:435].astype(int)
        skin = (head[..., 0] > head[..., 2] + 20) & (head[..., 0] > 90)
        assert 0.2 < skin.mean() < 0.8
        assert head[skin].std(0).min() > 5, "the light makes it look solid"
        pictures.append(after)
        assert np.abs(after.astype(int) - before).max() > 50
    one, other = (picture.astype(int) for picture in pictures)
    assert (np.abs(one - other).max(2) > 20)[60:660, 30:435].sum() > 500, "another voice, another mesh"
    assert (np.abs(one - other).max(2) > 20)[:, 480:].sum() > 500, "and another picture"


@pytest.mark.slow
def test_the_window_shows_how_far_the_mesh_may_be_off(face_estimator: FaceEstimator) -> None:
    pytest.importorskip("open3d")
    from voxface.cli.live.window import Window
    from voxface.runtime.errors import ProviderError

    with FaceEstimator(with_posterior(face_estimator.bundle)) as estimator:
        pipeline = Pipeline(LiveSession(estimator), SystemClock())
        try:
            window = Window(pipeline, estimator.morphable, visible=False, frames_a_second=0, uncertain=True)
        except ProviderError as error:
            pytest.skip(f"no OpenGL here: {error}")
        shown(SAMPLES[0], pipeline, window)
        heat = window.picture()[60:660, 30:435].astype(int)
        assert not window._switch(None)
        assert not window.uncertain
        plain = window.picture()[60:660, 30:435].astype(int)
        window.close()
    skin = (plain[..., 0] > plain[..., 2] + 20) & (plain[..., 0] > 90)
    assert skin.mean() > 0.2
    cold = heat[..., 2] > heat[..., 0]
    assert cold[skin].mean() > 0.5, "most of the face is blue or green"
    assert not (plain[..., 2] > plain[..., 0] + 20)[skin].any()


@pytest.mark.parametrize("scale", [1.0, 1.25, 2.0])
def test_the_scale_of_the_heat_map(scale: float) -> None:
    image = panel(None, [], [], speaking=False, scale=scale)
    before = image.copy()
    scale_bar(image, 11.0, scale)
    changed = (image != before).any(2)
    top, bottom = round(4 * scale), round(14 * scale)
    left, right = round(MARGIN * scale), round((MARGIN + FACE) * scale)
    assert changed[top:bottom, left:right].all()
    assert changed[bottom : round(MARGIN * scale)].any(), "its words"
    assert not changed[round(MARGIN * scale) :].any(), "above the face"
    assert image[top, left + 1, 2] > image[top, left + 1, 0]  # blue is little
    assert image[top, right - 2, 0] > image[top, right - 2, 2]  # yellow is much


@pytest.mark.parametrize("scale", [1.0, 1.25, 2.0])
@pytest.mark.parametrize("size", [16, 64, 128, 500])
def test_the_panel(size: int, scale: float) -> None:
    face = np.full((size, size, 3), 200, np.uint8)
    image = panel(face, ["confidence 0.80"], [0.1, 1.0], speaking=True, scale=scale)
    assert image.shape == (round(HEIGHT * scale), round(WIDTH * scale), 3)
    edge, side = round(MARGIN * scale), face_side(scale)
    assert (image[edge : edge + side, edge : edge + side] == 200).all()
    text = image[edge + side : round((HEIGHT - 16 - WAVE) * scale)]
    assert 0.005 < (text != text[0, 0]).any(2).mean() < 0.2
    empty = panel(None, [], [], speaking=False, scale=scale)
    assert (empty != empty[0, 0]).any(2).sum() == round((WIDTH - MARGIN) * scale) - edge  # the line of the waveform


def test_the_panel_enlarges_without_steps() -> None:
    slope = np.repeat(np.linspace(0, 255, 64), 64).reshape(64, 64, 1).repeat(3, 2).astype(np.uint8)
    shown = panel(slope, [], [], speaking=False)[MARGIN : MARGIN + FACE, MARGIN, 0].astype(int)
    assert np.diff(shown).max() <= 2


def test_what_the_panel_says_fits_with_the_most_that_can_be_said() -> None:
    """In Roboto: of the state with a reason, and of a face whose every number is long."""
    lines = [
        " 3600.0 s   -119.7 dB  voice  no face: too little speech",
        "speaker 12  8.3 s of speech  confidence 0.84  converging  unclear (female 57%)  age 23 (18-33)  "
        "latency 152 ms (p99 999)",
    ]
    letters = lettering(TEXT)
    found = packed(lines, letters, WIDTH - 2 * MARGIN)
    assert [part for line in found for part in line.split("   ")] == [
        part.strip() for line in lines for part in line.split("  ") if part.strip()
    ]
    assert all(letters.width(line) <= WIDTH - 2 * MARGIN for line in found)
    assert MARGIN + FACE + 14 + len(found) * LINE <= HEIGHT - 16 - WAVE


@pytest.mark.parametrize("dots", [False, True])
def test_letters(dots: bool) -> None:
    letters = Lettering(24, dots=dots)
    image = np.zeros((60, 200, 3), np.uint8)
    letters.write(image, "voice", 10, 12, (200, 100, 50))
    y, x = np.nonzero(image.any(2))
    assert 12 <= y.min() < y.max() < 12 + 1.3 * 24
    assert 10 <= x.min() < x.max() < 10 + letters.width("voice") + 2
    assert y.max() - y.min() >= 12, "it can be read"
    assert (image.max((0, 1)) == [200, 100, 50]).all()
    assert (image[y, x, 0] >= image[y, x, 2]).all(), "in no other colour"
    assert letters.width("voice voice") > 2 * letters.width("voice")
    for text, at in (("cut at the right", (190, 0)), ("cut below", (0, 55)), ("outside", (500, 500)), ("", (0, 0))):
        letters.write(image, text, *at, (1, 1, 1))
    letters.write(image, "no letter for this:\n\x1b é€漢", 0, 0, (1, 1, 1))


def test_a_font_that_is_missing_or_damaged_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "damaged.ttf").write_bytes(b"\0\1\0\0" + bytes(60))
    for path in (tmp_path / "missing.ttf", tmp_path / "damaged.ttf"):
        monkeypatch.setattr(lettering_module, "_roboto", lambda path=path: path)
        lettering_module._font.cache_clear()
        assert Lettering(24).width("voice") > 30
    lettering_module._font.cache_clear()


@pytest.mark.parametrize(
    ("environment", "resources", "height", "scale"),
    [
        ({}, "", 0, 1.0),
        ({}, "*customization: -color\nXft.dpi:\t192\nXft.antialias: 1\n", 2160, 2.0),
        ({}, "Xft.dpi: 144", 1440, 1.5),
        ({"GDK_SCALE": "2"}, "Xft.dpi: 96", 2160, 2.0),
        ({"GDK_SCALE": "2"}, "", 900, 1.125),  # what fits
        ({"GDK_SCALE": "two"}, "", 1080, 1.0),
        ({"GDK_SCALE": "nan"}, "", 0, 1.0),
        ({}, "Xft.dpi: 9999", 0, 4.0),
        ({}, "Xft.dpi: 48", 1080, 1.0),
    ],
)
def test_the_scale_of_a_screen(environment: dict[str, str], resources: str, height: int, scale: float) -> None:
    assert scale_told(environment, resources, height) == pytest.approx(scale)


def test_the_terminal_draws_over_itself(face_estimator: FaceEstimator) -> None:
    stream = io.StringIO()
    pipeline = Pipeline(LiveSession(face_estimator), SystemClock())
    terminal = Terminal(stream, pipeline, face_estimator.morphable, HalfBlocks(), size=lambda: (80, 20))
    assert terminal.draw()
    assert "waiting for a second of voice" in stream.getvalue()
    shown(SAMPLES[0], pipeline, terminal)
    terminal.close()
    text = re.sub(r"\033\[[0-9;]*[A-Za-z]", "", stream.getvalue())
    assert "confidence 0." in text
    assert "speaker 1" in text
    rows = 20 - 1 - 4  # of a cursor, of status in three lines, of a waveform
    assert text.count("▀") == rows * 2 * 2 * rows
    assert "▇" in text.splitlines()[-1]
    drawn = stream.getvalue()
    terminal.close()
    assert "▀" not in stream.getvalue()[len(drawn) :], "a picture that is there is not drawn again"


@pytest.mark.parametrize(("child", "said"), [(0.1, "age 40 (27-60)"), (0.97, "child (97%)")])
def test_the_terminal_says_the_age(child: float, said: str) -> None:
    stream = io.StringIO()
    with FaceEstimator(with_age(Bundle.open(), child)) as of_age:
        pipeline = Pipeline(LiveSession(of_age, LiveConfig(hop=8000, any_age=True)), SystemClock())
        terminal = Terminal(stream, pipeline, of_age.morphable, HalfBlocks(), size=lambda: (200, 24))
        shown(SAMPLES[0], pipeline, terminal)
        terminal.close()
    assert f"  {said}  latency" in stream.getvalue()


def test_into_a_pipe_it_speaks_in_words_alone(face_estimator: FaceEstimator) -> None:
    stream = io.StringIO()
    pipeline = Pipeline(LiveSession(face_estimator), SystemClock())
    terminal = Terminal(stream, pipeline, face_estimator.morphable, NoPictures())
    assert terminal.draw()
    shown(SAMPLES[0], pipeline, terminal)
    terminal.close()
    assert "\033" not in stream.getvalue()
    assert "confidence 0." in stream.getvalue().splitlines()[-1]


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8])
def test_in_a_terminal_of_few_lines_nothing_moves_off(face_estimator: FaceEstimator, height: int) -> None:
    """The cursor cannot go back up to it, and the next drawing would be below the one before."""
    stream = io.StringIO()
    pipeline = Pipeline(LiveSession(face_estimator), SystemClock())
    terminal = Terminal(stream, pipeline, face_estimator.morphable, HalfBlocks(), size=lambda: (20, height))
    terminal.close()
    shown(SAMPLES[0], pipeline, terminal)
    before = len(stream.getvalue())
    terminal.close()
    terminal.close()
    for drawn in (stream.getvalue()[:before], stream.getvalue()[before:]):
        for each in re.split(r"\033\[\d+A", drawn):
            assert each.count("\n") <= max(1, height - 1)
    assert "0 s" in stream.getvalue()


def test_a_dumb_terminal_gets_words_alone(face_estimator: FaceEstimator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Watched()
    terminal = Terminal(
        stream, Pipeline(LiveSession(face_estimator), SystemClock()), face_estimator.morphable, NoPictures()
    )
    assert terminal.draw()
    assert "\033" not in stream.getvalue()
    assert "waiting for a second of voice" in stream.getvalue()


@given(st.text("ab ", max_size=60), st.integers(1, 30))
def test_lines_are_broken_and_lose_nothing(line: str, most: int) -> None:
    parts = broken(line, most)
    assert all(len(part) <= most for part in parts)
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")
