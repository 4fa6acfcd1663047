"""From a trained run to a bundle that a device can trust. `python -m export --help`."""
