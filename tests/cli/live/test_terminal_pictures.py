"""Pictures in a terminal: what is written is read back and compared; how large they are; what a terminal is asked and says."""

import io
import os
import pty
import re
import termios
import threading
import zlib
from base64 import b64decode
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.conftest import SAMPLES
from tests.stand_ins.half_block_reader import read_half_blocks
from tests.stand_ins.open_screen import shown
from voxface.cli.live.pictures.asking import QUESTIONS, TerminalSays, ask, ask_terminal, understood
from voxface.cli.live.pictures.half_blocks import DARK_TO_LIGHT, HalfBlocks
from voxface.cli.live.pictures.kitty import CHUNK, Kitty, transmitted
from voxface.cli.live.pictures.painter import NoPictures, Wanted, choose_painter
from voxface.cli.live.pictures.palette import palette
from voxface.cli.live.pictures.sixel import BAND, COLOURS, Sixel, sixels
from voxface.cli.live.terminal import Terminal
from voxface.runtime.face.resize import resized
from voxface.runtime.inference.face_estimator import FaceEstimator
from voxface.runtime.live.clock import SystemClock
from voxface.runtime.live.pipeline import Pipeline
from voxface.runtime.live.session import LiveSession

Image = NDArray[np.uint8]
SIZES = st.integers(1, 400)
CELLS = st.tuples(st.integers(1, 40), st.integers(1, 80))


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def a_face(side: int) -> Image:
    """Something smooth with skin in it."""
    y, x = np.mgrid[0:side, 0:side] / side
    return np.stack([255 * x, 160 * y + 60, 200 * (1 - x) * y], 2).astype(np.uint8)


# -- sixels ----------------------------------------------------------------------------------------------------------------


def read_sixels(text: str) -> Image:
    """The picture of a stream of sixels, as a terminal would draw it; what is not drawn stays black."""
    whole = re.fullmatch(r"\033P0;1q\"1;1;(\d+);(\d+)(.*)\033\\", text, re.DOTALL)
    assert whole, text[:60]
    width, height = int(whole[1]), int(whole[2])
    image = np.zeros((height + BAND, width, 3), np.uint8)
    colours: dict[int, NDArray[np.float64]] = {}
    x = top = colour = 0
    at, body = 0, whole[3]
    while at < len(body):
        for pattern in (r"#(\d+);2;(\d+);(\d+);(\d+)", r"#(\d+)", r"!(\d+)([?-~])", r"([?-~])", r"\$", r"-"):
            token = re.compile(pattern).match(body, at)
            if token:
                break
        assert token, body[at : at + 20]
        at = token.end()
        if pattern.startswith(r"#(\d+);2"):
            colours[int(token[1])] = np.rint(np.array([int(v) for v in token.groups()[1:]]) * 255 / 100)
        elif pattern == r"#(\d+)":
            colour = int(token[1])
        elif pattern == r"\$":
            x = 0
        elif pattern == "-":
            x, top = 0, top + BAND
        else:
            count, letter = (int(token[1]), token[2]) if pattern.startswith("!") else (1, token[1])
            bits = ord(letter) - 63
            for row in range(BAND):
                if bits >> row & 1:
                    image[top + row, x : x + count] = colours[colour]
            x += count
            assert x <= width
    assert not image[height:].any()
    return image[:height]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 5))
def test_sixels_are_the_picture_in_its_palette(height: int, width: int, seed: int) -> None:
    image = noise(height, width, seed)
    colours, numbers = palette(image, COLOURS)
    apart = np.abs(read_sixels(sixels(image)).astype(int) - colours[numbers])
    assert apart.max() <= 2  # colours are said in hundredths


