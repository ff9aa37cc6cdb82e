"""Features of speech: log-mel frames, normalisation, periodicity, modulation; each for a whole signal and for a stream."""
