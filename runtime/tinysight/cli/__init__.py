"""The subcommands of `tinysight`, one module each: `add` describes it, `run` does it."""
