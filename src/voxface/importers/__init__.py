"""Importers: formats of other projects, read and made into bundles.

| module | what it reads |
|---|---|
| `face_models` | morphable models (BFM, FLAME, ICT, GNM, Surrey …) |
| `retarget` | a bundle's faces on such a model |
| `wen2019` | the networks that Wen 2019 published |
| `sex_head` | the mesh network for such networks, which have none |

Only this room knows other projects' formats. It stands on export, training, `onnx_graph` and the runtime; only the command line
imports it.
"""
