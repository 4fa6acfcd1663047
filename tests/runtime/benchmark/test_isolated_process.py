"""Scripts in processes of their own: their first line, what they are given, and how they fail."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest

from tinysight import TinysightError
from tinysight.benchmark.isolated_process import run_isolated
from tinysight.benchmark.runner import run_process
from tinysight.benchmark.worker import Job, TimedModel

SCRIPT = """
import json, os, sys
import helper, tinysight
print(json.dumps([sys.argv[1:], sys.stdin.read(), os.environ["COLOUR"], helper.VALUE]))
"""


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_a_script_gets_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    write(tmp_path / "root", "helper.py", "VALUE = 7")
    line, milliseconds = run_isolated(
        write(tmp_path, "script.py", SCRIPT),
        "one",
        "two",
        stdin=b"words",
        import_roots=[tmp_path / "root"],
        environment={"COLOUR": "red"},
    )
    assert json.loads(line) == [["one", "two"], "words", "red", 7]
    assert milliseconds > 0


def test_one_that_fails_says_why(tmp_path: Path) -> None:
    script = write(tmp_path, "script.py", "raise ValueError('no such thing')")
    with pytest.raises(TinysightError, match="measuring process failed: ValueError: no such thing"):
        run_isolated(script)


def test_one_that_says_nothing_has_failed(tmp_path: Path) -> None:
    with pytest.raises(TinysightError, match="exit code 0"):
        run_isolated(write(tmp_path, "script.py", ""))


def test_what_an_engine_prints_is_not_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loader that writes to stdout, as engines in C++ do."""
    write(
        tmp_path,
        "noisy.py",
        "import os\n"
        "def load(threads):\n"
        "    os.write(1, b'hello from an engine\\n')\n"
        "    return lambda images: images\n",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    load = importlib.import_module("noisy").load
    images = {1: np.zeros((1, 8, 8, 3), dtype=np.uint8)}
    job = Job({"m/r@e": TimedModel(load, images)}, (1,), (1,), 3, 10.0)
    result = run_process(job, import_roots=[tmp_path])
    (timing,) = result.timings
    assert timing.samples_ns.size == 3
    assert result.float32_peak is None
    assert result.energy is None
