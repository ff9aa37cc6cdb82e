"""Settings, each a frozen dataclass that is validated once: sample rate, front end, VAD, live session, trained weights.

This room imports numpy and `voxface.runtime.errors` only.
"""
