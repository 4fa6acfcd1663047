"""`tinysight classify | bulk | stream | info | verify | bench | tune | keygen | sign | pull |
rollback | select`.

Only the module of the command that was asked for is imported: a device that classifies one image
does not wait for what measures and compares.
"""

import argparse
import gc
import importlib
import sys
from collections.abc import Sequence

from tinysight.console import ArgumentParser, library_noise_dropped, run_cli

COMMANDS = {
    "classify": "say what images show",
    "bulk": "classify any number of images into Parquet",
    "stream": "say what a camera or a video shows",
    "info": "describe a bundle",
    "verify": "check a bundle on this device",
    "bench": "measure bundles on this device",
    "tune": "find the fastest way to run a bundle on this device",
    "keygen": "make a key pair to sign bundles with",
    "sign": "sign a bundle",
    "pull": "update a store of bundles, whole or not at all",
    "rollback": "go back to the version before the last update",
    "select": "name the artifact to ship on this device within a budget",
}
"""Each is a module of `tinysight.cli`: `add` describes it, `run` does it."""

_GC_THRESHOLD = 200_000
"""New objects between two collections; more than all imports together make."""


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """The command line: of one command alone, or the names of all where that is None."""
    main = ArgumentParser(prog="tinysight", description="Classify small images on a small device.")
    main.add_argument("--version", action=_Version)
    # With a `prog` of its own, argparse formats no usage line and imports less.
    commands = main.add_subparsers(
        title="commands", metavar="COMMAND", required=True, prog="tinysight"
    )
    if command is None:
        for name, summary in COMMANDS.items():
            commands.add_parser(name, help=summary)
    else:
        importlib.import_module(f"tinysight.cli.{command}").add(commands)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code; `argv` None takes this process's own words."""
    words = sys.argv[1:] if argv is None else list(argv)
    command = words[0] if words and words[0] in COMMANDS else None
    if argv is not None:
        return run_cli("tinysight", lambda: _run(command, words))
    # Importing numpy and onnxruntime makes many objects and no garbage: to look for some, again and
    # again, takes a tenth of the time of a process that classifies one image.
    gc.set_threshold(_GC_THRESHOLD)
    code = run_cli("tinysight", lambda: _run(command, words))
    gc.freeze()  # the interpreter's end need not look either: the system takes all back
    return code


def _run(command: str | None, words: Sequence[str]) -> int:
    args = parser(command).parse_args(words)
    with library_noise_dropped("tinysight"):
        code: int = args.run(args)
    return code


class _Version(argparse.Action):
    """Prints the version, which takes some milliseconds to look up, only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import tinysight

        print(tinysight.__version__)
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
