"""Results of `voxface eval`, made up."""

import json
from pathlib import Path


def write_results(folder: Path, better_by: float = 0.0) -> Path:
    """A folder of results: one suite, eight people, each better by so much than with 0."""
    from voxface.training.evaluation.result import FORMAT, Column, Measured, PerPerson, Row, SuiteResult, Table

    table = Table("top", "Whose face?", (Column("top 1", "%"),), (Row("ours", "ours", {"top 1": Measured(0.5)}),))
    people = {f"p{k}": 0.1 * k + better_by for k in range(8)}
    result = SuiteResult("identity", (table,), {}, {"top 1": PerPerson("higher", people)})
    folder.mkdir()
    about = {
        "format": FORMAT, "subject": {"name": "ours", "sha256": "ab" * 32}, "split": "test", "quick": False, "seed": 0,
        "data": {"kind": "own", "sha256": "cd" * 32, "people": 8}, "test_use": 1, "command": "voxface eval identity",
        "date": "2026-12-01", "versions": {"voxface": "0"},
    }  # fmt: skip
    (folder / "identity.json").write_text(json.dumps({**result.to_json(), **about}))
    return folder
