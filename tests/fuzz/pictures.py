"""`python -m tests.fuzz.pictures --count 20000 --seed 0`: hostile pictures against `to_pixels`.

Each case runs in a child process, which is watched: a crash, a hang, an exception that is no
ImageError, or pixels that break a stated rule is a finding, printed with the seed and index that
make it again. The child's peak memory is that of the kernel (VmHWM), above what it holds once it
has loaded a classifier and read one picture of each format.
"""

import argparse
import contextlib
import io
import json
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.fuzz import hostile
from tinysight import Classifier, ImageError
from tinysight.cli.main import main as tinysight
from tinysight.pictures.formats import FORMATS
from tinysight.preprocess import to_pixels

SIDE = 32
HANG_SECONDS = 2.0
_DEAD_SECONDS = 60.0
"""Without a word from the child: it is ended."""
_CASES_A_CHILD = 1000
_COMMAND_LINE_SHARE = 0.03
"""Of the paths and bytes that also go through `tinysight classify`."""
ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "tiny" / "bundle"


@dataclass
class Report:
    """What was found in a number of cases."""

    tried: int = 0
    answered: int = 0
    untyped: int = 0
    wrong: int = 0
    hangs: int = 0
    crashes: int = 0
    slowest_cpu_s: float = 0.0
    peak_mb: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not (self.untyped or self.wrong or self.hangs or self.crashes)


def check(case: hostile.Case, rng: hostile.Rng) -> tuple[str, str]:
    """How one case ends: `answered`, `refused`, `untyped` or `wrong`, and what to say of it."""
    try:
        pixels = to_pixels(case.source, SIDE, SIDE)
    except ImageError as error:
        text = str(error)
        if not text or "\n" in text or "\x1b" in text:
            return "wrong", f"message {text!r:.80}"
        return "refused", ""
    except BaseException as error:
        return "untyped", f"{type(error).__name__}: {error!s:.100}"
    if pixels.shape != (SIDE, SIDE, 3) or pixels.dtype != np.uint8 or not pixels.flags.c_contiguous:
        return "wrong", f"{pixels.dtype} {pixels.shape}"
    problem = _by_another_way(case.source, pixels)
    common = isinstance(case.source, (bytes, Path)) and rng.random() < _COMMAND_LINE_SHARE
    if problem is None and common:
        problem = _by_command_line(case.source)
    return ("answered", "") if problem is None else ("wrong", problem)


def _by_another_way(source: Any, pixels: np.ndarray) -> str | None:
    """A path, its bytes and its PIL image give one answer, but for a JPEG read at a fraction."""
    content = source.read_bytes() if isinstance(source, Path) else source
    if not isinstance(content, bytes):
        return None
    if not np.array_equal(to_pixels(content, SIDE, SIDE), pixels):
        return "the bytes give other pixels than the path"
    if content[:2] == b"P5" or content[:2] == b"P6" or len(content) > 1_000_000:
        return None
    with contextlib.suppress(Exception), Image.open(io.BytesIO(content)) as image:
        if image.width * image.height > 40_000:
            return None
        if not np.array_equal(to_pixels(image, SIDE, SIDE), pixels):
            return "the PIL image gives other pixels than the file"
    return None


def _by_command_line(source: bytes | Path) -> str | None:
    """`tinysight classify --json` answers too, in one line of JSON."""
    out, given = io.StringIO(), sys.stdin
    name = "-" if isinstance(source, bytes) else str(source)
    if isinstance(source, bytes):
        sys.stdin = io.TextIOWrapper(io.BytesIO(source))
    try:
        with contextlib.redirect_stdout(out):
            code = tinysight(["classify", "--json", "--bundle", str(TINY), name])
    finally:
        sys.stdin = given
    if code != 0 or json.loads(out.getvalue())["path"] != name:
        return f"the command line gives exit code {code}"
    return None


