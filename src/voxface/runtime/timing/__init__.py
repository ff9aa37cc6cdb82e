"""Where time goes: stage timer, traces, histograms."""
