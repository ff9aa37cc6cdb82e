"""Engines, which run graphs, behind one interface.

| module | what it holds |
|---|---|
| `engine` | the interface, `Engine` |
| `opening` | which engine runs a graph on a provider |
| `onnxruntime`, `onnxruntime_device` | ONNX Runtime on CPUs and on GPUs |
| `openvino`, `openvino_library` | OpenVINO on CPUs, and on Intel's GPUs and NPUs |
| `tensorrt`, `tensorrt_library`, `runtime_cache`, `cuda_memory` | TensorRT and TensorRT for RTX |
| `providers` | the names of all of them |
| `measurement`, `engine_times`, `choice` | which is fastest here, with how many threads: measured, kept, used |
| `traced` | an engine whose runs are recorded in a trace |

A library is imported when an engine of it is opened, so that a machine needs only those it uses.
"""
