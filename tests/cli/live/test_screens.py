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
from voxface.cli.live.panel import FACE, HEIGHT, MARGIN, WIDTH, panel, scale_bar, write
from voxface.cli.live.pictures.half_blocks import HalfBlocks
from voxface.cli.live.pictures.painter import NoPictures
from voxface.cli.live.terminal import Terminal, broken
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.config.live import LiveConfig
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.runner import run_inline
from voxface.runtime.live.session import LiveSession
from voxface.runtime.live.sink_worker import SinkWorker
from voxface.runtime.live.sources import FileSource
from voxface.runtime.live.stop import Stop


class Open:
    """Keeps a screen open after the run."""

    def __init__(self, screen: object) -> None:
        self._screen = screen
        self.name, self.keeps_all, self.wants_audio = "screen", False, True
        self.audio, self.event = screen.audio, screen.event  # type: ignore[attr-defined]

    def close(self) -> None:
        pass


def shown(path: Path, pipeline: Pipeline, screen: object) -> None:
    pipeline.sink_workers.append(SinkWorker(Open(screen), SystemClock(), "here", lambda _: None))
    run_inline(FileSource(path), pipeline, Stop(), [])


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
        assert before.shape == after.shape == (480, 640, 3)
        head = after[40:440, 20:290].astype(int)
        skin = (head[..., 0] > head[..., 2] + 20) & (head[..., 0] > 90)
        assert 0.2 < skin.mean() < 0.8
        assert head[skin].std(0).min() > 5, "the light makes it look solid"
        pictures.append(after)
        assert np.abs(after.astype(int) - before).max() > 50
    one, other = (picture.astype(int) for picture in pictures)
    assert (np.abs(one - other).max(2) > 20)[40:440, 20:290].sum() > 500, "another voice, another mesh"
    assert (np.abs(one - other).max(2) > 20)[:, 320:].sum() > 500, "and another picture"


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
        heat = window.picture()[40:440, 20:290].astype(int)
        assert not window._switch(None)
        assert not window.uncertain
        plain = window.picture()[40:440, 20:290].astype(int)
        window.close()
    skin = (plain[..., 0] > plain[..., 2] + 20) & (plain[..., 0] > 90)
    assert skin.mean() > 0.2
    cold = heat[..., 2] > heat[..., 0]
    assert cold[skin].mean() > 0.5, "most of the face is blue or green"
    assert not (plain[..., 2] > plain[..., 0] + 20)[skin].any()


def test_the_scale_of_the_heat_map() -> None:
    image = panel(None, [], [], speaking=False)
    before = image.copy()
    scale_bar(image, 11.0)
    changed = (image != before).any(2)
    assert changed[4:12, 32:288].all()
    assert changed[16:23].any()
    assert not changed[24:].any()
    assert image[8, 33, 2] > image[8, 33, 0]  # blue is little
    assert image[8, 286, 0] > image[8, 286, 2]  # yellow is much


@pytest.mark.parametrize("size", [16, 48, 64, 128, 400])
def test_the_panel(size: int) -> None:
    face = np.full((size, size, 3), 200, np.uint8)
    image = panel(face, ["confidence 0.80"], [0.1, 1.0], speaking=True)
    assert image.shape == (HEIGHT, WIDTH, 3)
    assert (image == 200).all(2).sum() == 256 * 256
    empty = panel(None, [], [], speaking=False)
    assert (empty != empty[0, 0]).any(2).sum() == 256  # the line of the waveform
    write(empty, "far too long a text for so narrow a panel, and with signs it has no letter for: é€", 300, 475)


def test_the_panel_enlarges_without_steps() -> None:
    slope = np.repeat(np.linspace(0, 255, 64), 64).reshape(64, 64, 1).repeat(3, 2).astype(np.uint8)
    shown = panel(slope, [], [], speaking=False)[MARGIN : MARGIN + FACE, MARGIN, 0].astype(int)
    assert np.diff(shown).max() <= 2


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


@given(st.text("ab ", max_size=60), st.integers(1, 30))
def test_lines_are_broken_and_lose_nothing(line: str, most: int) -> None:
    parts = broken(line, most)
    assert all(len(part) <= most for part in parts)
    assert "".join(parts).replace(" ", "") == line.replace(" ", "")
