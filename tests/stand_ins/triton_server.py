"""A server that speaks the HTTP of NVIDIA Triton (KServe v2 with binary tensors) and runs a model repository on ONNX Runtime.

It reads `config.pbtxt` with Triton's own schema, and refuses what Triton would: other names, types, shapes and batch sizes.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2

from voxface.runtime.engines.engine import Engine
from voxface.runtime.engines.opening import open_engine

LENGTH = "Inference-Header-Content-Length"  # of the JSON before the tensors


def read_config(model: Path) -> Any:
    """`config.pbtxt` of a model's folder; an unknown field or word is an error."""
    return text_format.Parse((model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


class TritonStandIn:
    """The server's models, and what it was asked for.

    Attributes:
        address: HOST:PORT.
        asked: model -> shapes of the inputs of each request.
    """

    def __init__(self, repository: Path, opened: ExitStack) -> None:
        self.asked: dict[str, list[dict[str, list[int]]]] = {}
        self.configs: dict[str, Any] = {}
        self.engines: dict[str, Engine] = {}
        self._lock = threading.Lock()
        for model in sorted(path for path in repository.iterdir() if path.is_dir()):
            config = self.configs[model.name] = read_config(model)
            assert config.name == model.name
            if config.backend == "onnxruntime":
                graph = (model / "1" / config.default_model_filename).read_bytes()
                self.engines[model.name] = opened.enter_context(open_engine(graph, "cpu", threads=1))
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(*stand_in.get(self.path.strip("/").split("/")))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                words = self.path.strip("/").split("/")
                self._answer(*stand_in.infer(words, body, int(self.headers.get(LENGTH, len(body)))))

            def _answer(self, status: int, body: bytes, length: int | None = None) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if length is None else "application/octet-stream")
                self.send_header("Content-Length", str(len(body)))
                if length is not None:
                    self.send_header(LENGTH, str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"

    def get(self, words: list[str]) -> tuple[int, bytes]:
        """Health, and the configuration of a model."""
        if words[:2] == ["v2", "health"]:
            return 200, b""
        if words[:2] == ["v2", "models"] and words[3:] == ["config"] and words[2] in self.configs:
            found = json_format.MessageToJson(self.configs[words[2]], preserving_proto_field_name=True)
            return 200, found.encode()
        return failure(404, f"unknown: {'/'.join(words)}")

    def infer(self, words: list[str], body: bytes, length: int) -> tuple[int, bytes] | tuple[int, bytes, int]:
        """Runs a model."""
        if words[:2] != ["v2", "models"] or words[3:] != ["infer"] or words[2] not in self.engines:
            return failure(404, f"unknown: {'/'.join(words)}")
        name = words[2]
        config, request = self.configs[name], json.loads(body[:length])
        wanted = {tensor.name: tensor for tensor in config.input}
        feeds, at = {}, length
        for tensor in request["inputs"]:
            size = tensor["parameters"]["binary_data_size"]
            if tensor["name"] not in wanted or tensor["datatype"] != "FP32" or not fits(config, wanted, tensor):
                return failure(400, f"unexpected {tensor['name']} {tensor['datatype']} {tensor['shape']}")
            feeds[tensor["name"]] = np.frombuffer(body[at : at + size], "<f4").reshape(tensor["shape"])
            at += size
        with self._lock:
            self.asked.setdefault(name, []).append({key: list(array.shape) for key, array in feeds.items()})
            found = self.engines[name].run(feeds)
        outputs, parts = [], []
        for each in request["outputs"]:
            array = found[each["name"]]
            parts.append(array.astype("<f4").tobytes())
            outputs.append(
                {
                    "name": each["name"],
                    "datatype": "FP32",
                    "shape": list(array.shape),
                    "parameters": {"binary_data_size": len(parts[-1])},
                }
            )
        head = json.dumps({"model_name": name, "model_version": "1", "outputs": outputs}).encode()
        return 200, head + b"".join(parts), len(head)


def failure(status: int, message: str) -> tuple[int, bytes]:
    """An error as Triton says it."""
    return status, json.dumps({"error": message}).encode()


def fits(config: Any, wanted: dict[str, Any], tensor: dict[str, Any]) -> bool:
    """Whether a tensor has a shape that the configuration allows."""
    dims, shape = list(wanted[tensor["name"]].dims), tensor["shape"]
    if config.max_batch_size:
        if not 1 <= shape[0] <= config.max_batch_size:
            return False
        shape = shape[1:]
    return len(shape) == len(dims) and all(b in (-1, a) for a, b in zip(shape, dims, strict=True))


@contextmanager
def triton_stand_in(repository: Path) -> Iterator[TritonStandIn]:
    """A server of a repository while the context lasts."""
    with ExitStack() as opened:
        found = TritonStandIn(repository, opened)
        thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.server.shutdown()
            found.server.server_close()
            thread.join(10)
