"""Measures how fast a bundle runs here, says where the time goes and why, and compares with a measurement that was saved."""
