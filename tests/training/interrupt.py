"""Kills a training with SIGKILL, again and again, and resumes it: the end must be the same bits.

The tests do it at chosen moments. As a script, at any number of random ones:

    python tests/training/interrupt.py --kills 20
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
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import numpy as np

ROOT = Path(__file__).parents[2]
EPOCHS = 3
BATCH_SIZE = 64
SETTINGS = {
    "model": "baseline",
    "epochs": EPOCHS,
    "batch_size": BATCH_SIZE,
    "deterministic": True,
}
"""The recipe of `_start`."""

Moment = Literal["before the first checkpoint", "while one is written", "after the first"]


def finalize(out: Path) -> None:
    """Lets the training start, or resume, and run to its end."""
    process = _start(out)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill_at(out: Path, moment: Moment, settings: Mapping[str, Any] = SETTINGS) -> None:
    """Starts or resumes the training of a recipe in a process that kills itself at a moment."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from tests.training.interrupt import train_until\n"
        f"train_until(Path(sys.argv[1]), {moment!r}, json.loads(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(out), json.dumps(settings)]
    path = os.pathsep.join(map(str, (ROOT / "runtime", ROOT)))
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def train_until(out: Path, moment: Moment, settings: Mapping[str, Any]) -> None:
    """A training on digits in this process, which it kills."""
    from tinysight.files import new_folder
    from training.data import load_dataset
    from training.recipes import Recipe
    from training.train import Job, train

    class Killer:
        def started(self, done: int, epochs: int) -> None:
            if moment == "before the first checkpoint":
                _kill()

        def count(self, what: str, done: int, total: int) -> None: ...

        def finished_epoch(self, epoch: int, row: dict[str, float]) -> None:
            if moment == "after the first":
                _kill()

    if moment == "while one is written":

        @contextlib.contextmanager
        def killed_before_the_rename(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
            with new_folder(path, overwrite=overwrite) as temporary:
                yield temporary
                _kill()

        mock.patch("training.checkpoint.new_folder", killed_before_the_rename).start()
    train(Job(Recipe(**settings), load_dataset("digits"), out, if_exists="resume"), Killer())


def result(out: Path) -> dict[str, bytes]:
    """What must be equal to the bit: the test logits, and the history except for the seconds."""
    rows = (line.rsplit(",", 1)[0] for line in (out / "history.csv").read_text().splitlines())
    logits = np.load(out / "test_logits.npy")
    return {"logits": logits.tobytes(), "history": "\n".join(rows).encode()}


def random_kills(folder: Path, kills: int, seed: int) -> Iterator[str]:
    """Kills `kills` trainings, each once at a random moment; yields a verdict for each."""
    whole = folder / "unbroken"
    began = time.monotonic()
    finalize(whole)
    duration = time.monotonic() - began
    expected = result(whole)
    draw = random.Random(seed)
    done = 0
    while done < kills:
        out = folder / "killed"
        shutil.rmtree(out, ignore_errors=True)
        process = _start(out)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=draw.uniform(0, duration))
            continue  # it was faster than the unbroken one: draw another moment
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = sorted(path.name for path in out.rglob("*epoch-*"))
        finalize(out)
        same = result(out) == expected
        done += 1
        yield f"{done:>3}  {'survived' if same else 'DIFFERS'}  checkpoints at the kill: {found}"


def _start(out: Path) -> subprocess.Popen[str]:
    """Starts the training, or resumes it, in a process of its own."""
    command = [sys.executable, "-m", "training", "run", "baseline", "--out", str(out), "--resume"]
    command += ["--epochs", str(EPOCHS), "--batch-size", str(BATCH_SIZE), "--deterministic"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kills", type=int, default=20, help="trainings to kill, at least 1 (default: 20)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: 0)")
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
