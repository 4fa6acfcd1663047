"""Arguments that several commands take, described once."""

import argparse

from tinysight.console import numbers, positive
from tinysight.engines.registry import MAX_THREADS


def thread_count(text: str) -> int:
    """A whole number from 1 to `MAX_THREADS`, for argparse."""
    return thread_counts(str(positive(text)))[0]


def thread_counts(text: str) -> tuple[int, ...]:
    """Such numbers between commas, for argparse."""
    counts = numbers(text)
    if max(counts) > MAX_THREADS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_THREADS}")
    return counts


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
