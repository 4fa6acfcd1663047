"""Latency against accuracy for many models, interleaved in one run."""
