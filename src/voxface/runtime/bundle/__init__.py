"""Bundles: `manifest` (fields and check), `reader` (verification), `writer`, and `bundle`, which joins them."""

from voxface.runtime.bundle.bundle import Bundle

__all__ = ["Bundle"]
