"""Starts the command line of a stage, in an environment that has what it imports.

The standard library alone: it runs where the environment is missing.
"""

import importlib
import sys
from pathlib import Path

_BASE = ("numpy", "PIL", "tinysight")
"""What every stage imports before its extras."""


def launch(stage: str) -> int:
    """Runs `stage.cli.main`; without the environment, says on one line how to get to it."""
    try:
        cli = importlib.import_module(f"{stage}.cli")
    except ModuleNotFoundError as error:
        if error.name not in _BASE:
            raise
        print(f"{stage}: {error.name} is not installed here: {_advice(stage)}", file=sys.stderr)
        return 1
    code: int = cli.main()
    return code


def _advice(stage: str) -> str:
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / ".venv" / "bin" / "python").exists():
        return f". .venv/bin/activate first, or .venv/bin/python -m {stage}"
    return "`make demo` sets up .venv, and `. .venv/bin/activate` makes it the shell's"
