"""Worlds of people with voices and faces: a synthetic one from known anatomy, and real voices paired with drawn faces."""
