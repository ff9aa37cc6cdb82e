"""Results of a suite as JSON, Markdown and text; one page of them; two of them compared."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.errors import InputError
from voxface.training.evaluation.comparison import compare
from voxface.training.evaluation.report import report_page
from voxface.training.evaluation.result import Column, Measured, PerPerson, Row, SuiteResult, Table

PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00"
    b"\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa75\x81\x84\x00\x00\x00\x00IEND\xaeB`\x82"
)


def small_result(scores: dict[str, float] | None = None) -> SuiteResult:
    columns = (Column("top 1", "%"), Column("error", "mm", "lower", 2))
    rows = (
        Row("ours", "ours", {"top 1": Measured(0.5, 0.4, 0.62), "error": Measured(3.14159, sd=0.2)}),
        Row("chance", "trivial", {"top 1": Measured(0.01)}),
        Row("A | B 2019, <Table 3>", "published", {"error": Measured(4, trials=10, people=3)}),
    )
    return SuiteResult(
        "identity",
        (Table("top", "Whose face?", columns, rows, "Of ten people."),),
        {"identity-faces.png": PIXEL},
        {"top 1": PerPerson("higher", scores or {"p0": 1.0, "p1": 0.0})},
        {"people": 10},
        ("It is above chance.",),
        ("The paper's classifier: give --critics.",),
    )


def document(result: SuiteResult, **more: Any) -> dict[str, Any]:
    about: dict[str, Any] = {
        "format": 1, "subject": {"name": "a bundle", "sha256": "ab" * 32},
        "data": {"kind": "own", "sha256": "cd" * 32, "people": 10},
        "split": "test", "quick": False, "seed": 0, "test_use": 1, "command": "voxface eval identity", "date": "2026-12-01",
        "versions": {"voxface": "0"},
    }  # fmt: skip
    return {**result.to_json(), **about, **more}


def test_a_table_shows_units_intervals_and_what_is_not_there() -> None:
    lines = small_result().tables[0].markdown().splitlines()
    assert lines[2:] == [
        "| method | top 1 (%) ↑ | error (mm) ↓ |",
        "| --- | ---: | ---: |",
        "| **ours** | 50.0 (40.0 to 62.0) | 3.14 ± 0.20 |",
        "| chance (trivial) | 1.0 | – |",
        "| A \\| B 2019, <Table 3> (published) | – | 4.00 |",
        "",
        "Of ten people.",
    ]


def test_a_table_wider_than_a_page_lies_on_its_side() -> None:
    columns = tuple(Column(f"m{k}", "mm", "lower") for k in range(10))
    rows = (
        Row("ours", "ours", {"m0": Measured(1)}),
        Row("mean", "trivial", {f"m{k}": Measured(k) for k in range(10)}),
    )
    table = Table("wide", "Many measures", columns, rows)
    lines = table.markdown().splitlines()
    assert lines[2] == "| method | **ours** | mean (trivial) |"
    assert lines[4] == "| m0 (mm) ↓ | 1.0 | 0.0 |"
    assert lines[13] == "| m9 (mm) ↓ | – | 9.0 |"
    page = report_page({Path("x"): {"identity": document(SuiteResult("identity", (table,)))}})
    assert '<th class="trivial">mean (trivial)</th>' in page
    assert page.count("<tr") == 1 + 10


def test_json_gives_the_result_back_but_for_its_figures() -> None:
    result = small_result()
    back = SuiteResult.from_json(json.loads(json.dumps(result.to_json())))
    assert back.to_json() == {**result.to_json(), "figures": []}
    assert back.tables == result.tables


@given(
    st.floats(-1e6, 1e6),
    st.none() | st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
    st.none() | st.floats(0, 1e6),
    st.none() | st.integers(0, 10**9),
)
def test_numbers_survive_json(
    value: float, interval: tuple[float, float] | None, sd: float | None, trials: int | None
) -> None:
    low, high = interval or (None, None)
    number = Measured(value, low, high, sd, trials, trials)
    assert Measured.from_json(json.loads(json.dumps(number.to_json()))) == number


def test_numbers_must_be_finite_and_rows_must_fit() -> None:
    with pytest.raises(ValueError, match="not finite"):
        Measured(float("nan"))
    with pytest.raises(ValueError, match="row x"):
        Table("t", "", (Column("a"),), (Row("x", "ours", {"b": Measured(1)}),))
    with pytest.raises(ValueError, match="row x"):
        Table("t", "", (Column("a"),), (Row("x", "theirs", {"a": Measured(1)}),))  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [{"tables": 3}, {"per_person": {"m": {}}}, {"statements": 1}])
def test_what_is_no_result_is_named_so(broken: dict[str, Any]) -> None:
    whole = document(small_result())
    SuiteResult.from_json(whole)
    for wrong in ({**whole, **broken}, {name: whole[name] for name in whole if name not in broken}):
        with pytest.raises(InputError, match="not a result"):
            SuiteResult.from_json(wrong)


def test_the_page_holds_everything_and_asks_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "identity-faces.png").write_bytes(PIXEL)
    page = report_page({tmp_path: {"identity": document(small_result(), quick=True, test_use=3)}})
    assert "3.14 ± 0.20" in page
    assert "A | B 2019, &lt;Table 3&gt;" in page
    assert "Evaluation 3 on these test people" in page
    assert "worth little" in page
    assert "give --critics" in page
    # Links lead into the page, and pictures are in it.
    assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', page))
    assert all(source.startswith("data:image/png;base64,") for source in re.findall(r'src="([^"]*)"', page))
    assert str(tmp_path) not in page


def test_a_page_without_its_figure_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"identity-faces\.png"):
        report_page({tmp_path: {"identity": document(small_result())}})


def test_compared_are_people_that_both_have(rng: np.random.Generator) -> None:
    people = [f"p{k}" for k in range(60)]
    base = dict(zip(people, rng.normal(0.5, 0.1, 60).tolist(), strict=True))
    better = {name: value + 0.05 for name, value in base.items() if name != "p7"}
    a = {"identity": document(small_result(better | {"only a": 9.0}))}
    b = {"identity": document(small_result(base)), "images": document(small_result())}
    found = compare(a, b)
    (one,) = found.compared
    assert one.difference.value == pytest.approx(0.05)
    assert one.difference.people == 59
    assert one.winner(1) == "a"
    assert found.to_json()["differences"][0]["significant"]
    assert found.left_out == (("images", "all", "only B has it"),)
    assert "A" in found.text().splitlines()[1].split()[-1]
    same = compare(b, b)
    assert [one.winner(2) for one in same.compared] == ["", ""]


def test_other_people_and_other_data_are_not_compared() -> None:
    a = {"identity": document(small_result())}
    other = {"identity": document(small_result(), data={"kind": "own", "sha256": "ee" * 32, "people": 10})}
    with pytest.raises(InputError, match="other data"):
        compare(a, other)
    strangers = {"identity": document(small_result({"q0": 1.0, "p0": 1.0}))}
    with pytest.raises(InputError, match="1 people have both"):
        compare(a, strangers)