def test_a_face_in_sixels_looks_like_itself() -> None:
    image = a_face(96)
    apart = np.abs(read_sixels(sixels(image)).astype(int) - image)
    assert apart.mean() < 8
    assert len(sixels(np.zeros((60, 300, 3), np.uint8))) < 200  # what repeats is not said again


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(1, 256), st.integers(0, 3))
def test_a_palette(height: int, width: int, most: int, seed: int) -> None:
    image = noise(height, width, seed) if seed else a_face(24)[:height, :width]
    colours, numbers = palette(image, most)
    assert len(colours) <= most
    assert numbers.shape == image.shape[:2]
    assert numbers.max() < len(colours)
    if len(np.unique(image.reshape(-1, 3) >> 3, axis=0)) <= most:
        assert np.abs(colours[numbers].astype(int) - image).max() < 8


# -- kitty -----------------------------------------------------------------------------------------------------------------


def read_kitty(text: str) -> Image:
    """The picture of kitty's commands."""
    commands = re.findall(r"\033_G([^;]*);([^\033]*)\033\\", text)
    assert re.sub(r"\033_G[^\033]*\033\\", "", text) == ""
    keys = dict(pair.split("=") for pair in commands[0][0].split(","))
    assert (keys["a"], keys["f"], keys["o"], keys["q"], keys["C"]) == ("T", "24", "z", "2", "1")
    more = [dict(pair.split("=") for pair in head.split(","))["m"] for head, _ in commands]
    assert more == ["1"] * (len(more) - 1) + ["0"]
    assert all(len(data) <= CHUNK for _, data in commands)
    assert all(len(data) % 4 == 0 for _, data in commands)
    pixels = zlib.decompress(b64decode("".join(data for _, data in commands)))
    return np.frombuffer(pixels, np.uint8).reshape(int(keys["v"]), int(keys["s"]), 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90))
def test_kitty_gets_every_pixel(height: int, width: int) -> None:
    image = noise(height, width)
    np.testing.assert_array_equal(read_kitty(transmitted(image, 3)), image)


# -- half blocks -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 12), st.booleans())
def test_half_blocks_are_the_pixels(half: int, smooth: bool) -> None:
    image = a_face(2 * half) if smooth else noise(2 * half, 2 * half)
    painted = HalfBlocks().paint(image, image[::-1])
    lines = painted.split("\n")[:-1]
    assert len(lines) == half
    for row, line in enumerate(lines):
        assert line.startswith("\r\033[K")
        assert line.endswith("\033[0m")
        blocks = read_half_blocks(line)
        assert len(blocks) == 4 * half
        for drawn, pixels in ((blocks[: 2 * half], image), (blocks[2 * half :], image[::-1])):
            assert [upper for upper, _ in drawn] == pixels[2 * row].tolist()
            assert [lower for _, lower in drawn] == pixels[2 * row + 1].tolist()


def test_without_colours_there_are_only_letters() -> None:
    ramp = np.repeat(np.linspace(0, 255, 20).astype(np.uint8)[None, :, None], 20, 0).repeat(3, 2)
    painted = HalfBlocks(colours=False).paint(ramp, ramp)
    text = painted.replace("\r\033[K", "")
    assert "\033" not in text
    first = text.splitlines()[0]
    assert first[:20] == "".join(letter * 2 for letter in DARK_TO_LIGHT)
    assert len(first) == 41


# -- sizes -----------------------------------------------------------------------------------------------------------------


@given(SIZES, SIZES)
def test_half_blocks_are_as_large_as_there_is_room(columns: int, rows: int) -> None:
    layout = HalfBlocks().layout(columns, rows)
    assert layout.rows <= rows
    assert layout.side % 2 == 0
    if layout.side:
        assert 2 * layout.side + 1 <= columns
        assert layout.side == 2 * layout.rows
    larger = layout.side + 2
    assert 2 * larger + 1 > columns or larger // 2 > rows


