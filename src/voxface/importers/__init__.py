"""Reads what others published: face models, voice-to-face checkpoints; makes bundles of them."""
