"""Hostile input: seeded generators, and commands that count what they find."""
