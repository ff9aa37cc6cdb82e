"""The node runner: single ONNX nodes run by ONNX Runtime in FP32.

The session of a node is kept for the next node of the same kind. Weights are inputs of these sessions, so that one session
serves every convolution with the same attributes, whichever nodes are lowered.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from voxface.runtime.engines.onnxruntime import import_onnxruntime
from voxface.runtime.engines.under_way import Runs
from voxface.runtime.errors import BundleError

Tensor = NDArray[Any]

FLOAT = int(TensorProto.FLOAT)
FLOAT16 = int(TensorProto.FLOAT16)


class NodeRunner:
    """Runs single ONNX nodes on the CPU provider. Not thread-safe."""

    def __init__(self, opset: int) -> None:
        """`opset` is the version of the ONNX operators the nodes are written for."""
        self._opset = opset
        self._sessions: dict[bytes, Any] = {}
        self._runs: Runs | None = None

    def run(self, node: NodeProto, inputs: Sequence[Tensor | None]) -> list[Tensor]:
        """The node's outputs in their order; an output that the node leaves out is an empty array.

        Args:
            node: any ONNX node without a graph inside.
            inputs: its inputs, None for an optional input that it leaves out; float16 arrays are cast to float32.

        Raises:
            BundleError: ONNX Runtime has no FP32 kernel for the node, or refuses the inputs.
            ImportError: ONNX Runtime is not installed.
        """
        feeds = {
            f"i{k}": x.astype(np.float32) if x.dtype == np.float16 else x for k, x in enumerate(inputs) if x is not None
        }
        key = b"\0".join(
            [
                node.domain.encode(),
                node.op_type.encode(),
                *(attribute.SerializeToString(deterministic=True) for attribute in node.attribute),
                " ".join(f"{name}:{x.dtype}" for name, x in feeds.items()).encode(),
                " ".join("x" if name else "-" for name in node.output).encode(),
            ]
        )
        try:
            session = self._sessions.get(key) or self._open(node, inputs, feeds)
            self._sessions[key] = session
            if self._runs is None:
                self._runs = Runs(import_onnxruntime().RunOptions())
            with self._runs as options:
                ready = iter(session.run(None, feeds, options))
        except ImportError:
            raise
        except Exception as error:  # ONNX Runtime raises its own classes, RuntimeError and ValueError alike
            reason = str(error).strip().splitlines()[0]
            raise BundleError(f"node {node.name} ({node.op_type}) does not run: {reason}") from error
        return [next(ready) if name else np.empty(0, np.float32) for name in node.output]

    def _open(self, node: NodeProto, inputs: Sequence[Tensor | None], feeds: dict[str, Tensor]) -> Any:
        ort = import_onnxruntime()
        alone = NodeProto()
        alone.CopyFrom(node)
        del alone.input[:], alone.output[:]
        alone.input.extend("" if x is None else f"i{k}" for k, x in enumerate(inputs))
        alone.output.extend(f"o{k}" if name else "" for k, name in enumerate(node.output))
        graph = helper.make_graph(
            [alone],
            "node",
            [
                helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), None)
                for name, x in feeds.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in alone.output if name],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self._opset)])
        model.ir_version = 10
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = (
            1  # a pool of threads for each of a hundred sessions would cost more than it gives
        )
        options.enable_cpu_mem_arena = False
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
