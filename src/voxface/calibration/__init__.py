"""Which node of a graph may be FP16 or INT8, measured in task units. Imports from `voxface.runtime` only."""
