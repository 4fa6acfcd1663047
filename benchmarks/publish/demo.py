"""The whole line once, as a newcomer would type it."""

import shlex
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image

from training.data import Dataset, load_dataset

PICTURES = 12


def demo(data: str, out: Path) -> int:
    """Trains, exports, classifies and measures; returns the first exit code that is not 0."""
    run, bundle, pictures, results = (out / name for name in ("run", "bundle", "pictures", "sweep"))
    start = time.perf_counter()
    _say("1. Train the seed notebook's small CNN (83,030 parameters for ten classes), 10 epochs.")
    if code := _type("training", "run", "baseline", "--data", data, "--out", run, "--overwrite"):
        return code
    _say("2. Export it: ONNX and TFLite, float32 and int8, each compared with the trained model.")
    if code := _type("export", "build", run, "--out", bundle, "--overwrite"):
        return code
    _say(f"3. Classify {PICTURES} pictures of the test part, which it was not trained on.")
    _save_pictures(load_dataset(data), pictures)
    if code := _type("tinysight", "classify", "--bundle", bundle, "--top", 2, pictures):
        return code
    print("The name of each file begins with what it shows.")
    _say("4. Measure latency against accuracy, on this machine, with every artifact in turn.")
    if code := _type(
        "benchmarks",
        "sweep",
        bundle,
        "--data",
        data,
        "--passes",
        6,
        "--spread",
        0,  # a demonstration is not kept waiting
        "--out",
        results,
        "--overwrite",
    ):
        return code
    _say(f"Done in {time.perf_counter() - start:.0f} s. What there is now:")
    for path, what in (
        (run / "curves.png", "how the training went"),
        (run / "confusion.png", "which classes it takes for which"),
        (bundle, "what goes onto the device, with `pip install tinysight`"),
        (results / "sweep.png", "latency against accuracy"),
    ):
        print(f"  {path!s:<32} {what}")
    if data == "digits":
        print("\nReal CIFAR-10 (downloads 163 MB once, trains for some minutes):")
        print("  make demo DATA=cifar10")
        print("Your own images, as my_images/train/<class>/*:")
        print("  make demo DATA=my_images")
    return 0


def _say(line: str) -> None:
    print(f"\n\033[1m{line}\033[0m" if sys.stdout.isatty() else f"\n{line}", flush=True)


def _type(module: str, *arguments: object) -> int:
    """Prints the command and runs it in a process of its own, as a user would."""
    words = [str(argument) for argument in arguments]
    display_name = ["tinysight"] if module == "tinysight" else ["python", "-m", module]
    print(f"$ {shlex.join([*display_name, *words])}", flush=True)
    return subprocess.run([sys.executable, "-m", module, *words], check=False).returncode


def _save_pictures(dataset: Dataset, folder: Path) -> None:
    """The first test images of every class in turn, as PNG files named after their class."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    test = dataset.parts["test"]
    by_class = [test[dataset.targets[test] == index] for index in range(len(dataset.labels))]
    for place in range(PICTURES):
        index, turn = place % len(by_class), place // len(by_class)
        if turn < len(by_class[index]):
            # A class's name may be anything that a folder can be called, so it is one here too.
            name = f"{dataset.labels[index]}-{turn + 1}.png"
            Image.fromarray(dataset.images[by_class[index][turn]]).save(folder / name)
