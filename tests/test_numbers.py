"""Numbers in README and docs are those of the results."""

from benchmarks.record import RESULTS
from benchmarks.render_tables import PAGES, TABLES, fill, stale


def test_pages_are_up_to_date() -> None:
    assert stale() == [], "run: python -m benchmarks.render_tables"


def test_every_block_is_filled() -> None:
    for page in PAGES:
        text = page.read_text()
        assert "<!-- numbers:" in text, page
    filled = "".join(page.read_text() for page in PAGES)
    for name in TABLES:
        assert f"<!-- numbers:{name} -->\n<!-- /numbers -->" not in filled
        assert f"<!-- numbers:{name} -->" in filled, f"no page shows {name}"


def test_fill_replaces_only_its_block() -> None:
    page = "a\n<!-- numbers:measures -->\nold\n<!-- /numbers -->\nb\n"
    text = fill(page)
    assert text.startswith("a\n")
    assert text.endswith("<!-- /numbers -->\nb\n")
    assert "old" not in text


def test_every_result_says_how_it_was_measured() -> None:
    import json

    for path in RESULTS.glob("*.json"):
        document = json.loads(path.read_text())
        assert {"what", "command", "date", "commit", "machine", "versions", "measured"} <= set(document), path
        assert document["what"] == path.stem
