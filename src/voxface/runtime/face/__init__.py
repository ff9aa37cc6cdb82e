"""Faces as geometry and pictures: the morphable model, meshes, mesh files (GLB, OBJ, PLY), a rasteriser, PNG files.

The room imports numpy, and of the runtime only `errors`, `files`, `processor` and `background`.
"""
