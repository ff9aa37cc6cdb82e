"""The voice encoder of a bundle, back as a network: it computes what the graph computes, or says why it cannot."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from voxface.export.exported_encoder import exported_encoder
from voxface.runtime.bundle.bundle import Bundle
from voxface.runtime.errors import UsageError

pytestmark = pytest.mark.train


def test_the_default_bundles_encoder_computes_what_its_graph_computes() -> None:
    bundle = Bundle.open()
    network = exported_encoder(bundle)
    assert network.normalisation == bundle.front_end.normalisation
    session = onnxruntime.InferenceSession(bundle.files["encoder.onnx"], providers=["CPUExecutionProvider"])
    sound = np.random.default_rng(0).normal(size=(2, 64, 333)).astype(np.float32)
    embedding, columns = session.run(["embedding", "columns"], {"log_mel": sound})
    with torch.no_grad():
        ours = network(torch.from_numpy(sound))
    np.testing.assert_allclose(ours[0].numpy(), embedding, atol=1e-5)
    np.testing.assert_allclose(ours[1].numpy(), columns, atol=1e-4)


def test_a_graph_that_is_no_encoder_is_refused(tmp_path: Path) -> None:
    bundle = Bundle.open()
    wrong = bundle.replacing(files={"encoder.onnx": bundle.files["mesh.onnx"]})
    with pytest.raises(UsageError, match="cannot be learnt on"):
        exported_encoder(wrong)
