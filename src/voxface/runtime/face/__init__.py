"""Faces as geometry and pictures: the morphable model, meshes, mesh files, a rasteriser, PNG."""
