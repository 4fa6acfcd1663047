"""The sweep on the tiny bundle, and the front that is drawn from it."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")

from benchmarks.cli import main
from benchmarks.sweep import Measured, pareto_front
from tinysight.bundle import Artifact
from tinysight.measure import Latency
from tinysight.statistics import Accuracy

TINY = Path(__file__).parents[1] / "tiny" / "bundle"


def entry(name, microseconds, correct):
    artifact = Artifact(name, "onnx", f"{name}.onnx", "0" * 64, 1)
    samples = np.array([1000 * microseconds] * 3)
    return Measured("b", artifact, Latency(samples), Accuracy(correct, 100))


def test_the_front_is_what_nothing_beats():
    slow, quick, worse, same, best = (
        entry("slow", 50, 80),
        entry("quick", 10, 60),
        entry("worse", 20, 55),
        entry("same", 60, 80),
        entry("best", 90, 95),
    )
    assert pareto_front([slow, quick, worse, same, best]) == [quick, slow, best]
    assert pareto_front([worse]) == [worse]


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    """Noisy red, green and blue images in class folders, of the tiny model's size."""
    from PIL import Image

    root = tmp_path_factory.mktemp("colours")
    draw = np.random.default_rng(0)
    for part, count in (("train", 4), ("test", 5)):
        for index, name in enumerate(("blue", "green", "red")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = draw.integers(0, 100, (8, 8, 3), dtype=np.uint8)
                pixels[..., 2 - index] += 100
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path / "cache"))


def sweep(out, *more):
    return main(["sweep", str(TINY), "--out", str(out), "--samples", "30", *more])


def test_data_of_other_labels_is_one_line(tmp_path, capsys):
    assert sweep(tmp_path / "out", "--data", "digits") == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_it_writes_accuracy_samples_table_and_picture(colours, tmp_path, capsys):
    """The folders are read as blue, green, red; the bundle's labels are red, green, blue."""
    out = tmp_path / "out"
    assert sweep(out, "--data", str(colours)) == 0
    result = json.loads((out / "sweep.json").read_text())
    assert result["settings"] == {
        "batch": 1, "threads": 1, "samples": 30, "interleaved": True,
    }  # fmt: skip
    (row,) = result["results"]
    assert (row["accuracy"]["correct"], row["accuracy"]["n"]) == (15, 15)
    assert len(row["samples_ns"]) == 30
    median = np.median(row["samples_ns"]) / 1e3
    assert row["latency"]["median_us"] == pytest.approx(median)
    assert row["on_front"]
    assert (out / "sweep.png").read_bytes().startswith(b"\x89PNG")
    assert len((out / "sweep.md").read_text().splitlines()) == 3
    assert str(out) in capsys.readouterr().out


def test_without_data_or_a_recorded_accuracy_it_asks_for_data(tmp_path, capsys):
    assert sweep(tmp_path / "out") == 1
    assert "give --data" in capsys.readouterr().err


def test_results_are_not_overwritten_unless_asked(colours, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "sweep.json").write_text("mine")
    assert sweep(out) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "sweep.json").read_text() == "mine"
    assert sweep(out, "--overwrite", "--data", str(colours)) == 0


def test_two_bundles_of_one_name_are_one_line(tmp_path, capsys):
    assert main(["sweep", str(TINY), str(TINY), "--out", str(tmp_path / "out")]) == 1
    assert "one name" in capsys.readouterr().err


def test_no_bundle_is_one_line(tmp_path, capsys):
    assert main(["sweep", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "not a bundle" in capsys.readouterr().err
