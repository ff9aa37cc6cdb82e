"""ONNX graphs as data: a graph (`graph`), passes that rewrite it (`passes`), and two ways to run it.

`node_runner` runs single nodes in FP32, `fp16_emulation` a whole graph with FP16 arithmetic rounded as on a GPU.

The room imports onnx and ONNX Runtime, and of voxface only `voxface.runtime`. `calibration`, `export` and `importers` stand on
it: code that edits an ONNX graph is a pass here, in no other room.
"""
