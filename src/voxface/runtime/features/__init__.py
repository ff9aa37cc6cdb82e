"""Features of speech, each streaming twin beside its offline one: log-mel frames, normalisation, periodicity, modulation."""
