"""The explanation: cost, pairing, findings from known times, and a real bundle as a whole."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export.cli import main
from export.explain.findings import findings, unfused_cause
from export.explain.kernels import Kernel, middle_mean, profile
from export.explain.layer_cost import Layer, layers
from export.explain.layer_table import Row, Timed, pair
from export.explain.peak_throughput import Peak, measure_peak
from export.passes import Graph, strip_quantization, uint8_input
from export.quantization import post_training
from export.quantization.post_training import find_ranges, static_w8a8, w8a8, w8a16
from tinysight.engines.ort import OnnxRuntimeEngine
from training.run_folder import Run

PEAK = Peak(float32=100_000, int8=400_000)


@pytest.fixture(scope="module")
def int8(graph: onnx.ModelProto, images: NDArray[np.uint8]) -> onnx.ModelProto:
    return static_w8a8(graph, images)


def kernel(origin: str | None, microseconds: float, operator: str = "QLinearConv") -> Kernel:
    return Kernel(str(origin), operator, origin, (), microseconds)


def layer(
    name: str = "conv",
    inputs: int = 32,
    outputs: int = 64,
    side: int = 13,
    window: int = 9,
    group: int = 1,
    kind: str = "conv 3x3",
) -> Layer:
    macs = side * side * outputs * inputs // group * window
    return Layer(name, kind, inputs, outputs, (side, side), window, group, macs)


def sides(row: Row) -> tuple[Timed, Timed]:
    """Its times in float32 and in int8, where it has both."""
    assert row.float32 is not None
    assert row.int8 is not None
    return row.float32, row.int8


def test_the_work_is_that_of_training(
    graph: onnx.ModelProto, int8: onnx.ModelProto, baseline: Any
) -> None:
    from training.models.macs import multiply_accumulates

    for model in (graph, int8):
        found = layers(model)
        assert [one.name for one in found] == ["conv1", "conv2", "conv3", "dense1", "logits"]
        assert sum(one.macs for one in found) == multiply_accumulates(baseline)
    assert found[0].size == "3 > 32, 30x30"
    assert found[0].kind == "conv 3x3"
    assert (found[3].size, found[3].dense, found[3].reuse) == ("256 > 100", True, 1)
    assert found[1].reuse == 13 * 13


def test_a_layer_has_sizes() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        layer(outputs=0)


def test_the_middle_of_times_is_finer_than_the_clock() -> None:
    assert middle_mean([2, 2, 2, 2, 3, 3, 3, 90]) == 2.5
    assert middle_mean([7]) == 7


def test_the_kernels_of_both_graphs_are_matched_to_layers(
    graph: onnx.ModelProto, int8: onnx.ModelProto
) -> None:
    models = {"float32": uint8_input(graph).SerializeToString(), "int8": int8.SerializeToString()}
    image = np.zeros((1, 32, 32, 3), np.uint8)
    kernels = profile(models, image, 3)
    rows = pair(layers(int8), kernels["float32"], kernels["int8"])
    computed = {row.name: row for row in rows if row.layer}
    assert list(computed) == ["conv1", "conv2", "conv3", "dense1", "logits"]
    for name, row in computed.items():
        float32, quantized = sides(row)
        assert quantized.integer, name
        assert not float32.integer, name
        assert row.ratio == float32.microseconds / quantized.microseconds
    assert sides(computed["conv1"])[0].fused == ("Relu",)
    assert sum(row.int8 is not None for row in rows) == len(kernels["int8"])
    assert sum(row.float32 is not None for row in rows) == len(kernels["float32"])


def test_a_row_only_one_graph_has_stands_where_it_runs() -> None:
    one = layer("conv")
    rows = pair(
        [one],
        [kernel("cast", 1, "Cast"), kernel("conv", 9, "Conv"), kernel(None, 2, "ReorderOutput")],
        [kernel("conv", 5), kernel(None, 1, "Transpose"), kernel(None, 1, "Transpose")],
    )
    assert [row.name for row in rows] == [
        "cast", "conv", "ReorderOutput", "Transpose", "Transpose 2",
    ]  # fmt: skip
    assert rows[1].ratio == 9 / 5
    assert rows[0].int8 is None
    assert rows[0].ratio is None


def test_the_peak_is_measured_and_above_zero() -> None:
    peak = measure_peak(rounds=1)
    assert min(peak.float32, peak.int8) > 100  # macs a microsecond: any CPU of this century
    with pytest.raises(ValueError, match="must be above 0"):
        Peak(0, 1)


@pytest.mark.parametrize(
    ("one", "float_us", "int8_us", "text"),
    [
        (layer(inputs=3, side=30), 9, 23, "because it reads 3 channels: .* 27 bytes, padded to 28"),
        (layer(kind="depthwise 3x3", inputs=32, outputs=32, group=32), 9, 23, "depthwise"),
        (layer(inputs=30), 9, 23, "30 channels to 64 do not fill"),
        (layer(kind="dense", window=1, side=1), 2, 4, "the call costs more than the arithmetic"),
        (layer(kind="dense", window=1, side=1), 20, 40, "2,048 weights is used once"),
        (layer(), 9, 23, "because of an unknown cause"),
    ],
)
def test_why_int8_is_slower_is_said(
    int8: onnx.ModelProto, one: Layer, float_us: float, int8_us: float, text: str
) -> None:
    rows = pair([one], [kernel("conv", float_us, "Conv")], [kernel("conv", int8_us)])
    (found,) = [f for f in findings(rows, int8, PEAK) if "int8 is slower" in f.text]
    assert found.layer == "conv"
    assert found.microseconds == int8_us - float_us
    assert re.search(text, found.text), found.text


def test_where_int8_is_faster_nothing_is_called_slower(int8: onnx.ModelProto) -> None:
    rows = pair([layer()], [kernel("conv", 30, "Conv")], [kernel("conv", 11)])
    assert not [f for f in findings(rows, int8, PEAK) if "slower" in f.text]


def test_layers_that_are_bound_by_memory_are_named(int8: onnx.ModelProto) -> None:
    deep = [layer(name, inputs=512, outputs=512, side=2) for name in ("conv4", "conv5")]
    rows = pair(
        deep,
        [kernel("conv4", 400, "Conv"), kernel("conv5", 400, "Conv")],
        [kernel("conv4", 100), kernel("conv5", 100)],
    )
    found = findings(rows, int8, PEAK)[0]
    assert found.text.startswith("conv4 and conv5 are bound by memory: 4.7 MB")
    assert "24 GB/s" in found.text
    assert found.microseconds == pytest.approx(200 - 2 * deep[0].macs / PEAK.int8)


def test_conversions_between_layers_are_added_up(int8: onnx.ModelProto) -> None:
    rows = pair(
        [layer()],
        [kernel("conv", 30, "Conv")],
        [kernel("q", 8, "QuantizeLinear"), kernel("conv", 11), kernel("t", 4, "Transpose")],
    )
    (found,) = [f for f in findings(rows, int8, PEAK) if f.text.startswith("Conversions")]
    assert found.microseconds == 12
    assert "QuantizeLinear (8 us) and Transpose (4 us)" in found.text
    assert found.fix is not None
    assert "fold the order of a Flatten" in found.fix


def texts_of(model: onnx.ModelProto) -> list[str]:
    content = model.SerializeToString()
    kernels = profile({"int8": content}, np.zeros((1, 32, 32, 3), np.uint8), 3)["int8"]
    return [f.text for f in findings(pair(layers(model), kernels, kernels), model, PEAK)]


def test_a_layer_left_in_float_has_a_cause(
    graph: onnx.ModelProto, images: NDArray[np.uint8]
) -> None:
    ranges = find_ranges(graph, images)
    partial = w8a8(graph, ranges, images, float_layers=["conv2"])
    wide = w8a16(graph, ranges)
    assert "its weights are not quantized" in unfused_cause(Graph(partial), "conv2")[0]
    assert "16 bits" in unfused_cause(Graph(wide), "conv2")[0]
    texts = texts_of(wide)
    for name in ("conv1", "conv2", "conv3"):
        assert any(text.startswith(f"{name} is computed in float32") for text in texts)


def test_a_layer_that_onnxruntime_quantizes_by_itself_is_found(
    graph: onnx.ModelProto, images: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float32 weights between quantized neighbours: without a barrier behind it, it is int8."""
    monkeypatch.setattr(post_training, "keep_float", lambda model, layers: model)
    partial = w8a8(graph, find_ranges(graph, images), images, float_layers=["conv2"])
    assert any(text.startswith("conv2 has float32 weights, but") for text in texts_of(partial))
    assert not any("has float32 weights" in t for t in texts_of(static_w8a8(graph, images)))


