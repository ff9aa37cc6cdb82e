"""Checkpoint -> ONNX -> bundle. Imports torch and onnx; the runtime never imports this room."""
