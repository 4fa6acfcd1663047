"""run.json is read back as it was written; a malformed one is one line from every command here.

Other stages read it by `load_run`, too.
"""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

from tests.training.sample_run import sample_record, sample_result
from tinysight.records import to_json
from training.cli import main
from training.run_folder import (
    FORMAT,
    RunError,
    load_run,
    read_history,
    read_record,
    write_history,
    write_record,
)

Path_ = tuple[str | int, ...]
CONTENT: dict[str, Any] = {"format": FORMAT, **to_json(sample_record(sample_result()))}
FREE: tuple[Path_, ...] = (("teachers", 0, "recipe"),)
"""What is only carried along."""
DERIVED = {"value", "interval"}
"""What is written for other readers, and not read."""


def _paths(content: object, path: Path_ = ()) -> Iterator[Path_]:
    if path:
        yield path
    if path in FREE:
        return
    items = content.items() if isinstance(content, dict) else ()
    for key, value in items:
        if key not in DERIVED:
            yield from _paths(value, (*path, key))
    if isinstance(content, list) and content:
        yield from _paths(content[0], (*path, 0))


def _changed(path: Path_, value: object) -> dict[str, Any]:
    """The content with another value at a path."""
    content = copy.deepcopy(CONTENT)
    place: Any = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


def _write(folder: Path, content: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(content))
    return folder


PATHS = list(_paths(CONTENT))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_a_field_of_a_wrong_type_is_one_line_from_every_command(
    path: Path_, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _write(tmp_path / "run", _changed(path, [{"unexpected": None}]))
    out = ["--out", str(tmp_path / "out")]
    _write(tmp_path / "runs" / "baseline", _changed(path, [{"unexpected": None}]))
    _write(tmp_path / "cv" / "fold-1", _changed(path, [{"unexpected": None}]))
    commands: dict[str, Callable[[], int]] = {
        "distill": lambda: main(["distill", "baseline", "--teacher", str(run), *out]),
        "run": lambda: main(["run", "baseline", "--out", str(run), "--resume"]),
        "crossval": lambda: main(
            ["crossval", "baseline", "--out", str(tmp_path / "cv"), "--resume"]
        ),
        "compare": lambda: main(["compare", "--runs", str(tmp_path / "runs"), *out]),
    }
    for name, command in commands.items():
        assert command() == 1, name
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith("training: ")
        assert "run.json: " in last
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", [()] + [path for path in PATHS if path != ("format",)])
def test_an_unknown_key_is_refused(path: Path_, tmp_path: Path) -> None:
    place: Any = CONTENT
    for key in path:
        place = place[key]
    if not isinstance(place, dict) or path in (*FREE, ("result", "versions")):
        return
    content = _changed((*path, "surprise"), 1)
    with pytest.raises(RunError, match=r"run\.json: .*unknown key 'surprise'"):
        read_record(_write(tmp_path, content))


@pytest.mark.parametrize("key", ["recipe", "data", "started"])
def test_a_missing_key_is_refused(key: str, tmp_path: Path) -> None:
    content = {name: value for name, value in CONTENT.items() if name != key}
    with pytest.raises(RunError, match=f"{key} is missing"):
        read_record(_write(tmp_path, content))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("recipe", "epochs"), 0, "epochs must be at least 1"),
        (("recipe", "model"), "baselin", "baselin"),
        (("recipe", "optimizer"), "adagrad", "none of 'adam', 'sgd', 'muon'"),
        (("data", "labels"), ["one"], "two labels"),
        (("data", "shape"), [32, 32], "2 entries, expected are 3"),
        (("data", "shape"), [32, 0, 3], "shape"),
        (("data", "fingerprint"), "abc", "SHA-256"),
        (("result", "test", "correct"), 361, "361 correct of 360"),
        (("result", "temperature"), 0.0, "temperature"),
        (("result", "trainable_parameters"), 83_031, "trainable"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(
    path: Path_, value: object, message: str, tmp_path: Path
) -> None:
    with pytest.raises(RunError, match=message):
        read_record(_write(tmp_path, _changed(path, value)))


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"format": 1}', '{"format": NaN}'])
def test_a_file_that_is_no_record_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RunError, match=r"run\.json: ") as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("finished", [False, True])
def test_a_record_is_read_back(tmp_path: Path, finished: bool) -> None:
    record = sample_record(sample_result() if finished else None)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record


def test_an_unfinished_run_says_how_far_it_is(tmp_path: Path) -> None:
    write_record(tmp_path, sample_record())
    with pytest.raises(RunError, match="0 of 10 epochs"):
        load_run(tmp_path)
    for name in ("epoch-0002", "epoch-0003", ".epoch-0004.abc"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    with pytest.raises(RunError, match=r"3 of 10 epochs.*--resume"):
        load_run(tmp_path)


def test_a_finished_run_without_its_model_is_one_line(tmp_path: Path) -> None:
    write_record(tmp_path, sample_record(sample_result()))
    with pytest.raises(RunError, match=r"model\.keras is missing"):
        load_run(tmp_path)


def test_the_history_is_read_back(tmp_path: Path) -> None:
    history = [{"loss": 1 / 3, "seconds": 2.0}, {"loss": 0.1, "seconds": 1.0}]
    write_history(tmp_path, history)
    assert (tmp_path / "history.csv").read_text().splitlines()[0] == "epoch,loss,seconds"
    assert read_history(tmp_path) == history


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "epoch,loss\n1,high\n", "epoch,loss\n1\n"])
def test_a_damaged_history_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(RunError, match=r"history\.csv") as caught:
        read_history(tmp_path)
    assert "\n" not in str(caught.value)
