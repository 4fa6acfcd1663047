"""`python -m tests.fuzz.atheris_pictures --count 100000`: pictures by coverage-guided fuzzing.

atheris (a package of its own: pip install atheris) mutates whole pictures of every format, and
keeps those that reach new lines of our readers and of Pillow's. Whatever `to_pixels` raises but
ImageError ends it, with the file that did it. Without atheris it says so, and is no failure.
"""

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tests.fuzz import hostile

_SEEDS = 300
_TIMEOUT_SECONDS = 5
_MEMORY_MB = 2048


def fuzz(arguments: list[str]) -> None:
    """Runs libFuzzer with its own arguments; does not return."""
    import atheris

    with atheris.instrument_imports(include=["PIL", "tinysight.pictures", "tinysight.preprocess"]):
        from tinysight.errors import ImageError
        from tinysight.preprocess import to_pixels

    def one_input(content: bytes) -> None:
        try:
            pixels = to_pixels(content, 32, 32)
        except ImageError:
            return
        if pixels.shape != (32, 32, 3) or pixels.dtype != np.uint8:
            raise AssertionError(f"{pixels.dtype} {pixels.shape}")

    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["--child"]:
        fuzz(words[1:])
        return 0
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz.atheris_pictures", description=__doc__
    )
    parser.add_argument(
        "--count", type=int, default=20_000, help="executions, at least 1 (default: 20000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (default: 1)")
    args = parser.parse_args(words)
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install atheris): no coverage-guided fuzzing")
        return 0
    with tempfile.TemporaryDirectory() as name:
        corpus, found = Path(name, "corpus"), Path(name, "found-")
        corpus.mkdir()
        for i in range(_SEEDS):
            content = hostile.encoded(np.random.default_rng([args.seed, i]))
            (corpus / str(i)).write_bytes(content)
        limits = [f"-timeout={_TIMEOUT_SECONDS}", f"-rss_limit_mb={_MEMORY_MB}", "-max_len=20000"]
        options = [f"-runs={args.count}", f"-seed={args.seed}", "-print_final_stats=1"]
        words = ["--child", *limits, *options, f"-artifact_prefix={found}", str(corpus)]
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "tests.fuzz.atheris_pictures", *words],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        lines = done.stderr.splitlines()
        print("\n".join(line for line in lines if line.startswith("stat::")))
        if done.returncode:
            print("\n".join(lines[-40:]))
            for file in Path(name).glob("found-*"):
                kept = Path(file.name)
                kept.write_bytes(file.read_bytes())
                print(f"the input: {kept}")
        return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