def child(seed: int, first: int, count: int, large: Path) -> None:
    """Runs cases, and writes a line of JSON for each when it begins and when it ends."""
    files = sorted(large.iterdir())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _warm_up()
        start_kb = _reset_peak()
        for index in range(first, first + count):
            rng = np.random.default_rng([seed, index])
            case = hostile.case(rng, folder, files)
            # What making the case took does not count, nor does a picture that the caller holds.
            made_kb = _reset_peak()
            held_kb = start_kb if isinstance(case.source, (bytes, str, Path)) else made_kb
            began, cpu = time.perf_counter(), time.process_time()
            end, detail = check(case, rng)
            if case.kind == "large":
                detail += str(case.source)
            told = {
                "index": index, "kind": case.kind, "end": end, "detail": detail,
                "seconds": time.perf_counter() - began,
                "cpu_s": time.process_time() - cpu,
                "peak_mb": (_status_kb("VmHWM") - held_kb) / 1024,
            }  # fmt: skip
            print(json.dumps(told), flush=True)


def _warm_up() -> None:
    """What every process pays once: the engine, and Pillow's plugins."""
    classifier = Classifier.load(TINY)
    for name in FORMATS:
        stream = io.BytesIO()
        Image.new("RGB", (50, 40)).save(stream, name)
        classifier.classify(stream.getvalue())


def _status_kb(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def _reset_peak() -> int:
    """Sets the peak to what the process holds now, in KB, which it returns."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status_kb("VmRSS")


def run(count: int, seed: int, large: Path) -> Report:
    """Runs the cases in children: a new one for each thousand, and after each crash or hang."""
    report, done = Report(), 0
    while done < count:
        done += _run_child(report, seed, done, min(count - done, _CASES_A_CHILD), large)
    return report


def _run_child(report: Report, seed: int, first: int, count: int, large: Path) -> int:
    words = ["--child", str(seed), str(first), str(count), str(large)]
    ran = 0
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.fuzz.pictures", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
    ) as process:
        for line in _lines(process):
            told = json.loads(line)
            ran += 1
            _count(report, told)
        if process.poll() is None and ran < count:
            process.kill()
            report.hangs += 1
    if ran < count:
        ran += 1
        report.tried += 1
        report.crashes += process.returncode not in (0, -9)
        report.findings.append(f"{first + ran - 1}: exit code {process.returncode}")
    return ran


def _count(report: Report, told: dict[str, Any]) -> None:
    report.tried += 1
    report.kinds[told["kind"]] += 1
    report.answered += told["end"] == "answered"
    report.untyped += told["end"] == "untyped"
    report.wrong += told["end"] == "wrong"
    report.slowest_cpu_s = max(report.slowest_cpu_s, told["cpu_s"])
    report.peak_mb = max(report.peak_mb, told["peak_mb"])
    # A machine with other work to do is slow, and no hang; a path that waits takes no CPU.
    slow = told["seconds" if told["kind"] == "path" else "cpu_s"] > HANG_SECONDS
    report.hangs += slow
    if slow or told["end"] in ("untyped", "wrong"):
        report.findings.append(
            f"{told['index']}: {told['kind']}: {told['end']} in {told['seconds']:.1f} s: "
            f"{told['detail']}"
        )


def _lines(process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """The child's lines, until it ends or is silent for too long."""
    assert process.stdout is not None
    while select.select([process.stdout], [], [], _DEAD_SECONDS)[0]:
        line = process.stdout.readline()
        if not line:
            process.wait()
            return
        yield line


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["--child"]:
        child(int(words[1]), int(words[2]), int(words[3]), Path(words[4]))
        return 0
    if words[:1] == ["--write-large"]:
        hostile.write_large(Path(words[1]))
        return 0
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.pictures", description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="cases to try (default: 20000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all of them (default: 0)")
    args = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as name:
        large = [sys.executable, "-m", "tests.fuzz.pictures", "--write-large", name]
        subprocess.run(large, check=True)
        report = run(args.count, args.seed, Path(name))
    for finding in report.findings[:50]:
        print(finding)
    print(", ".join(f"{kind} {n}" for kind, n in sorted(report.kinds.items())))
    print(
        f"tried {report.tried}, answered {report.answered}; untyped {report.untyped}, "
        f"wrong {report.wrong}, over {HANG_SECONDS:g} s {report.hangs}, crashes {report.crashes}; "
        f"slowest {report.slowest_cpu_s:.2f} s of CPU, peak {report.peak_mb:.0f} MB above the start"
    )
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
