"""ONNX graphs as data: reading, running node by node, and passes that rewrite them.

This room imports onnx; `calibration` and `export` stand on it. It imports nothing of `voxface.training`.
"""
