"""What is published of the measurements: model cards, the figures of the README, the demo."""
