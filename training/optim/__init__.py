"""Optimizers, the moving average of weights, and the arithmetic they compute in."""
