"""Model cards on a terminal: what is drawn fits, loses nothing, and does nothing to the terminal."""

import re
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.command_line import run
from voxface.cli.drawn_markdown import WIDEST, drawn, section, width_of
from voxface.runtime.bundle.bundle import Bundle

CARD = """# small 1

A voice in,
a *face* out: see [the page](https://example.org/x).

## Metrics

| | this bundle | trivial |
|---|---|---|
| mesh: rms mm | 4.855 | 4.876 |
| sex | 0.9741 | 0.5 |

## Limits

* It tells **sex**, and nothing that is long enough to need a second line here.
* `No` more.

## How

```json
{"steps": 20000}
```
"""


def test_a_card_line_by_line() -> None:
    assert drawn(CARD, 40, styled=False) == [
        "small 1",
        "═══════",
        "",
        "A voice in, a *face* out: see the page",
        "(https://example.org/x).",
        "",
        "Metrics",
        "───────",
        "",
        "              this bundle  trivial",
        "mesh: rms mm        4.855    4.876",
        "sex                0.9741      0.5",
        "",
        "Limits",
        "──────",
        "",
        "• It tells sex, and nothing that is long",
        "  enough to need a second line here.",
        "• No more.",
        "",
        "How",
        "───",
        "",
        '  {"steps": 20000}',
    ]
    styled = drawn(CARD, 40)
    assert styled[0] == "\033[1msmall 1\033[0m"
    assert [re.sub(r"\033\[\d*m", "", line).rstrip() for line in styled] == drawn(CARD, 40, styled=False)


def test_sections_by_name() -> None:
    assert section(CARD, "Limits").splitlines()[0] == "## Limits"
    assert section(CARD, "Limits", "Metrics").startswith("## Metrics")
    assert "steps" not in section(CARD, "Limits", "Metrics")
    assert section(CARD, "Nothing") == ""


@settings(max_examples=80)
@given(st.text("ab #|*`-\n[]()\0\x1b\u0301漢é", max_size=200) | st.text(max_size=80), st.integers(1, 150))
def test_any_page_fits_and_moves_no_cursor(text: str, columns: int) -> None:
    for line in drawn(text, columns, styled=False):
        assert width_of(line) <= max(20, min(columns, WIDEST))
        assert line.isprintable()


@given(st.lists(st.text("abcd", min_size=1, max_size=30), max_size=30), st.integers(20, 100))
def test_words_are_not_lost(words: list[str], columns: int) -> None:
    assert "".join(drawn(" ".join(words), columns)).replace(" ", "") == "".join(words)


class TestOnATerminal:
    @pytest.fixture(autouse=True)
    def _narrow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")

    def test_info_draws_what_it_can_and_cannot(
        self, default_bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert run("bundle", "info") == 0
        piped = capsys.readouterr().out
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert run("bundle", "info") == 0
        told = capsys.readouterr().out
        assert told.startswith(piped)
        card = told.removeprefix(piped).splitlines()
        assert "\033[1mMetrics\033[0m" in card
        assert any(line.startswith("• The face is not the speaker's.") for line in card)
        assert max(width_of(re.sub(r"\033\[\d*m", "", line)) for line in card) <= 60
        assert "Training of" not in told

    def test_the_card_alone_is_drawn_whole_and_raw_in_a_pipe(
        self, default_bundle: Bundle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        entry: Any = default_bundle.manifest.model_card
        assert run("bundle", "info", "--card") == 0
        assert capsys.readouterr().out == default_bundle.files[entry.file].decode()
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("NO_COLOR", "1")
        assert run("bundle", "info", "--card") == 0
        told = capsys.readouterr().out
        assert "\033" not in told
        assert told.startswith("voxface-default")
        assert "Training of encoder:" in told

    def test_json_is_only_json(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        assert run("bundle", "info", "--json") == 0
        plain = capsys.readouterr().out
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert run("bundle", "info", "--json") == 0
        assert capsys.readouterr().out == plain