@given(SIZES, st.integers(-5, 400), CELLS, st.sampled_from([Kitty, Sixel]))
def test_pictures_of_pixels_fit(columns: int, rows: int, cell: tuple[int, int], kind: Any) -> None:
    painter = kind(cell)
    layout = painter.layout(columns, rows)
    assert layout.rows <= max(0, rows)
    assert (layout.side == 0) == (layout.rows == 0)
    if layout.side:
        assert layout.side <= layout.rows * cell[1]
        assert 2 * layout.side < columns * cell[0]
        image = np.zeros((layout.side, layout.side, 3), np.uint8)
        if layout.side <= 48:
            assert height(painter.paint(image, image)) == (0, layout.rows)
    if kind is Sixel and rows * cell[1] >= 6 and columns * cell[0] >= 18:
        assert layout.side >= 6


class Screen(io.StringIO):
    """A stream that keeps what was written since it was last asked."""

    def fresh(self) -> str:
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


@pytest.mark.parametrize("kind", ["blocks", "sixel", "kitty", "none"])
def test_the_screen_takes_as_many_lines_as_it_has(kind: Wanted, face_estimator: FaceEstimator) -> None:
    """Through growing and shrinking: what is drawn over is what was drawn, and never more than there is."""

    stream, size = Screen(), (100, 30)
    painter = choose_painter(kind, environment={}, ask=lambda: TerminalSays(cell=(10, 20)))
    pipeline = Pipeline(LiveSession(face_estimator), SystemClock())
    terminal = Terminal(stream, pipeline, face_estimator.morphable, painter, size=lambda: size)
    terminal.close()
    assert height(stream.fresh()) == (0, 3)
    shown(SAMPLES[0], pipeline, terminal)
    before = 3
    for size in [(100, 30), (100, 30), (60, 12), (20, 6), (10, 3), (200, 50), (100, 30)]:
        terminal.close()
        up, down = height(stream.fresh())
        assert up == before
        lines = terminal.lines(size[0])
        assert down >= min(len(lines), size[1] - 1)
        assert down < size[1]
        assert all(len(line) < max(2, size[0]) for line in lines)
        before = down


def height(text: str) -> tuple[int, int]:
    """How many lines the cursor goes up at first, and then down in all."""
    first = re.match(r"\r\033\[(\d+)A", text)
    rest = text[first.end() :] if first else text
    rest = re.sub(r"\033\[(\d+)A\0337.*?\0338\033\[\1B", "", rest, flags=re.DOTALL)  # a picture, and back
    down = rest.count("\n") + sum(
        int(n) * (1 if way == "B" else -1) for n, way in re.findall(r"\033\[(\d+)([AB])", rest)
    )
    return int(first[1]) if first else 0, down


def test_the_picture_on_the_screen_is_the_face(face_estimator: FaceEstimator) -> None:

    stream = Screen()
    pipeline = Pipeline(LiveSession(face_estimator), SystemClock())
    terminal = Terminal(stream, pipeline, face_estimator.morphable, Kitty((10, 20)), size=lambda: (100, 20))
    shown(SAMPLES[0], pipeline, terminal)
    terminal.close()
    (picture,) = re.findall(r"(\033_Ga=T.*\033\\)", stream.getvalue(), re.DOTALL)
    image = read_kitty(picture)
    side = image.shape[0]
    event: Any = terminal._newest.event  # type: ignore[union-attr]
    np.testing.assert_array_equal(image[:, :side], resized(event.estimate.image, side))


# -- asking ----------------------------------------------------------------------------------------------------------------

XTERM = b"\033[6;20;10t\033[?64;1;2;4;6;22c"
KITTY = b"\033_Gi=31;OK\033\\\033[6;36;18t\033[?62;c"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (XTERM, TerminalSays(sixel=True, cell=(10, 20), all=True)),
        (KITTY, TerminalSays(kitty=True, cell=(18, 36), all=True)),
        (b"\033[?6c", TerminalSays(all=True)),
        (b"\033[?4c", TerminalSays(all=True)),  # a VT132, whose 4 is its name
        (b"typed" + XTERM[:-1], TerminalSays(cell=(10, 20))),
        (b"\033_Gi=31;ENOTSUPPORTED:no\033\\\033[?62c", TerminalSays(all=True)),
        (b"\033[6;0;0t\033[?62;4c", TerminalSays(sixel=True, all=True)),
    ],
)
def test_answers(answers: bytes, says: TerminalSays) -> None:
    assert understood(answers) == says


