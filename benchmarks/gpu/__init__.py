"""The training stage on a GPU: a self-check, the trainings of the documentation, and a report."""
