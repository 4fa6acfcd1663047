"""Latency against accuracy, measured side by side. `python -m benchmarks --help`."""
