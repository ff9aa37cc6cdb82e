"""Proposals: the uniform choices are there, the predicted best one too, and no order of the layers matters."""

from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="onnx comes with voxface[calibrate]")

from voxface.calibration.forms import CONVOLUTIONS, FP16, FP32, INT8
from voxface.calibration.lowering import Key
from voxface.calibration.proposals import RegionCost, propose

TIME = st.integers(1, 40).map(float)
COST = st.builds(
    lambda fp32, more, share, border: RegionCost({FP32: fp32, **more}, {INT8: share, FP16: share / 10}, border),
    TIME,
    st.dictionaries(st.sampled_from([CONVOLUTIONS, FP16, INT8]), TIME),
    st.sampled_from([0.01, 0.1, 0.5]),
    st.sampled_from([0.0, 0.25, 2.0]),
)
COSTS = st.lists(COST, min_size=1, max_size=5).map(lambda costs: {("g", f"n{k}"): c for k, c in enumerate(costs)})


def chain(costs: dict[Key, RegionCost]) -> dict[Key, Key]:
    keys = sorted(costs)
    return dict(zip(keys[1:], keys[:-1], strict=True))


def predicted(choice: dict[Key, str], costs: dict[Key, RegionCost], before: dict[Key, Key]) -> float:
    forms = {key: choice.get(key, FP32) for key in costs}
    saved = sum(costs[key].border_ms for key, maker in before.items() if forms[key] == INT8 and forms[maker] == INT8)
    return sum(costs[key].ms[form] for key, form in forms.items()) - saved


@settings(max_examples=60, deadline=None)
@given(COSTS, st.randoms())
def test_proposals(costs: dict[Key, RegionCost], random: Random) -> None:
    before = chain(costs)
    found = propose(costs, before, 8)
    keys = list(costs)
    random.shuffle(keys)
    assert propose({key: costs[key] for key in keys}, before, 8) == found, "order does not matter"
    assert {} in found
    for form in (INT8, FP16):
        assert {key: form for key, cost in costs.items() if form in cost.ms} in found
    assert all(form in costs[key].ms for choice in found for key, form in choice.items())
    every = [dict(zip(costs, forms, strict=True)) for forms in product(*(cost.ms for cost in costs.values()))]
    least = min(predicted(choice, costs, before) for choice in every)
    assert min(predicted(choice, costs, before) for choice in found) == pytest.approx(least), "the fastest is proposed"
