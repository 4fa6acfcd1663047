"""What every command line of the project shares: exit codes, one-line errors, plain tables."""

import argparse
import contextlib
import importlib.util
import io
import os
import shlex
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn, TextIO

from tinysight.errors import MissingExtraError, TinysightError, TinysightWarning, printable

INTERRUPTED = 130
"""What a shell expects after Ctrl-C: 128 + SIGINT."""

_NATIVE_STDERR = threading.RLock()
"""Held while descriptor 2, of which a process has one, is another file."""


def run_cli(program: str, command: Callable[[], int]) -> int:
    """Runs a command; a mistake of the user's becomes one line on stderr and exit code 1."""
    _open_closed_streams()
    if sys.stdout is None:
        return fail(program, "standard output is closed")
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
        _discard(sys.stdout)  # the reader (head, say) has had enough
        return 0
    except KeyboardInterrupt:
        fail(program, "stopped")
        return INTERRUPTED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        code = fail(program, f"{where}{error.strerror or error}")
        _discard(sys.stdout)  # a full disk, say, to which it cannot be written at exit either
        return code


def fail(program: str, message: str) -> int:
    """Prints an error on one line of stderr, and returns the exit code 1."""
    try:
        print(f"{program}: {printable(message)}", file=sys.stderr)
    except (OSError, ValueError):  # nobody reads it any more
        _discard(sys.stderr)
    return 1


def _discard(stream: TextIO) -> None:
    """Ends a stream that cannot be written to. Python would complain again at its own exit."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_closed_streams() -> None:
    """Puts /dev/null in the place of a standard stream that the caller closed.

    The next file that is opened would take its number else, and become what is read or written as
    that stream. Python then has None for it: with `file=None`, print() would write to stdout.
    """
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            handle = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            if handle != number:
                os.close(handle)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


@contextlib.contextmanager
def library_noise_dropped(program: str) -> Iterator[None]:
    """Lets through what we print alone: no Python warnings of others, no stderr of C libraries.

    libtiff, for one, reports each damaged line of a picture. Our own warnings get a line each.
    """

    def show(message: Warning | str, *_: object, **__: object) -> None:
        fail(program, f"warning: {message}")

    with warnings.catch_warnings(), _native_stderr_dropped():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", TinysightWarning)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def _native_stderr_dropped() -> Iterator[None]:
    """Leaves descriptor 2 to /dev/null, and gives sys.stderr one of its own."""
    previous = sys.stderr
    try:
        native = previous.fileno() == 2
    except (OSError, ValueError):  # somebody's own stream, in memory
        native = False
    if not native:
        yield
        return
    previous.flush()
    with open(os.dup(2), "w", buffering=1, errors="backslashreplace") as own:  # noqa: PTH123
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = own
        try:
            yield
        finally:
            sys.stderr = previous
            os.dup2(own.fileno(), 2)


class ArgumentParser(argparse.ArgumentParser):
    """One whose complaints, which repeat what was typed, stay on one line of a terminal."""

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def require_extra(extra: str, *modules: str) -> None:
    """Raises MissingExtraError, with the command that helps, unless all modules are there."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"{', '.join(missing)} not installed: pip install 'tinysight[{extra}]' brings it, from "
            f"a checkout pip install -e '.[{extra}]'"
        )


def shell_command(program: str, *words: object) -> str:
    """A command, quoted, that the user's shell runs in this environment.

    In an environment that is not activated, the shell would find another `python`, and no
    `tinysight`: then the program's path stands in place of its name.

    Args:
        program: `python` or `tinysight`.
        words: what follows it.
    """
    ours = shutil.which(program, path=str(Path(sys.executable).parent))
    if ours is not None and shutil.which(program) != ours:
        inside = Path(ours).is_relative_to(Path.cwd())
        program = os.path.relpath(ours) if inside else ours
    return shlex.join([program, *map(str, words)])


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
    lines = [[printable(cell) for cell in line] for line in (header, *rows)]
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

    # One thread at a time: what another one saved meanwhile, and put back, would be our file.
    with _NATIVE_STDERR, tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        saved = os.dup(2)
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
