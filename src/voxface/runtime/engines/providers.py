"""The providers by name, and what they have in common."""

from typing import Final

from voxface.runtime.bundle.engine_plan import PLAN_PROVIDERS

ONNXRUNTIME_PROVIDERS: Final = ("cpu", "cuda", "tensorrt")
# Provider of OpenVINO -> the device it runs on, and the precision in which it computes what a graph has in FP32.
OPENVINO_PROVIDERS: Final = {
    "openvino": ("CPU", "f32"),
    "openvino-bf16": ("CPU", "bf16"),
    "openvino-gpu": ("GPU", "f32"),
    "openvino-npu": ("NPU", "f16"),
}
PROVIDERS: Final = (*ONNXRUNTIME_PROVIDERS, *OPENVINO_PROVIDERS)  # they run ONNX graphs as they are
ALL_PROVIDERS: Final = (*PROVIDERS, *PLAN_PROVIDERS.values())
ON_CPU: Final = ("cpu", "openvino", "openvino-bf16")