def test_what_reads_a_result_before_it_is_quantized_is_named(int8: onnx.ModelProto) -> None:
    graph = Graph.copy_of(int8)
    node = next(node for node in graph.nodes if node.name == "conv2")
    graph.redirect(node.output[0], "softened")
    soft = onnx.helper.make_node("Softplus", [node.output[0]], ["softened"], name="soft")
    graph.model.graph.node.insert(graph.nodes.index(node) + 1, soft)
    cause, fix = unfused_cause(graph, "conv2")
    assert cause == "its result goes to Softplus before it is quantized"
    assert "fold" in fix


def test_stripping_the_quantization_changes_only_the_rounding(
    int8: onnx.ModelProto, images: NDArray[np.uint8]
) -> None:
    stripped = strip_quantization(int8)
    assert not {node.op_type for node in stripped.graph.node} & {
        "QuantizeLinear",
        "DequantizeLinear",
    }
    assert [node.op_type for node in stripped.graph.node].count("Relu") == 4
    quantized, plain = (
        OnnxRuntimeEngine(model.SerializeToString(), (32, 32), 10).run(images)
        for model in (int8, stripped)
    )
    assert np.abs(quantized - plain).max() < 0.05 * np.ptp(plain)


def export(run: Run, out: Path, recipes: str = "static_w8a8") -> None:
    command = ["build", str(run.folder), "--out", str(out), "--formats", "onnx"]
    assert main([*command, "--recipes", recipes]) == 0


