"""The one sample rate: every sample index of the project counts at it."""

SAMPLE_RATE = 16_000
