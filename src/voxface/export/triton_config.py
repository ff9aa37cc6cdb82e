"""`config.pbtxt` of NVIDIA Triton Inference Server: what a model takes and gives, and how the server runs it.

Fields are those of `ModelConfig` in Triton's `model_config.proto`; the text is protobuf's text format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from voxface.runtime.config.tensor_spec import TensorSpec
from voxface.runtime.errors import BundleError

Device = Literal["auto", "cpu", "gpu"]
Value: TypeAlias = "str | int | Word | Message"
Message: TypeAlias = "Mapping[str, Value | Sequence[Value]]"
# numpy's name of an element type -> Triton's.
TYPES: Final[Mapping[str, str]] = {
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
    "int8": "TYPE_INT8",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "uint8": "TYPE_UINT8",
    "bool": "TYPE_BOOL",
}
ANY: Final = -1  # the length of a dimension that may have any


class Word(NamedTuple):
    """A word of the format, which stands without quotes: a name of an enumeration."""

    text: str


@dataclass(frozen=True)
class TritonModel:
    """A model of a repository.

    Attributes:
        name: of the model, and of its folder.
        backend: "onnxruntime" or "tensorrt".
        inputs, outputs: name -> element type and shape, batch axis included.
        files: name of a file in the folder of the version -> its bytes; the first is the default one.
        capabilities: compute capability, such as "8.6" -> the file for GPUs of it.
        most_at_once: the largest batch, as far as the graph has an axis for it.
        delay_us: how long a request waits for others.
        instances: copies of the model on every device.
        device: where they run.
        parameters: what a client may want to know of it.
    """

    name: str
    backend: str
    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    files: Mapping[str, bytes]
    capabilities: Mapping[str, str] = field(default_factory=dict)
    most_at_once: int = 1
    delay_us: int = 0
    instances: int = 1
    device: Device = "auto"
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def batched(self) -> bool:
        """Whether every input and output has a first axis of any length, and so takes a batch."""
        specs = (*self.inputs.values(), *self.outputs.values())
        return all(spec.shape and isinstance(spec.shape[0], str) for spec in specs)

    def config(self) -> str:
        """`config.pbtxt`.

        Raises:
            BundleError: an element type that Triton does not have.
        """
        at_once = self.most_at_once if self.batched else 0  # 0: the shapes below have the first axis too
        document: dict[str, Value | Sequence[Value]] = {
            "name": self.name,
            "backend": self.backend,
            "default_model_filename": next(iter(self.files)),
            "max_batch_size": at_once,
            "input": [self._tensor(name, spec) for name, spec in self.inputs.items()],
            "output": [self._tensor(name, spec) for name, spec in self.outputs.items()],
            "instance_group": [{"kind": Word(f"KIND_{self.device.upper()}"), "count": self.instances}],
        }
        if self.capabilities:
            document["cc_model_filenames"] = [{"key": key, "value": file} for key, file in self.capabilities.items()]
        if at_once > 1:
            document["dynamic_batching"] = {"max_queue_delay_microseconds": self.delay_us}
        document["parameters"] = [
            {"key": key, "value": {"string_value": value}} for key, value in self.parameters.items()
        ]
        return text_of(document)

    def _tensor(self, name: str, spec: TensorSpec) -> Message:
        if spec.dtype not in TYPES:
            raise BundleError(f"{self.name}: {name} is {spec.dtype}, which Triton does not have")
        shape = spec.shape[1:] if self.batched else spec.shape
        dims = [ANY if isinstance(length, str) else length for length in shape]
        return {"name": name, "data_type": Word(TYPES[spec.dtype]), "dims": dims}


def text_of(document: Message, indent: str = "") -> str:
    """A message in protobuf's text format; a list is a field that is repeated."""
    lines = []
    for key, value in document.items():
        for each in [value] if isinstance(value, (str, int, Word, Mapping)) else value:
            if isinstance(each, Mapping):
                lines.append(f"{indent}{key} {{\n{text_of(each, indent + '  ')}{indent}}}\n")
            else:
                said = each.text if isinstance(each, Word) else _quoted(each) if isinstance(each, str) else str(each)
                lines.append(f"{indent}{key}: {said}\n")
    return "".join(lines)


def _quoted(text: str) -> str:
    """A string of the format: what is not plain ASCII as octal numbers of its UTF-8 bytes."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\{byte:03o}" for byte in text.encode())
    return f'"{"".join(plain)}"'
