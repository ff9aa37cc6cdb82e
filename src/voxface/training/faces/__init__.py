"""Faces in millimetres: the embedded morphable model, its population, and the renderer of training images.

For training and authoring only: it uses anny, torch and Open3D, and the runtime imports nothing of it.
"""
