"""The bundles in the wheel: whole, small, int8, answering as they did where they were made."""

from pathlib import Path

import numpy as np
import pytest

from tinysight import Bundle, Classifier, load_bundle, shipped_bundles
from tinysight.cli.main import main
from tinysight.provenance import require_provenance

LABELS = "airplane automobile bird cat deer dog frog horse ship truck"


@pytest.fixture(params=shipped_bundles())
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return load_bundle(request.param)


def test_edge_m_is_the_default() -> None:
    assert shipped_bundles() == ["edge_m", "edge_s"]
    assert load_bundle().name == "edge_m"


def test_it_knows_the_ten_classes_of_cifar10(bundle: Bundle) -> None:
    assert bundle.labels == tuple(LABELS.split())
    assert (bundle.height, bundle.width) == (32, 32)


def test_it_passes_its_own_verification(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--bundle", bundle.name]) == 0
    output = capsys.readouterr().out
    assert "golden answers differ by" in output
    assert "FAIL" not in output


def test_it_holds_nothing_but_what_it_describes_and_its_card(bundle: Bundle) -> None:
    assert isinstance(bundle.folder, Path)
    described = {artifact.file for artifact in bundle.artifacts} | {
        "bundle.json",
        "provenance.json",
        "card.md",
    }
    assert {file.name for file in bundle.folder.iterdir()} == described


def test_info_says_where_its_card_is(bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--bundle", bundle.name]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("card ")]
    assert Path(line.split()[1]).read_text(encoding="utf-8").startswith(f"# {bundle.name}\n")


def test_its_default_is_int8(bundle: Bundle) -> None:
    """As many bytes as weights, about, some of them repeated: as float32 four times that."""
    artifact = bundle.artifact()
    assert artifact.recipe in ("static_w8a8", "qat_w8a8")
    assert artifact.bytes < 1.2 * require_provenance(bundle).training.parameters
    assert b"QLinearConv" in bundle.read(artifact) or b"QuantizeLinear" in bundle.read(artifact)


def test_it_states_its_accuracy_on_all_test_images(bundle: Bundle) -> None:
    accuracy = bundle.artifact().accuracy
    assert accuracy is not None
    assert accuracy.n == 10_000
    assert bundle.folder is not None
    assert f"{accuracy.value:.2%} [" in (bundle.folder / "card.md").read_text()


def test_its_probabilities_can_be_trusted(bundle: Bundle) -> None:
    """As measured at export on test images; and --min-confidence auto answers 95 % of the known."""
    confidence = require_provenance(bundle).artifacts[bundle.default].confidence
    assert confidence is not None
    assert confidence.error <= 0.03
    assert bundle.abstention is not None
    assert 0.95 <= bundle.abstention.coverage < 0.952
    assert confidence.coverage == pytest.approx(0.95, abs=0.015)
    assert confidence.accuracy is not None
    assert confidence.accuracy > bundle.artifact().accuracy.value  # type: ignore[union-attr]


def test_it_ranks_all_classes(bundle: Bundle) -> None:
    answer = Classifier.load(bundle.folder).classify(
        np.zeros((32, 32, 3), dtype=np.uint8), top_k=99
    )
    assert {label for label, _ in answer.top} == set(LABELS.split())
    assert sum(probability for _, probability in answer.top) == pytest.approx(1)


def test_it_sees_a_cat_in_an_ordinary_photo(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Chelsea, 451 x 300, from scikit-image: the centre crop holds most of her face."""
    data = pytest.importorskip("skimage.data")
    from PIL import Image

    photo = tmp_path / "chelsea.jpg"
    Image.fromarray(data.chelsea()).save(photo, quality=90)
    assert main(["classify", "--bundle", bundle.name, str(photo)]) == 0
    assert capsys.readouterr().out.split()[1] == "cat"
