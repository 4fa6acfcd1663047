"""Pictures of another size than 32 x 32, from the training to the device."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight import Classifier
from training.cli import main
from training.conv_stack import STACKS, Stack
from training.models import vgg16
from training.models.edge import build
from training.models.macs import multiply_accumulates
from training.models.registry import MODELS

STACK = "8s2-16s2"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that differ in a detail which 32 x 32 pixels cannot show: lines 1 of 48 wide."""
    folder = tmp_path_factory.mktemp("data") / "lines"
    random = np.random.default_rng(0)
    for name, period in (("plain", 48), ("striped", 2)):
        (folder / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.full((48, 48, 3), random.integers(100, 156), dtype=np.uint8)
            pixels[::period] += 60
            pixels[1::period] -= 60
            Image.fromarray(pixels).save(folder / name / f"{i:02}.png")
    return folder


@pytest.mark.parametrize("model", [*STACKS, STACK])
@pytest.mark.parametrize("side", [32, 48, 61])
def test_the_work_is_that_of_the_keras_model(model: str, side: int) -> None:
    stack = STACKS[model] if model in STACKS else Stack.parse(model)
    built = build(model, (side, side, 3), 7)
    assert stack.multiply_accumulates(side, side, 7) == multiply_accumulates(built)


def test_from_the_training_to_the_device(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import export.cli

    words = ["run", STACK, "--data", str(pictures), "--size", "48", "--out", str(tmp_path / "run")]
    words += ["--epochs", "12", "--batch-size", "8", "--learning-rate", "0.005", "--no-augment"]
    assert main(words) == 0
    assert f"{STACK} at 48 x 48: 0.4 million multiply-accumulates" in capsys.readouterr().err
    run, bundle = str(tmp_path / "run"), tmp_path / "bundle"
    assert export.cli.main(["build", run, "--recipes", "static_w8a8", "--out", str(bundle)]) == 0
    classifier = Classifier.load(bundle)
    assert classifier.bundle.shape == (48, 48)
    for name in ("plain", "striped"):
        assert classifier.classify(pictures / name / "00.png").label == name
    assert main(["evaluate", run, "--data", str(pictures), "--part", "test"]) == 0


@pytest.mark.parametrize("model", sorted(MODELS))
def test_the_smallest_image_of_a_model_is_one_that_it_takes(model: str) -> None:
    spec = MODELS[model]
    side = spec.min_side
    if spec.frozen_base is not None:
        assert tuple(vgg16.frozen_base((side, side, 3), "unit").output_shape[1:]) == (1, 1, 512)
        return
    assert spec.build(spec.recipe, (side, side, 3), 4).output_shape == (None, 4)
    if side > 16:  # the least of --size
        with pytest.raises(ValueError, match=r"(?i)negative|one of the dimensions"):
            spec.build(spec.recipe, (side - 1, side - 1, 3), 4)


def test_smaller_images_are_one_line_and_leave_no_folder(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(pictures), "--size", "16", "--out", str(tmp_path / "run")]
    assert main(["run", "baseline", *words]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == "training: baseline takes images of 22 x 22 pixels or more, not of 16"
    assert not (tmp_path / "run").exists()


def test_shipped_weights_are_a_start_at_any_size(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["run", "edge_s", "--data", str(pictures), "--size", "48", "--epochs", "1"]
    assert main([*words, "--out", str(out)]) == 0
    # The same folder at another size is other data: a run is not continued with it.
    words[words.index("48")] = "32"
    assert main([*words, "--out", str(out), "--resume"]) == 1


@pytest.mark.parametrize("side", ["15", "257", "many"])
def test_a_side_out_of_bounds_is_a_usage_error(side: str, pictures: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", STACK, "--data", str(pictures), "--size", side, "--out", "x"])
    assert ended.value.code == 2


def test_cifar_has_32_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar-10-batches-py.tar.xz"
    if not archive.is_file():
        pytest.skip("needs the official CIFAR-10 beside the checkout")
    words = ["run", STACK, "--data", str(archive), "--size", "64", "--out", str(tmp_path / "run")]
    assert main(words) == 1
    assert "CIFAR-10's batches hold images of 32 x 32" in capsys.readouterr().err
