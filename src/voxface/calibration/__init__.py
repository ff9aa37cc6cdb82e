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
| `calibrated_bundle` | the bundle that comes out |
| `timed_calibration` | the procedure that sees time as well: the Pareto front on this device, and one point of it |
| `timed_search` | regions alone, then whole graphs, then whole updates |
| `regions`, `forms` | a layer with what is fused into it; how it may be computed |
| `region_jobs`, `stopwatch` | what is timed of a region; time, measured in turns |
| `proposals`, `pareto_front` | what is worth measuring; what is worth keeping, and the choice |
| `calibration_state` | what has been measured, in a file, to go on from |
| `device` | this device |
| `front_report` | the front as JSON, table and picture |
| `layer_comparison` | layers on two engines: time alone and difference |
| `engine_comparison` | two engines side by side (`voxface compare`) |
"""
