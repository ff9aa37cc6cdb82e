"""A face whose networks run on NVIDIA Triton Inference Server: sound and features here, encoder, face and mesh there.

    voxface export --triton models
    tritonserver --model-repository models          # elsewhere, where Triton is installed
    python examples/triton_client/triton_client.py 127.0.0.1:8000 examples/sample_female.flac --out face

It needs the runtime of voxface (no engine of its own) and Triton's client: pip install tritonclient geventhttpclient
"""

import argparse
import json
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from voxface import VoxfaceError
from voxface.runtime.audio.decode import read_blocks
from voxface.runtime.bundle.bundle import GRAPHS, Bundle
from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.errors import BundleError, ProviderError
from voxface.runtime.inference.estimate import estimate_json
from voxface.runtime.inference.face_estimator import FaceEstimator

# Bad answers, and servers that are not there: geventhttpclient and gevent have errors of the system's kinds.
FAILURES = (InferenceServerException, OSError)


class TritonEngine:
    """A model of a Triton server as an engine of voxface; see `voxface.runtime.engines.engine.Engine`."""

    provider = "triton"

    def __init__(self, client: Any, model: str, bundle: Bundle, graph: str) -> None:
        """Checks that the server runs the graph of the same bundle.

        Raises:
            ProviderError: it cannot be reached, or has no such model.
            BundleError: it has one of another bundle, whose face would not fit.
        """
        self._client, self._model = client, model
        entry = bundle.manifest.graphs[graph]
        self.inputs: dict[str, TensorSpec] = {name: tensor.spec for name, tensor in entry.inputs.items()}
        self.outputs: dict[str, TensorSpec] = {name: tensor.spec for name, tensor in entry.outputs.items()}
        try:
            config = client.get_model_config(model)
        except FAILURES as error:
            raise ProviderError(
                f"{model}: {error}; start Triton with a repository of voxface export --triton"
            ) from error
        there = config.get("parameters", {}).get("bundle_sha256", {}).get("string_value")
        if there != bundle.manifest.sha256:
            raise BundleError(
                f"{model}: the server has another bundle than {bundle.path}; export it again, or give --bundle"
            )

    def run(
        self, feeds: dict[str, np.ndarray[Any, Any]], out: dict[str, np.ndarray[Any, Any]] | None = None
    ) -> dict[str, np.ndarray[Any, Any]]:
        """Runs the model on the server; tensors travel as bytes.

        Raises:
            ProviderError: the server failed, or is gone.
        """
        inputs = []
        for name, array in feeds.items():
            inputs.append(triton.InferInput(name, list(array.shape), "FP32"))
            inputs[-1].set_data_from_numpy(np.ascontiguousarray(array))
        wanted = [triton.InferRequestedOutput(name) for name in self.outputs]
        try:
            answer = self._client.infer(self._model, inputs, outputs=wanted)
        except FAILURES as error:
            raise ProviderError(f"{self._model}: {error}") from error
        found = {name: answer.as_numpy(name) for name in self.outputs}
        for name, array in (out or {}).items():
            np.copyto(array, found[name])
        return found

    def warm_up(self, lengths: dict[str, int] | None = None) -> None:
        """Runs once on zeros."""
        named = lengths or {}
        shapes = {
            name: [named.get(n, 1) if isinstance(n, str) else n for n in spec.shape]
            for name, spec in self.inputs.items()
        }
        self.run({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The client is closed by whoever made it."""


def main() -> int:
    """Makes the face of a sound file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="HOST:PORT of its HTTP")
    parser.add_argument("clip", type=Path, help="a sound file")
    parser.add_argument("--bundle", type=Path, help="the bundle that was exported (the default one)")
    parser.add_argument("--backend", choices=("onnxruntime", "tensorrt"), default="onnxruntime", help="which models")
    parser.add_argument("--out", type=Path, help="folder for picture and mesh")
    parser.add_argument("--json", action="store_true", help="what is known of the face as JSON")
    options = parser.parse_args()
    ending = "_tensorrt" if options.backend == "tensorrt" else ""
    client = triton.InferenceServerClient(options.server)
    try:
        bundle = Bundle.open(options.bundle)
        engines = {name: TritonEngine(client, f"voxface_{name}{ending}", bundle, name) for name in GRAPHS}
        with FaceEstimator(bundle, engines=engines) as estimator:
            speech, estimate = estimator.face_of_sound(estimator.listen(read_blocks(options.clip)))
        if options.json:
            print(json.dumps(estimate_json(estimate)))
        else:
            width = estimate.measurements_mm["face_width"]
            print(f"{speech.voiced_seconds:.1f} s of speech: {width:.1f} mm wide, confidence {estimate.confidence:.2f}")
        if options.out is not None:
            for path in estimate.save(options.out).values():
                print(path, file=sys.stderr)
    except VoxfaceError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    finally:
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
