"""Timed benchmarks: they print, and assert nothing. Run one: `make bench ARGS=hops`."""
