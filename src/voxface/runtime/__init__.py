"""The runtime, which runs on the device: audio, voice activity, features, engines, faces and meshes.

This room imports numpy, soxr, soundfile, webrtcvad and onnxruntime, the last four only where they are used. It never
imports torch, onnx or open3d, and nothing from the other rooms (`calibration`, `export`, `training`).
"""
