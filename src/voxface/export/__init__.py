"""From trained networks to files that run: ONNX graphs, bundles, TensorRT engines.

| module | what it does |
|---|---|
| `onnx_export` | PyTorch network -> ONNX graph, compared with PyTorch |
| `bundle_export` | checkpoint -> bundle |
| `exported_encoder` | bundle -> the voice encoder's PyTorch network, to learn on |
| `model_card` | the bundle's page for people |
| `fused_graph` | the three graphs of a bundle as one |
| `triton_repository`, `triton_config` | bundle -> model repository of NVIDIA Triton Inference Server |
| `tensorrt_build`, `optimisation_profile` | ONNX graphs -> TensorRT engines, and the shapes they are built for |

The room imports torch and onnx, but `tensorrt_build` only when it needs them, and what is for Triton never. The runtime never
imports this room, and formats of other projects are read in `voxface.importers`.
"""
