"""Many files: several processes, CSV, and a bad picture among good ones."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight import Classifier
from tinysight.errors import ImageError

FILES = 700
"""More than two tasks of a process."""
BAD = (0, 300, FILES - 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    random = np.random.default_rng(0)
    for i in range(FILES):
        file = folder / f"{i:04}.png"
        if i in BAD:
            file.write_bytes(b"no image")
        else:
            Image.fromarray(random.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(file)
    return folder


def tinysight(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tinysight", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv", "--top-k", "2")])
def test_jobs_change_neither_the_lines_nor_the_errors(
    form: tuple[str, ...], folder: Path, tiny: Path
) -> None:
    alone = tinysight("classify", "--bundle", tiny, *form, folder, "nowhere.png")
    many = tinysight("classify", "--bundle", tiny, "--jobs", 3, *form, folder, "nowhere.png")
    assert (alone.returncode, many.returncode) == (1, 1)
    assert many.stdout == alone.stdout
    assert many.stderr == alone.stderr
    assert len(many.stderr.splitlines()) == len(BAD) + 1


def test_csv_has_a_header_and_quotes_what_needs_it(tmp_path: Path, tiny: Path) -> None:
    name = 'a, "b".png'
    Image.new("RGB", (8, 8), (200, 10, 10)).save(tmp_path / name)
    done = tinysight("classify", "--bundle", tiny, "--csv", "--top-k", 2, tmp_path)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [row["path"] for row in rows] == [str(tmp_path / name)]
    first = Classifier.load(tiny).classify(tmp_path / name, top_k=2)
    expected = [(label, f"{probability:.6f}") for label, probability in first.top]
    got = [
        (rows[0]["label"], rows[0]["probability"]),
        (rows[0]["label_2"], rows[0]["probability_2"]),
    ]
    assert [(label, f"{float(value):.6f}") for label, value in got] == expected


def test_in_csv_an_unknown_label_is_empty(tmp_path: Path, tiny: Path) -> None:
    Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / "grey.png")
    done = tinysight("classify", "--bundle", tiny, "--csv", "--min-confidence", 1, tmp_path)
    (row,) = csv.DictReader(done.stdout.splitlines())
    assert row["label"] == ""
    assert 0 < float(row["probability"]) < 1


def test_csv_has_no_more_columns_than_there_are_classes(tmp_path: Path, tiny: Path) -> None:
    Image.new("RGB", (8, 8), (200, 10, 10)).save(tmp_path / "red.png")
    done = tinysight("classify", "--bundle", tiny, "--csv", "--top-k", 9, tmp_path)
    header, row = csv.reader(done.stdout.splitlines())
    assert header[-1] == "probability_3"
    assert len(row) == len(header)


def test_csv_and_json_together_are_a_usage_error(tiny: Path) -> None:
    done = tinysight("classify", "--bundle", tiny, "--csv", "--json", "x.png")
    assert done.returncode == 2
    assert "not allowed with" in done.stderr


def test_ctrl_c_ends_all_processes_with_one_line(folder: Path, tiny: Path) -> None:
    words = [
        sys.executable,
        "-m",
        "tinysight",
        "classify",
        "--bundle",
        tiny,
        "--jobs",
        "2",
        "--json",
    ]
    running = subprocess.Popen(
        [*map(str, words), *[str(folder)] * 200],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert running.stdout is not None
    running.stdout.readline()
    os.killpg(running.pid, signal.SIGINT)
    _, err = running.communicate()  # returns when no process has stdout or stderr any more
    assert running.returncode == 130
    assert err.splitlines()[-1] == "tinysight: stopped"
    assert "Traceback" not in err


def test_a_bad_pictures_error_stands_in_its_place(classifier: Classifier, folder: Path) -> None:
    files = sorted(folder.iterdir())[:310]
    answers = list(classifier.classify_many(files, batch_size=16, on_error="yield"))
    bad = [i for i, answer in enumerate(answers) if isinstance(answer, ImageError)]
    assert bad == [0, 300]
    assert "0300.png" in str(answers[300])
    good = [file for i, file in enumerate(files) if i not in bad]
    assert [a for a in answers if not isinstance(a, ImageError)] == list(
        classifier.classify_many(good)
    )


def test_what_the_source_raises_is_raised_all_the_same(classifier: Classifier) -> None:
    def source() -> object:
        yield np.zeros((8, 8, 3), np.uint8)
        raise ImageError("the camera is gone")

    answers = classifier.classify_many(source(), on_error="yield")  # type: ignore[call-overload]
    assert next(answers).label is not None
    with pytest.raises(ImageError, match="the camera is gone"):
        next(answers)


def test_another_word_than_raise_or_yield_is_an_error(classifier: Classifier) -> None:
    with pytest.raises(ValueError, match="on_error"):
        classifier.classify_many([], on_error="ignore")  # type: ignore[call-overload]


def test_json_lines_parse(folder: Path, tiny: Path) -> None:
    done = tinysight("classify", "--bundle", tiny, "--jobs", 2, "--json", folder)
    paths = [json.loads(line)["path"] for line in done.stdout.splitlines()]
    assert paths == [str(file) for i, file in enumerate(sorted(folder.iterdir())) if i not in BAD]
