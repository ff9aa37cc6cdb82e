"""Sinks without a screen: JSON lines, recordings."""
