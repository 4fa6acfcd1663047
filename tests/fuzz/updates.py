"""Evidence for signatures and updates: `python -m tests.fuzz.updates [signatures | swaps | kills]`.

signatures  signed bundles changed in one place each: none may be accepted
swaps       versions pulled in turn while four threads classify: no answer may be missing, mixed
            of two versions or wrong, and every version must be taken
kills       pull and rollback killed at each change they make to the disk: the old version or
            the new one must be there, whole, and the next pull must succeed
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import numpy as np

from tinysight.bundle import load_bundle
from tinysight.classifier import Classifier
from tinysight.errors import TinysightError
from tinysight.signing.keys import write_key_pair
from tinysight.signing.signature import SIGNATURE, sign_bundle
from tinysight.store.layout import VERSIONS, read_current
from tinysight.updates.update import pull

TINY = Path(__file__).parents[1] / "tiny" / "bundle"
_SWAPS = 100
_SWAP_TIMEOUT_S = 60


def signed_bundle(folder: Path, source: str = "edge_s") -> Path:
    """A signed copy of a shipped bundle, with its keys beside it; the public key."""
    private, public, _ = write_key_pair(folder.parent / "fleet")
    shutil.copytree(load_bundle(source).folder or "", folder)
    sign_bundle(folder, private)
    return public


# --- signatures ---------------------------------------------------------------------------------


def change_once(content: bytes, random: Random) -> bytes:
    """One bit turned, one byte put in, taken away or repeated, or an end cut off."""
    at = random.randrange(len(content))
    kind = random.randrange(6)
    if kind < 2:
        return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]
    if kind == 2:
        return content[:at] + bytes([random.choice(b" \n0a\x00")]) + content[at:]
    if kind == 3:
        return content[:at] + content[at + 1 :]
    if kind == 4:
        return content[: at + 1] + content[at:]
    return content[:at]


def accepted(folder: Path, public: Path) -> bool:
    """Whether a device that trusts the key would use any of the bundle."""
    try:
        bundle = load_bundle(folder, require_signature=public)
        for artifact in bundle.artifacts:
            bundle.read(artifact)
    except TinysightError:
        return False
    return True


def change_signed_bundles(n: int, seed: int, folder: Path) -> list[str]:
    """Changes each file of a signed bundle in turn; the changes that were accepted."""
    random, bundle = Random(seed), folder / "bundle"
    public = signed_bundle(bundle)
    description = load_bundle(bundle)
    names = ["bundle.json", SIGNATURE, "provenance.json", *(a.file for a in description.artifacts)]
    findings = [] if accepted(bundle, public) else ["the unchanged bundle is refused"]
    for i in range(n):
        file = bundle / names[i % len(names)]
        content = file.read_bytes()
        file.write_bytes(change_once(content, random))
        if file.read_bytes() != content and accepted(bundle, public):
            findings.append(f"seed {seed}, change {i}: {file.name}")
        file.write_bytes(content)
    return findings


# --- swaps under load ---------------------------------------------------------------------------


@dataclass
class Load:
    """What four threads saw while versions were swapped."""

    answers: int = 0
    swaps: int = 0
    """Versions that were seen to answer after the first."""
    wrong: list[str] = field(default_factory=list)


def renamed(folder: Path, version: int) -> Path:
    """The tiny bundle with labels and a temperature that tell the version."""
    shutil.copytree(TINY, folder)
    file = folder / "bundle.json"
    content = json.loads(file.read_text())
    content["labels"] = [f"{label} {version}" for label in content["labels"]]
    content["temperature"] = 1.0 + version / 100
    content.pop("answers_sha256", None)
    file.write_text(json.dumps(content))
    return folder


def swap_under_load(n: int, folder: Path, threads: int = 4) -> Load:
    """Pulls `n` versions into a store, one after the other, while threads classify with it."""
    store, load, done = folder / "store", Load(), threading.Event()
    pull(str(renamed(folder / "0", 0)), store)
    watched = Classifier.load(store, watch=True)
    images = np.random.default_rng(7).integers(0, 256, (64, 8, 8, 3), dtype=np.uint8)
    # All there is to know of the right answers: the same weights, so the same order of classes, and
    # a probability of its own for each version.
    right: dict[tuple[int, int], tuple[str, float]] = {}
    lock = threading.Lock()

    def learn(version: int, bundle: Path) -> None:
        fixed = Classifier.load(bundle)
        for i, image in enumerate(images):
            answer = fixed.classify(image)
            right[version, i] = (answer.top[0][0], answer.probability)

    def work(seed: int) -> None:
        random, count = Random(seed), 0
        while not done.is_set():
            i = random.randrange(len(images))
            try:
                if count % 50 == 49:  # the other way in
                    answer = next(watched.classify_many([images[i]]))
                else:
                    answer = watched.classify(images[i])
                label = answer.top[0][0]
                expected = right.get((int(label.split()[1]), i))
                if expected != (label, answer.probability):
                    load.wrong.append(f"image {i}: {answer!r}, expected {expected}")
            except Exception as error:  # whatever it is, an answer is missing
                load.wrong.append(f"image {i}: {error!r}")
            count += 1
        with lock:
            load.answers += count

    learn(0, folder / "0")
    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for worker in workers:
        worker.start()
    try:
        for version in range(1, n + 1):
            source = renamed(folder / str(version), version)
            learn(version, source)
            pull(str(source), store)
            deadline = time.monotonic() + _SWAP_TIMEOUT_S
            while not watched.labels[0].endswith(f" {version}") and time.monotonic() < deadline:
                threading.Event().wait(0.01)
            load.swaps += watched.labels[0].endswith(f" {version}")
            shutil.rmtree(source)
    finally:
        done.set()
        for worker in workers:
            worker.join()
    return load


# --- kills --------------------------------------------------------------------------------------

_CHANGES = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.chmod")
_CHILD = """
import os, signal, sys
from pathlib import Path
import tests.fuzz.updates as updates
updates.run_until_killed(sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
"""


def run_until_killed(what: str, source: str, store: Path, last: int) -> None:
    """In a process of its own: pulls or rolls back, and kills itself before the change no. `last`
    to the store that it is about to make."""
    from tinysight.updates.update import rollback

    place, changes = str(store), 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal changes
        if event not in _CHANGES or not arguments or not str(arguments[0]).startswith(place):
            return
        if event == "open" and not int(str(arguments[2])) & (os.O_WRONLY | os.O_RDWR):
            return
        changes += 1
        if changes == last:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    if what == "pull":
        pull(source, store)
    else:
        rollback(store)


def whole_version(store: Path) -> str:
    """The label's version of the current bundle, every byte of which was checked."""
    bundle = load_bundle(store)
    for artifact in bundle.artifacts:
        bundle.read(artifact)
    return bundle.labels[0].split()[1]


def kill_everywhere(
    what: str, folder: Path, moments: Callable[[int], bool] = lambda _: True
) -> tuple[int, list[str]]:
    """Kills `what` before each change to the disk for which `moments` holds.

    Returns how many kills there were, and what was wrong afterwards.
    """
    prepared, kills, findings = folder / "prepared", 0, []
    sources = [renamed(folder / f"source{version}", version) for version in range(3)]
    for source in sources[: 1 if what == "pull" else 2]:
        pull(str(source), prepared)
    old, new = ("0", "1") if what == "pull" else ("1", "0")
    roots = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "runtime")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    for last in range(1, 1000):
        if not moments(last):
            continue
        store = folder / "store"
        shutil.copytree(prepared, store)
        words = [sys.executable, "-c", _CHILD, what, str(sources[1]), str(store), str(last)]
        code = subprocess.run(words, env=env, check=False, capture_output=True).returncode
        try:
            if whole_version(store) not in ((old, new) if code else (new,)):
                findings.append(f"{what}, change {last}: another version")
            if pull(str(sources[2]), store).previous is None or whole_version(store) != "2":
                findings.append(f"{what}, change {last}: the next pull failed")
            kept = {read_current(store).version, read_current(store).previous}
            if {one.name for one in (store / VERSIONS).iterdir()} != kept:
                findings.append(f"{what}, change {last}: something was left")
        except (TinysightError, OSError) as error:
            findings.append(f"{what}, change {last}: {error}")
        shutil.rmtree(store)
        if code == 0:
            return kills, findings
        if code != -signal.SIGKILL:
            findings.append(f"{what}, change {last}: exit code {code}")
        kills += 1
    return kills, findings


