"""Bundles: `manifest` (fields and check), `reader` (verification), `writer`, and `bundle`, which joins them.

Fields of the manifest that belong together are in `file_entries`, `graph_entries`, `precision_entries`, `engine_entries` and
`origin_entries`.
"""

from voxface.runtime.bundle.bundle import Bundle

__all__ = ["Bundle"]
