"""A folder of speakers, and PyTorch on one thread."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.stand_ins.small_worlds import voice


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Eight speakers, women and men in turns, s0 with two recordings; and four files that cannot be used."""
    folder = tmp_path / "corpus"
    for i in range(8):
        (folder / f"s{i}").mkdir(parents=True)
        soundfile.write(folder / f"s{i}" / "a.wav", voice(i), 16_000)
    soundfile.write(folder / "s0" / "b.flac", voice(20), 16_000)
    (folder / "s1" / "empty.wav").touch()
    (folder / "s1" / "text.ogg").write_text("no sound")
    soundfile.write(folder / "s2" / "silence.wav", np.zeros(32_000), 16_000)
    soundfile.write(folder / "s3" / "nan.wav", np.full(8_000, np.nan, np.float32), 16_000, subtype="FLOAT")
    rows = [f"s{i},{'FM'[i % 2]}" for i in range(8)]
    (folder / "speakers.csv").write_text("\n".join(["speaker_id,sex", *rows, ""]))
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread for a test: several threads add in another order, and small networks get slower."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
