"""All stages once, as a newcomer would type them."""

import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from tinysight.console import shell_command
from training.data import Dataset, load_dataset

PICTURES = 12
"""Test images that are classified."""


def demo(data: str, out: Path) -> int:
    """Trains, exports, classifies and measures; returns the first exit code that is not 0."""
    run, bundle, pictures, results = (out / name for name in ("run", "bundle", "pictures", "sweep"))
    start = time.perf_counter()
    _announce(
        "1. Train the seed notebook's small CNN (83,030 parameters for ten classes), 10 epochs."
    )
    if code := _run("training", "run", "baseline", "--data", data, "--out", run, "--overwrite"):
        return code
    _announce(
        "2. Export it: ONNX and TFLite, float32 and int8, each compared with the trained model."
    )
    if code := _run("export", "build", run, "--out", bundle, "--overwrite"):
        return code
    _announce(f"3. Classify {PICTURES} pictures of the test part, which it was not trained on.")
    _save_pictures(load_dataset(data), pictures)
    if code := _run("tinysight", "classify", "--bundle", bundle, "--top-k", 2, pictures):
        return code
    print("The name of each file begins with its class.")
    _announce("4. Measure latency against accuracy on this machine, all artifacts interleaved.")
    if code := _run(
        "benchmarks",
        "sweep",
        bundle,
        "--data",
        data,
        "--processes",
        6,
        "--min-duration",
        0,  # a demonstration is not kept waiting
        "--out",
        results,
        "--overwrite",
    ):
        return code
    _announce(f"Done in {time.perf_counter() - start:.0f} s. Written:")
    for path, what in (
        (run / "curves.png", "loss and accuracy by epoch"),
        (run / "confusion.png", "confusion matrix of the test images"),
        (bundle, "the bundle, for a device that has the wheel (`make wheel`)"),
        (results / "sweep.png", "latency against accuracy"),
    ):
        print(f"  {path!s:<32} {what}")
    if data == "digits":
        print("\nReal CIFAR-10 (downloads 163 MB once, trains for some minutes):")
        print("  make demo DATA=cifar10")
        print("Your own images, as my_images/<class>/*:")
        print("  make demo DATA=my_images")
    return 0


def _announce(line: str) -> None:
    print(f"\n\033[1m{line}\033[0m" if sys.stdout.isatty() else f"\n{line}", flush=True)


def _run(module: str, *arguments: object) -> int:
    """Prints the command and runs it in a process of its own, as a user would."""
    words = [str(argument) for argument in arguments]
    program = ["tinysight"] if module == "tinysight" else ["python", "-m", module]
    print(f"$ {shell_command(*program, *words)}", flush=True)
    return subprocess.run([sys.executable, "-m", module, *words], check=False).returncode


def _save_pictures(dataset: Dataset, folder: Path) -> None:
    """The first test images of every class, alternating, as PNG files named after their class."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    test = dataset.parts["test"]
    by_class = [test[dataset.targets[test] == index] for index in range(len(dataset.labels))]
    for number in range(PICTURES):
        index, rank = number % len(by_class), number // len(by_class)
        if rank < len(by_class[index]):
            # A class's name may be anything that a folder can be called, so it is one here too.
            name = f"{dataset.labels[index]}-{rank + 1}.png"
            Image.fromarray(dataset.images[by_class[index][rank]]).save(folder / name)
