"""A document that holds its own digest: every change of it is seen, and no change of its form."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from voxface.runtime.files.sealed_json import SEAL, is_intact, sealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(max_size=6).filter(lambda key: key != SEAL), VALUES, max_size=5)


@given(document=DOCUMENTS, indent=st.sampled_from([None, 1, 4]))
def test_it_comes_back_whatever_its_form(document: dict[str, Any], indent: int | None) -> None:
    made = sealed(document)
    again = json.loads(json.dumps(dict(reversed(made.items())), indent=indent))
    assert is_intact(again)
    assert {key: value for key, value in again.items() if key != SEAL} == json.loads(json.dumps(document))
    assert sealed(made) == made


@given(document=DOCUMENTS, key=st.text(max_size=6).filter(lambda key: key != SEAL), value=VALUES)
def test_a_change_is_seen(document: dict[str, Any], key: str, value: Any) -> None:
    made = sealed(document)
    changed = {**made, key: value}
    same = json.dumps(changed, sort_keys=True) == json.dumps(made, sort_keys=True)
    assert is_intact(changed) == same
    if document:
        del made[next(iter(document))]
        assert not is_intact(made)


def test_a_document_of_a_version_without_seals_passes() -> None:
    assert is_intact({"step": 3})
    assert not is_intact({"step": 3, SEAL: None})
    assert not is_intact({"step": 3, SEAL: ""})


def test_tuples_are_lists_as_in_a_file() -> None:
    assert is_intact(json.loads(json.dumps(sealed({"crop": (3, 4), "names": {1: "a"}}))))
