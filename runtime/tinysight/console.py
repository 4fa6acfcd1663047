"""What every command line of the project shares: exit codes, one-line errors, plain tables."""

import argparse
import contextlib
import importlib.util
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from tinysight.errors import MissingExtraError, TinysightError

INTERRUPTED = 130
"""What a shell expects after Ctrl-C: 128 + SIGINT."""


def run_cli(program: str, command: Callable[[], int]) -> int:
    """Runs a command; a mistake of the user's becomes one line on stderr and exit code 1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file's name may hold bytes that are no text, and a terminal may lack a character.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = command()
        sys.stdout.flush()
        return code
    except TinysightError as error:
        return fail(program, str(error))
    except BrokenPipeError:
        # The reader (head, say) has had enough. Python would complain again at its own exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"{program}: stopped", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return fail(program, f"{where}{error.strerror or error}")


def fail(program: str, message: str) -> int:
    print(f"{program}: {message}", file=sys.stderr)
    return 1


def require_extra(extra: str, *modules: str) -> None:
    """Raises MissingExtraError, with the command that helps, unless all modules are there."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{', '.join(missing)} not installed: pip install -e '.[{extra}]' brings it"
        )


class HelpFormatter(argparse.HelpFormatter):
    """Wraps a description, and leaves examples of several lines as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers from 1 between commas, for argparse."""
    return tuple(positive(part) for part in text.split(","))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned text: the first column to the left, the others to the right."""
    lines = [header, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


@contextlib.contextmanager
def captured_native_stderr() -> Iterator[BinaryIO]:
    """Holds back what C++ code writes to stderr, and lets it out when the block fails.

    Yields the file that holds it.

    TensorFlow and LiteRT greet every process with notes on drivers and instruction sets that
    none of their log levels stops; on a terminal they bury our own lines.
    """
    import tempfile  # late: a third of a millisecond, and few commands need it

    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield held
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


class ProgressLine:
    """A line on stderr that counts on a terminal, and is silent elsewhere."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Shows how much is done; a total of 0 is an unknown one."""
        line = f"{what} {100 * done // total} %" if total else f"{what} {done:,}"
        if line != self._shown and sys.stderr.isatty():
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
        self._shown = line

    def clear(self) -> None:
        """Takes the line away."""
        if self._shown and sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
