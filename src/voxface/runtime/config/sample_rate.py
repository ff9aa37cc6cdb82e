"""The sample rate of all audio inside voxface, in Hz; every sample index counts at it."""

SAMPLE_RATE = 16_000
