"""Export's prediction of saturating sums, against the kernels that saturate."""

import json

import numpy as np
import onnx
import pytest

pytest.importorskip("onnx")
pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.emulators.cpus import CPUS, missing
from benchmarks.emulators.saturation import SaturationCheck, widen_first_layer
from export.passes import ExportError, reduce_range
from export.quantization.first_layer import quantizable
from export.validation.pair_bounds import pair_bounds
from tinysight import load_bundle
from tinysight.engines.ort import make_session
from tinysight.integrity import golden


@pytest.fixture(scope="module")
def exported() -> onnx.ModelProto:
    """edge_s as it comes with the wheel: a first layer of seven bits."""
    bundle = load_bundle("edge_s")
    return onnx.load_model_from_string(bundle.read(bundle.artifact()))


def test_the_eighth_bit_is_given_back(exported: onnx.ModelProto) -> None:
    first = quantizable(exported)[0]
    widened = widen_first_layer(exported)
    assert next(bound for bound in pair_bounds(exported) if bound.layer == first).safe
    assert not next(bound for bound in pair_bounds(widened) if bound.layer == first).safe
    images = golden.noise(32, 32, 8)
    exact, same, back = (
        make_session(model.SerializeToString()).run(["logits"], {"image": images})[0]
        for model in (exported, widened, reduce_range(widened, [first]))
    )
    # A weight of 64 becomes 127: no more than that changes, where sums are exact.
    assert np.abs(same - exact).max() < 0.05 * np.ptp(exact)
    assert np.array_equal(back, exact)


def test_what_has_eight_bits_is_not_widened(exported: onnx.ModelProto) -> None:
    widened = widen_first_layer(exported)
    with pytest.raises(ExportError, match="eight bits already"):
        widen_first_layer(widened)
    assert widen_first_layer(reduce_range(widened, quantizable(widened)[:1])) == widened


def test_an_emulated_haswell_flips_the_images_that_export_predicts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("Haswell", "Nehalem"):
        reason = missing(CPUS[name])
        if reason is not None:
            pytest.skip(reason)
    assert main(["saturation", "edge_m", "--images", "8", "--json"]) == 0
    seven, eight = json.loads(capsys.readouterr().out)["checks"]
    assert (seven["first_layer_bits"], eight["first_layer_bits"]) == (7, 8)
    assert eight["predicted_flips"] == eight["real_flips"] == eight["common_flips"] > 0
    # Far from exact arithmetic, and there by prediction as on the CPU, up to float rounding.
    assert eight["real_difference"] > 0.1 * eight["spread"]
    assert eight["largest_error"] < 0.1 * eight["real_difference"]
    assert seven["real_difference"] < 0.1 * eight["real_difference"]


@pytest.mark.parametrize(
    ("predicted", "real", "common", "agrees"),
    [(0, 0, 0, True), (10, 10, 9, True), (10, 9, 9, True), (10, 10, 8, False), (3, 0, 0, False)],
)
def test_a_tenth_of_the_flips_may_differ(
    predicted: int, real: int, common: int, agrees: bool
) -> None:
    check = SaturationCheck("a", 8, "Haswell", 50, predicted, real, common, 1.0, 1.0, 0.1, 9.0)
    assert check.agrees is agrees
    with pytest.raises(ValueError, match="in common"):
        SaturationCheck("a", 8, "Haswell", 50, 2, 1, 2, 1.0, 1.0, 0.1, 9.0)
