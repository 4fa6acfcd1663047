"""The subcommands of `python -m benchmarks`, one module each: `add` describes it, `run` does it."""
