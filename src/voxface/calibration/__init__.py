"""Quantisation: which nodes of a bundle's graphs may be FP16 or INT8, decided and measured in the units of the task.

The room imports `voxface.onnx_graph` and `voxface.runtime`, nothing of training or export, and no torch.

| module | what it holds |
|---|---|
| `calibrate` | the whole procedure, from a bundle and clips to a new bundle |
| `clips` | speech that decides and speech that measures |
| `int8_ranges` | INT8 ranges of tensors |
| `lowering` | the graphs with any choice of nodes lowered |
| `task_error` | the error in cosine, decibels and millimetres, and its tolerances |
| `search` | which nodes to lower |
| `precision_plan` | what each node runs in, and why; as JSON, table and picture |
| `engine_comparison` | two engines side by side (`voxface compare`) |
"""
