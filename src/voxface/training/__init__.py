"""Models, data, face models and trainers (torch). Takes its features and morphable model from `voxface.runtime`, so what is
trained on is what runs.
"""
