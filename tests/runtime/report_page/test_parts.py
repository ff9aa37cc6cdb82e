"""What goes into the page of a run: meshes as whole numbers, the beginning of a voice, the script, and what it may load."""

import io
import json
import re
from base64 import b64decode, b64encode
from collections import Counter
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from voxface.runtime.provenance.mark import Mark
from voxface.runtime.report_page.clip_row import ClipRow, clip_html
from voxface.runtime.report_page.kept_sound import KeptSound
from voxface.runtime.report_page.packed_mesh import packed, packed_topology
from voxface.runtime.report_page.page import page
from voxface.runtime.report_page.shown_face import ShownFace, show_face
from voxface.runtime.viewer import FOLDER, SCRIPTS, one_script

COUNTS = st.lists(st.integers(0, 3000), max_size=6)


def unpacked(document: dict[str, Any]) -> NDArray[np.float64]:
    return np.frombuffer(b64decode(document["values"]), "<i2") * document["step"]


@settings(max_examples=30)
@given(
    arrays(
        np.float32,
        array_shapes(max_dims=2),
        elements=st.floats(-1e6, 1e6, width=32, allow_nan=False, allow_subnormal=False),
    )
)
def test_numbers_come_back_within_half_a_step(values: NDArray[np.float32]) -> None:
    document = packed(values)
    again = unpacked(json.loads(json.dumps(document)))
    assert np.abs(again - values.ravel()).max() <= document["step"] * 0.501


def test_a_head_comes_back_to_a_hundredth_of_a_millimetre() -> None:
    head = np.random.default_rng(0).uniform(-300, 300, (500, 3)).astype(np.float32)
    assert np.abs(unpacked(packed(head)).reshape(-1, 3) - head).max() < 0.01


def test_the_topology_as_browsers_read_it() -> None:
    triangles = np.array([[0, 1, 70_000]], np.int32)
    found = packed_topology(triangles, np.array([[0, 0.5, 1]], np.float32))
    assert np.frombuffer(b64decode(found["triangles"]), "<u4").tolist() == [0, 1, 70_000]
    assert list(b64decode(found["colours"])) == [0, 128, 255]


@settings(max_examples=25)
@given(COUNTS, st.integers(0, 4000))
def test_sound_goes_through_whole_and_its_beginning_is_kept(counts: list[int], longest: int) -> None:
    rng = np.random.default_rng(len(counts))
    blocks = [rng.integers(-(2**15), 2**15, n).astype(np.int16) for n in counts]
    sound = KeptSound(longest / 16_000)
    through = list(sound.through(iter(blocks)))
    assert [block.tolist() for block in through] == [block.tolist() for block in blocks]
    everything = np.concatenate([np.empty(0, np.int16), *blocks])
    assert sound.heard == len(everything)
    assert sound.seconds == min(longest, len(everything)) / 16_000
    assert sound.whole == (len(everything) <= longest)
    if sound.heard and longest:
        samples, rate = soundfile.read(io.BytesIO(sound.flac()), dtype="int16")
        assert rate == 16_000
        np.testing.assert_array_equal(samples, everything[:longest])


def test_what_is_kept_does_not_change_when_the_block_is_used_again() -> None:
    sound, block = KeptSound(), np.arange(100, dtype=np.int16)
    for each in sound.through([block]):
        each[:] = 0
    np.testing.assert_array_equal(
        soundfile.read(io.BytesIO(sound.flac()), dtype="int16")[0], np.arange(100, dtype=np.int16)
    )


def test_one_script_of_many_modules() -> None:
    script = one_script()
    assert "import " not in script
    assert not re.search(r"^export\b", script, re.MULTILINE)
    assert "</script" not in script
    names = Counter(re.findall(r"^(?:const|let|class|function|async function) (\w+)", script, re.MULTILINE))
    assert {"openMeshView", "MeshView", "heatColours", "normalsOf"} <= set(names)
    assert [name for name, count in names.items() if count > 1] == []
    for at, name in enumerate(SCRIPTS):  # each needs only what is before it
        needed = re.findall(r'from "\./([\w-]+\.js)"', (FOLDER / name).read_text())
        assert set(needed) <= set(SCRIPTS[:at])


def row(title: str = "a.wav", inside: ShownFace | None = None, **more: Any) -> ClipRow:
    known: dict[str, Any] = {
        "title": title, "folder": "a", "inside": inside, "about": "female (97%)", "facts": {"speech": "1.0 of 2.0 s"},
        "measurements": {"face width": "140.0 mm"}, "told": "", "duration_s": 2.0, "segments": [[0.5, 1.5]],
        "pictures": {"mesh.png": "Mesh"},
    }  # fmt: skip
    return ClipRow(**{**known, **more})


def test_the_page_runs_its_own_script_alone() -> None:
    text = page(Mark(), "b", "about", [row()], {}, ["bad.wav: no"])
    (script,) = re.findall(r"<script type=module>(.*?)</script>", text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy content="([^"]*)"', text)
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "<li>bad.wav: no</li>" in text
    assert text.count('<meta name="generator"') == 1


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", '"><img src=x>', "a&b"])
def test_names_are_words(title: str) -> None:
    facts, told = {title: title}, title
    text = page(Mark(bundle=title), title, title, [row(title, facts=facts, told=told)], {}, [title])
    assert title not in text
    assert text.count("<script") == 2


def test_a_face_has_what_there_is_of_it() -> None:
    vertices = np.zeros((4, 3), np.float32)
    bare = show_face(b"picture", [b"mesh"], vertices)
    assert (bare.draws, bare.sound, bare.largest_mm) == (0, "", 0.0)
    html = clip_html(row(inside=bare), 0)
    assert "data:image/png;base64,cGljdHVyZQ==" in html
    assert not any(word in html for word in ("<audio", "class=hot", "class=draws", "class=scale"))
    sound = KeptSound(0.001)
    list(sound.through([np.zeros(32, np.int16)]))
    spread = np.full(4, 2.5, np.float32)
    full = show_face(b"picture", [b"mesh"], vertices, spread=spread, draws=[vertices, vertices], sound=sound)
    html = clip_html(row(inside=full), 7)
    assert html.count("type=radio") == 3
    assert html.count("name=draw-7") == 3
    assert "data:audio/flac;base64," in html
    assert "The first 0.001 s of 2 s." in html
    assert "3 mm</span>" in html
    assert json.loads(full.mesh)["largest_mm"] == 3.0
    assert full.size > bare.size


@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 3600), st.floats(0, 60)), max_size=100))
def test_the_strip_of_speech_is_short_and_within_itself(spans: list[tuple[float, float]]) -> None:
    segments = [[start, min(3600.0, start + length)] for start, length in sorted(spans)]
    bars = re.findall(r'<rect x="(\d+)" width="(\d+)"', clip_html(row(duration_s=3600.0, segments=segments), 0))
    assert len(bars) <= 500  # of a thousand columns, each apart from the next
    ends = [(int(x), int(x) + int(width)) for x, width in bars]
    assert all(0 <= start < end <= 1000 for start, end in ends)
    assert all(before[1] < after[0] for before, after in pairwise(ends))
