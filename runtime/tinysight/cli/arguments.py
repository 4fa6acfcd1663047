"""Arguments that several commands take, described once."""

import argparse


def add_bundle(command: argparse.ArgumentParser) -> None:
    """`bundle`: the one that a command is about, or None."""
    command.add_argument(
        "bundle",
        nargs="?",
        help="bundle folder, or the name of a shipped one: edge_m, edge_s (default: edge_m)",
    )


def add_bundles(command: argparse.ArgumentParser) -> None:
    """`bundles`: any number of them, perhaps none."""
    command.add_argument(
        "bundles",
        nargs="*",
        metavar="bundle",
        help="bundle folder, or the name of a shipped one: edge_m, edge_s (default: edge_m)",
    )
