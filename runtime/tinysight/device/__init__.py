"""What this machine is, in what state, what energy it takes, and what was tuned for it."""
