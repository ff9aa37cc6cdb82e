"""Bundles: the manifest, reading with verification, writing."""

from voxface.runtime.bundle.bundle import Bundle

__all__ = ["Bundle"]