@given(st.binary(max_size=60), st.sampled_from([XTERM, KITTY]), st.integers(0, 60))
def test_answers_among_anything_and_cut_anywhere(other: bytes, answers: bytes, cut: int) -> None:
    understood(other + answers[:cut])
    said = understood(answers[:cut])
    assert said.all == (cut >= len(answers))
    assert not said.all or said == understood(answers)


def test_a_terminal_is_asked_and_left_as_it_was() -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)

    def terminal() -> None:
        asked = b""
        while not asked.endswith(QUESTIONS[-3:]):
            asked += os.read(ours, 100)
        for at in range(0, len(XTERM), 5):  # in pieces, as over a slow line
            os.write(ours, XTERM[at : at + 5])

    thread = threading.Thread(target=terminal)
    thread.start()
    try:
        assert ask(theirs, 30.0) == TerminalSays(sixel=True, cell=(10, 20), all=True)
        thread.join()
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize("said", [b"", b"nonsense\033[?", b"\033_Gi=31;OK\033\\"])
def test_one_that_does_not_answer_is_not_waited_for(said: bytes) -> None:
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    try:
        if said:
            os.write(ours, said)
        assert not ask(theirs, 0.05).all
        assert termios.tcgetattr(theirs) == before
    finally:
        os.close(ours)
        os.close(theirs)


def test_one_that_talks_without_end_is_not_listened_to_for_ever() -> None:
    ours, theirs = pty.openpty()
    over = threading.Event()

    def talk() -> None:
        os.set_blocking(ours, False)
        while not over.is_set():
            try:
                os.write(ours, b"x" * 64)
            except BlockingIOError:
                over.wait(0.001)
            with suppress(BlockingIOError):
                os.read(ours, 4096)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        assert ask(theirs, 600.0) == TerminalSays()
    finally:
        over.set()
        thread.join()
        os.close(ours)
        os.close(theirs)


def test_what_is_no_terminal_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with pytest.raises(OSError, match=r".+"):
        ask(reading, 0.05)
    os.close(reading)
    os.close(writing)
    monkeypatch.setenv("TERM", "dumb")
    assert ask_terminal() == TerminalSays()


@pytest.mark.parametrize(
    ("wanted", "environment", "says", "kind"),
    [
        ("auto", {}, TerminalSays(kitty=True, sixel=True, cell=(9, 18)), Kitty),
        ("auto", {}, TerminalSays(sixel=True, cell=(9, 18)), Sixel),
        ("auto", {}, TerminalSays(sixel=True), HalfBlocks),  # without the size of a cell a picture may be too large
        ("auto", {}, TerminalSays(), HalfBlocks),
        ("auto", {"NO_COLOR": "1"}, TerminalSays(kitty=True), HalfBlocks),
        ("auto", {"NO_COLOR": ""}, TerminalSays(kitty=True), Kitty),
        ("kitty", {"NO_COLOR": "1"}, TerminalSays(), Kitty),
        ("sixel", {}, TerminalSays(), Sixel),
        ("blocks", {}, TerminalSays(kitty=True), HalfBlocks),
        ("none", {}, TerminalSays(kitty=True), NoPictures),
    ],
)
def test_which_one_draws(wanted: Wanted, environment: dict[str, str], says: TerminalSays, kind: type) -> None:
    assert type(choose_painter(wanted, environment=environment, ask=lambda: says)) is kind


def test_no_colour_means_none() -> None:
    def never() -> TerminalSays:
        raise AssertionError("nothing needs to be asked")

    for wanted in ("auto", "blocks"):
        painter = choose_painter(wanted, environment={"NO_COLOR": "1"}, ask=never)  # type: ignore[arg-type]
        assert "38;2" not in painter.paint(noise(4, 4), noise(4, 4))
