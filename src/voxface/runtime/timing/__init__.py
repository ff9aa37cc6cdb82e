"""Measuring time: the timer of an update's stages, traces, histograms."""
