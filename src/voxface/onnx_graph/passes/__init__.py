"""Passes that rewrite a graph: precision (FP16, INT8), sub-pixel convolutions, what TensorRT refuses."""
