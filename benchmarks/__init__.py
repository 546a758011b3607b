"""Measurements beside a peer or a floor, run as `python -m benchmarks.NAME`."""
