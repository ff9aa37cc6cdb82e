"""Where events of a live session go, as far as it needs no screen: JSON lines, recordings."""
