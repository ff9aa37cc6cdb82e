"""Passes: functions that take a `Graph` and return another, with its types and shapes inferred anew.

A pass over single nodes has two functions. A predicate `(graph, node) -> bool` says which nodes the pass can take; the pass
`(graph, names) -> Graph` rewrites the named ones and raises ValueError for a node that the predicate rejects.

| module | what it does |
|---|---|
| `fp16` | nodes in FP16 arithmetic; large constants stored in FP16 |
| `int8` | nodes between QDQ pairs |
| `sub_pixel` | transposed convolutions as convolutions |
| `tensorrt_repairs` | what some TensorRT versions refuse, in a form that they take |
| `fusion` | several graphs as one |
| `cut` | a part of a graph as a graph of its own |
| `linear_output` | a linear map applied to an output |
| `dimension_names` | names of the dimensions whose length is free |
"""
