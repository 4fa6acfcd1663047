"""`python -m training evaluate` on real digits, and test-time augmentation by hand."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from training.cli import main
from training.run_folder import Run, load_run
from training.test_time_augmentation import augmented
from training.tf_keras_setup import keras


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    folder = tmp_path_factory.mktemp("runs")
    outs = [folder / f"epochs-{epochs}" for epochs in (1, 2)]
    for epochs, out in enumerate(outs, start=1):
        assert main(["run", "baseline", "--out", str(out), "--epochs", str(epochs)]) == 0
    return [load_run(out) for out in outs]


def test_the_accuracies_are_those_of_the_runs_and_of_their_mean(
    runs: list[Run], capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [str(run.folder) for run in runs]
    capsys.readouterr()
    assert main(["evaluate", *folders, "--part", "test", "--json"]) == 0
    *each, together = json.loads(capsys.readouterr().out)
    for row, run in zip(each, runs, strict=True):
        assert run.result.test is not None
        assert (row["name"], row["accuracy"]["correct"]) == (
            run.folder.name,
            run.result.test.correct,
        )
    assert together["name"] == "mean of logits"
    assert together["accuracy"]["n"] == 360


def test_a_run_of_other_images_is_refused(
    runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "other"
    assert main(["run", "baseline", "--seed", "1", "--epochs", "1", "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(runs[0].folder), str(out)]) == 1
    assert "has another split: its train images are not these" in capsys.readouterr().err


def test_test_time_augmentation_is_the_weighted_mean_of_mirrors_and_translations() -> None:
    image = keras.Input((6, 6, 3))
    model = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(image)))
    pixels = np.random.default_rng(0).random((5, 6, 6, 3), np.float32)

    def mirrored(images: np.ndarray) -> np.ndarray:
        both = [model.predict(one, verbose=0) for one in (images, images[:, :, ::-1])]
        return np.asarray(np.mean(both, axis=0))

    padded = np.pad(pixels, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="reflect")
    moved = [mirrored(padded[:, :6, :6]), mirrored(padded[:, 2:, 2:])]
    expected = mirrored(pixels) / 2 + np.sum(moved, axis=0) / 4
    actual = augmented(model, "translate").predict(pixels, verbose=0)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    actual = augmented(model, "mirror").predict(pixels, verbose=0)
    np.testing.assert_allclose(actual, mirrored(pixels), rtol=1e-5, atol=1e-5)
