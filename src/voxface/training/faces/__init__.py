"""Faces in millimetres: the embedded morphable model, its population, and the renderer of training images.

Authoring only (anny, torch and Open3D are used here); nothing of this room is imported by the runtime.
"""
