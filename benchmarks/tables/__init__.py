"""The tables in README and docs, each a function of `benchmarks/results`."""
