"""Kills a training with SIGKILL, again and again, and resumes it: the end must be the same bits.

The tests do it at three chosen moments. As a script, at any number of random ones:

    python tests/training/interrupt.py --kills 20
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
EPOCHS = 3


def start(out: Path, *more: str) -> subprocess.Popen[str]:
    """Begins the training, or goes on with it, in a process of its own."""
    command = [sys.executable, "-m", "training", "run", "baseline", "--out", str(out)]
    command += ["--epochs", str(EPOCHS), "--batch-size", "64", "--deterministic", *more]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finalize(out: Path) -> None:
    """Lets the training run, or go on, to its end."""
    process = start(out, "--resume")
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill_when(out: Path, moment: Callable[[], bool]) -> bool:
    """Goes on with the training and kills it as soon as `moment` holds; False if it ended first."""
    process = start(out, "--resume")
    while not moment():
        if process.poll() is not None:
            return False
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return True


def result(out: Path) -> dict[str, bytes]:
    """What must be equal to the bit: the test logits, and the history but for the seconds."""
    rows = (line.rsplit(",", 1)[0] for line in (out / "history.csv").read_text().splitlines())
    logits = np.load(out / "test_logits.npy")
    return {"logits": logits.tobytes(), "history": "\n".join(rows).encode()}


def random_kills(folder: Path, kills: int, seed: int) -> Iterator[str]:
    """Kills `kills` trainings, each once at a random moment; yields a verdict for each."""
    whole = folder / "unbroken"
    began = time.monotonic()
    finalize(whole)
    duration = time.monotonic() - began
    wanted = result(whole)
    draw = random.Random(seed)
    done = 0
    while done < kills:
        out = folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        end = time.monotonic() + draw.uniform(0, duration)
        if not kill_when(out, lambda end=end: time.monotonic() > end):  # type: ignore[misc]
            continue  # it was quicker than the unbroken one: draw another moment
        found = sorted(path.name for path in out.rglob("*epoch-*"))
        finalize(out)
        same = result(out) == wanted
        done += 1
        yield f"{done:>3}  {'survived' if same else 'DIFFERS'}  checkpoints at the kill: {found}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        for verdict in random_kills(Path(folder), args.kills, args.seed):
            print(verdict, flush=True)
            survived += "survived" in verdict
    print(f"{survived} of {args.kills} survived")
    return 0 if survived == args.kills else 1


if __name__ == "__main__":
    sys.exit(main())
