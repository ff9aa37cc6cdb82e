"""Measurements, each beside an alternative in the same run; results as JSON in `results/`."""
