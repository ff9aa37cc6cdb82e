"""One interface to whatever runs a graph; each backend brings the same two files: how to open, how to run."""
