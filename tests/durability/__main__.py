"""Kills writers and fills their disks at seeded moments, and reads what they left.

    python -m tests.durability --count 200 --seed 0

Each trial writes an old state, then a new one in a process that is killed (SIGKILL) at one of the
moments at which it touches a file, or whose disk (a tmpfs) fills up. Then a reader must find the
old state or the new one, whole, and the next writer must write the new one. Full trainings are
killed by `python tests/training/interrupt.py`, which needs TensorFlow.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from tests.durability.writers import NEW, OLD, WRITERS, Writer
from tinysight.errors import TinysightError

Verdict = Literal["old", "new", "half-written", "lost", "unrecoverable", "untyped"]
BAD: tuple[Verdict, ...] = ("half-written", "lost", "unrecoverable", "untyped")
DISK_KB = 2048
_EVENTS = ("open", "os.", "shutil.", "tempfile.", "ctypes.call", "fcntl.")
_UNTYPED = 3
"""Exit code of a writer that ended with anything but an OSError or a TinysightError."""


def run_child(work: Callable[[], None], kill_at: int | None = None) -> tuple[int, int]:
    """Does `work` in a child process, which may kill itself at its n-th file event.

    Returns its wait status, and the number of its file events, 0 where it was killed.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with os.fdopen(reader, "rb") as stream:
            events = int(stream.read() or 0)
        return os.waitpid(child, 0)[1], events
    events = 0

    def count(event: str, _: object) -> None:
        nonlocal events
        if event.startswith(_EVENTS):
            events += 1
            if events == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    code = 0
    try:
        work()
    except (OSError, TinysightError):
        code = 1
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        code = _UNTYPED
    os.write(writer, str(events).encode())
    os._exit(code)


def judge(writer: Writer, folder: Path, free: Callable[[], None] = lambda: None) -> Verdict:
    """Reads what is there, then writes the new state over it, after `free` has made room."""
    try:
        found = writer.read(folder)
    except FileNotFoundError:
        return "lost"
    except Exception as error:
        return "lost" if "no bundle" in str(error) else "half-written"
    if found not in (OLD, NEW):
        return "half-written" if found else "lost"
    free()
    try:
        writer.write(folder, NEW)
        if writer.read(folder) != NEW:
            return "unrecoverable"
    except Exception:
        return "unrecoverable"
    return "old" if found == OLD else "new"


def killed(writer: Writer, folder: Path, draw: random.Random) -> Verdict:
    """Kills the writer at a moment that is drawn evenly from all of its moments."""
    rehearsal, place = folder / "rehearsal", folder / "place"
    for one in (rehearsal, place):
        one.mkdir()
        writer.write(one, OLD)
    _, events = run_child(lambda: writer.write(rehearsal, NEW))
    moment = draw.randint(1, events)
    status, _ = run_child(lambda: writer.write(place, NEW), moment)
    assert os.WIFSIGNALED(status), f"{writer.name} ended before event {moment} of {events}"
    return judge(writer, place)


def filled(writer: Writer, disk: Path, draw: random.Random) -> Verdict:
    """Lets the writer write on a disk with less room than it may need."""
    folder = disk / "place"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    writer.write(folder, OLD)
    filler = disk / "filler"
    room = 4096 * draw.randint(0, 16)
    filler.write_bytes(bytes(max(0, shutil.disk_usage(disk).free - room)))
    status, _ = run_child(lambda: writer.write(folder, NEW))
    verdict = judge(writer, folder, filler.unlink)
    filler.unlink(missing_ok=True)
    return "untyped" if os.WEXITSTATUS(status) == _UNTYPED else verdict


@contextlib.contextmanager
def small_disk(where: Path) -> Iterator[Path | None]:
    """A tmpfs of 2 MB; None where it cannot be mounted, which needs root."""
    where.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "none", str(where)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield where if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(where)], check=True)


def trials(count: int, seed: int) -> Iterator[tuple[str, str, Verdict]]:
    """Yields the writer, what was done to it, and the verdict, for each trial."""
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, small_disk(Path(name) / "disk") as disk:
        if disk is None:
            print("No full disks: mounting a tmpfs needs root.", file=sys.stderr)
        for number in range(count):
            writer = WRITERS[number % len(WRITERS)]
            if disk is not None and number // len(WRITERS) % 2:
                yield writer.name, "full disk", filled(writer, disk, draw)
                continue
            folder = Path(name) / f"trial-{number}"
            folder.mkdir()
            yield writer.name, "kill", killed(writer, folder, draw)
            shutil.rmtree(folder)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.durability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=200, help="trials (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    args = parser.parse_args()
    counts: Counter[tuple[str, str, Verdict]] = Counter(trials(args.count, args.seed))
    totals = Counter(verdict for _, _, verdict in counts.elements())
    kinds = Counter(kind for _, kind, _ in counts.elements())
    summary: dict[str, int] = {"tried": args.count, **kinds}
    summary.update((verdict, totals[verdict]) for verdict in BAD)
    if args.json:
        print(json.dumps(summary))
    else:
        for (writer, kind, verdict), number in sorted(counts.items()):
            print(f"{writer:20} {kind:10} {verdict:14} {number:>5}")
        print(", ".join(f"{name} {number}" for name, number in summary.items()))
    return int(any(totals[verdict] for verdict in BAD))


if __name__ == "__main__":
    sys.exit(main())
