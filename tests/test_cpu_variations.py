"""Which variations there are, and what the command says of them."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch comes with voxface[train]")

from tests import cpu_variations
from tests.cpu_variations import LEVELS, SEEDS, THREADS, available, beyond, main, quick_variations, variations

TEST = """
import os
import numpy as np
import pytest
import torch

@pytest.mark.learns
def test_it():
    assert torch.backends.cpu.get_cpu_capability() == os.environ["ATEN_CPU_CAPABILITY"].upper()
    assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
    disabled = os.environ["NPY_DISABLE_CPU_FEATURES"].split()
    assert not set(disabled) & set(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []))

def test_of_something_else():
    assert False
"""
HANGS_ON_ITS_SEED = """
import os
import pytest

@pytest.mark.learns
def test_it():
    assert int(os.environ["VOXFACE_TEST_SEED"]) < 2
"""


@pytest.mark.parametrize("best", list(LEVELS))
def test_each_instruction_set_and_number_of_threads_meets_each_seed(best: str) -> None:
    levels, limits = available(best)
    found = variations(best)
    assert len(found) == len(set(found)) == len(limits) * len(SEEDS)
    assert {(v.aten, v.seed) for v in found} == set(product(levels, SEEDS))
    assert {(v.onednn, v.seed) for v in found} == set(product(limits, SEEDS))
    if best != "default":  # which has one variation for each seed
        assert {(v.threads, v.seed) for v in found} == set(product(THREADS, SEEDS))
        assert {(v.onednn, v.threads) for v in found} == set(product(limits, THREADS))
    assert all(v.seed != 0 for v in quick_variations(best))


def test_numpy_is_told_of_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"SIMD Extensions": {"baseline": ["X86_V2"], "found": ["X86_V3", "X86_V4", "AVX512_ICL"]}}
    monkeypatch.setattr(np, "show_config", lambda mode: found)
    assert beyond("default") == ["X86_V3", "X86_V4", "AVX512_ICL"]
    assert beyond("avx2") == ["X86_V4", "AVX512_ICL"]
    assert beyond("avx512") == []


@pytest.mark.slow
@pytest.mark.train
def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cpu_variations, "ROOT", tmp_path)
    test = tmp_path / "test_it.py"
    test.write_text(TEST)
    assert main(["--quick", str(test)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:4] for line in lines if "seed" in line] == ["pass", "pass"]
    assert lines[-1] == "2 of 2 variations pass"

    test.write_text(HANGS_ON_ITS_SEED)
    assert main(["--quick", str(test)]) == 1
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line[:4] for line in lines if line.startswith(("pass  ", "FAIL  "))] == ["pass", "FAIL"]
    assert "assert 2 < 2" in printed
    assert lines[-1] == "1 of 2 variations pass"
