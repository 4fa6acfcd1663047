"""Choosing among candidates: within a budget of accuracy, and layer by layer."""