@pytest.mark.parametrize("recipes", ["static_w8a8", "float32,static_w8a8"])
def test_a_bundle_is_explained_from_end_to_end(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipes: str
) -> None:
    out = tmp_path / "bundle"
    export(run, out, recipes)
    capsys.readouterr()
    assert main(["explain", str(out), "--runs", "5"]) == 0
    text = capsys.readouterr().out
    for words in ("conv1", "conv 3x3, 3 > 32, 30x30", "End to end", "On another CPU", "dB"):
        assert words in text
    assert max(map(len, text.splitlines())) < 120
    assert main(["explain", str(out), "--runs", "5", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["format"], content["kind"]) == (2, "explain")
    own = "float32" in recipes
    assert content["reference"] == ("float32" if own else "static_w8a8 without its quantization")
    assert {row["name"] for row in content["rows"]} >= {"conv1", "pool1", "logits"}
    shares = [row["int8"]["peak_utilization"] or 0 for row in content["rows"] if row["int8"]]
    assert 0 < max(shares) <= 1
    assert content["latency"]["int8"]["median_us"] > 0
    assert set(content["int16_saturation"]) == {
        "layers", "emulated", "saturating_layers", "repaired",
    }  # fmt: skip


def test_without_int8_there_is_nothing_to_explain(capsys: pytest.CaptureFixture[str]) -> None:
    tiny = Path(__file__).parents[2] / "tiny" / "bundle"
    assert main(["explain", str(tiny)]) == 1
    error = capsys.readouterr().err
    assert error == "export: tiny has no ONNX artifact in 8 bits to explain; it has float32\n"


def test_a_missing_bundle_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
