"""PyTorch's exporter to ONNX with its operators read once a process, and not once a network."""

import functools
import importlib
import sys
from contextlib import suppress
from typing import Any


def read_operators_once() -> None:
    """Keeps the five hundred operators that the exporter reads from their sources, which takes it a second of processor time.

    They are the same for every network. Where PyTorch is not loaded, or has its registry elsewhere, nothing is changed.
    """
    if "torch" not in sys.modules:
        return
    with suppress(ImportError, AttributeError):
        apis: Any = importlib.import_module("torch.onnx._internal._lazy_import").onnxscript_apis
        if "get_torchlib_ops" not in vars(apis):  # it imports onnxscript when it is first asked for something

            @functools.cache
            def operators() -> Any:
                return type(apis).__getattr__(apis, "get_torchlib_ops")()

            apis.get_torchlib_ops = operators
