"""Benchmarks: one module each, with `run() -> list[Row]`; `cellkeeper bench` runs them all."""
