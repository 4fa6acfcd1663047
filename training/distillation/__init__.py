"""Learning from finished runs: what teachers answer, and the loss that uses it."""