# --- command line -------------------------------------------------------------------------------


def _signatures(folder: Path, count: int, seed: int) -> list[str]:
    findings = change_signed_bundles(count, seed, folder)
    print(f"{count:,} changes to a signed bundle: {len(findings)} accepted")
    return findings


def _swaps(folder: Path) -> list[str]:
    load = swap_under_load(_SWAPS, folder)
    print(
        f"{load.swaps} versions taken, {load.answers:,} answers of 4 threads: "
        f"{len(load.wrong)} missing, mixed or wrong"
    )
    return load.wrong + ["a version was not taken"] * (load.swaps != _SWAPS)


def _kills(folder: Path) -> list[str]:
    kills = 0
    findings: list[str] = []
    for what in ("pull", "rollback"):
        (folder / what).mkdir()
        count, found = kill_everywhere(what, folder / what)
        kills += count
        findings += found
    print(f"{kills} kills of pull and rollback: {len(findings)} findings")
    return findings


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.updates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="?", choices=("signatures", "swaps", "kills"), help="default: all of them"
    )
    parser.add_argument(
        "--count", type=int, default=2000,
        help=f"changes to signed bundles (default: 2000); swaps are always {_SWAPS}, and kills one "
        "for each change to the disk, as they take far longer",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="of the changes (default: 1)")
    args = parser.parse_args(argv)
    checks: dict[str, Callable[[Path], list[str]]] = {
        "signatures": partial(_signatures, count=args.count, seed=args.seed),
        "swaps": _swaps,
        "kills": _kills,
    }
    findings = []
    for what in checks if args.what is None else (args.what,):
        with tempfile.TemporaryDirectory() as name:
            findings += checks[what](Path(name))
    for finding in findings[:20]:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
