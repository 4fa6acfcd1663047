"""Each pass gives a graph that answers as before, and has done what it is for."""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.passes import (
    ExportError,
    elide_input_quantize,
    float_output,
    fold_flatten,
    fold_input_scale,
    matmul_to_gemm,
    readable_names,
    reshape_to_flatten,
    uint8_input,
)
from tinysight.engines.ort import make_session

few = settings(max_examples=25, deadline=None)
sizes = st.integers(1, 5)
seeds = st.integers(0, 2**32 - 1)

Shapes = Mapping[str, Sequence[Any]]
"""Of tensors, by name; a text is a free dimension."""
Constants = Mapping[str, Any]


def make(
    nodes: list[onnx.NodeProto],
    inputs: Shapes,
    outputs: Shapes,
    constants: Constants | None = None,
) -> onnx.ModelProto:
    """A model from nodes, named shapes, and named arrays."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def answer(model: onnx.ModelProto, **feeds: NDArray[Any]) -> list[NDArray[np.float32]]:
    """All outputs, without onnxruntime's own rewriting."""
    session = make_session(model.SerializeToString(), optimize=False)
    outputs: list[NDArray[np.float32]] = session.run(None, feeds)
    return outputs


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def applied(
    model_pass: Callable[[onnx.ModelProto], onnx.ModelProto], model: onnx.ModelProto
) -> onnx.ModelProto:
    """The pass's result, after making sure that it left its argument alone."""
    before = model.SerializeToString(deterministic=True)
    result = model_pass(model)
    assert model.SerializeToString(deterministic=True) == before
    return result


def floats(draw: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return draw.normal(size=shape).astype(np.float32)


@few
@given(seeds, sizes, sizes, sizes, st.sampled_from(["no bias", "bias", "bias first"]))
def test_matmul_to_gemm(seed: int, batch: int, rows: int, columns: int, bias: str) -> None:
    draw = np.random.default_rng(seed)
    constants = {"w": floats(draw, rows, columns), "b": floats(draw, columns)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y" if bias == "no bias" else "m"])]
    if bias != "no bias":
        nodes.append(helper.make_node("Add", ["m", "b"] if bias == "bias" else ["b", "m"], ["y"]))
    model = make(nodes, {"x": ["n", rows]}, {"y": ["n", columns]}, constants)
    result = applied(matmul_to_gemm, model)
    assert kinds(result) == ["Gemm"]
    x = floats(draw, batch, rows)
    np.testing.assert_allclose(answer(result, x=x)[0], answer(model, x=x)[0], rtol=1e-4, atol=1e-5)


def test_matmul_to_gemm_leaves_other_products_alone() -> None:
    two = make(
        [helper.make_node("MatMul", ["x", "z"], ["y"])],
        {"x": [2, 3], "z": [3, 4]},
        {"y": [2, 4]},
    )
    deep = make(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        {"x": [2, 5, 3]},
        {"y": [2, 5, 4]},
        {"w": np.ones((3, 4), np.float32)},
    )
    for model in (two, deep):
        assert kinds(applied(matmul_to_gemm, model)) == ["MatMul"]


def test_matmul_to_gemm_keeps_a_product_that_is_also_returned() -> None:
    model = make(
        [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Add", ["m", "b"], ["y"]),
        ],
        {"x": [2, 3]},
        {"m": [2, 4], "y": [2, 4]},
        {"w": np.ones((3, 4), np.float32), "b": np.ones(4, np.float32)},
    )
    result = applied(matmul_to_gemm, model)
    x = np.ones((2, 3), np.float32)
    for ours, theirs in zip(answer(result, x=x), answer(model, x=x), strict=True):
        np.testing.assert_allclose(ours, theirs)


def dynamic_shape(features: int) -> tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]:
    """The chain that some versions of tf2onnx leave before a Reshape with a free batch."""
    nodes = [
        helper.make_node("Shape", ["t"], ["s"]),
        helper.make_node("Slice", ["s", "zero", "one"], ["n"]),
        helper.make_node("Cast", ["n"], ["b32"], to=TensorProto.INT32),
        helper.make_node("Concat", ["b32", "features"], ["s32"], axis=0),
        helper.make_node("Cast", ["s32"], ["shape"], to=TensorProto.INT64),
    ]
    constants = {
        "zero": np.array([0]), "one": np.array([1]), "features": np.array([features], np.int32),
    }  # fmt: skip
    return nodes, constants


@few
@given(seeds, sizes, sizes, sizes, sizes, st.sampled_from(["constant", "zero", "dynamic"]))
def test_flatten_before_a_dense_layer(
    seed: int, batch: int, channels: int, height: int, width: int, shape: str
) -> None:
    draw = np.random.default_rng(seed)
    features = channels * height * width
    nodes, constants = dynamic_shape(features) if shape == "dynamic" else ([], {})
    if shape != "dynamic":
        constants = {"shape": np.array([-1 if shape == "constant" else 0, features])}
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        *nodes,
        helper.make_node("Reshape", ["t", "shape"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["y"]),
    ]
    constants |= {"w": floats(draw, features, 3), "b": floats(draw, 3)}
    model = make(nodes, {"x": ["n", channels, height, width]}, {"y": ["n", 3]}, constants)
    flattened = applied(reshape_to_flatten, model)
    assert kinds(flattened) == ["Transpose", "Flatten", "Gemm"]
    result = applied(fold_flatten, flattened)
    assert kinds(result) == ["Flatten", "Gemm"]
    x = floats(draw, batch, channels, height, width)
    expected = answer(model, x=x)[0]
    np.testing.assert_array_equal(answer(flattened, x=x)[0], expected)
    np.testing.assert_allclose(answer(result, x=x)[0], expected, rtol=1e-4, atol=1e-5)


def test_reshape_that_mixes_the_batch_is_left_alone() -> None:
    model = make(
        [helper.make_node("Reshape", ["x", "shape"], ["y"])],
        {"x": ["n", 4, 6]},
        {"y": ["m", 8]},
        {"shape": np.array([-1, 8])},
    )
    assert kinds(applied(reshape_to_flatten, model)) == ["Reshape"]


@pytest.mark.parametrize("hindrance", ["other perm", "shared weights", "returned"])
def test_fold_flatten_leaves_alone_what_it_would_break(hindrance: str) -> None:
    perm = [0, 3, 1, 2] if hindrance == "other perm" else [0, 2, 3, 1]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=perm),
        helper.make_node("Flatten", ["t"], ["f"], axis=1),
        helper.make_node("Gemm", ["f", "w"], ["y"]),
    ]
    outputs: dict[str, list[Any]] = {"y": ["n", 2]}
    inputs: dict[str, list[Any]] = {"x": ["n", 2, 3, 4]}
    if hindrance == "shared weights":
        nodes.append(helper.make_node("Gemm", ["z", "w"], ["y2"]))
        inputs["z"], outputs["y2"] = ["n", 24], ["n", 2]
    if hindrance == "returned":
        outputs["f"] = ["n", 24]
    draw = np.random.default_rng(0)
    model = make(nodes, inputs, outputs, {"w": floats(draw, 24, 2)})
    result = applied(fold_flatten, model)
    assert "Transpose" in kinds(result)
    feeds = {n: floats(draw, *[3 if d == "n" else d for d in s]) for n, s in inputs.items()}
    for ours, theirs in zip(answer(result, **feeds), answer(model, **feeds), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def stem(
    draw: np.random.Generator,
    side: int,
    filters: int,
    *,
    transpose: bool = True,
    bias: bool = True,
    padding: int = 1,
) -> onnx.ModelProto:
    """image, Transpose, Conv, Relu with random weights."""
    constants = {"w": floats(draw, filters, 3, 3, 3), "b": floats(draw, filters)}
    nodes = [
        helper.make_node(
            "Conv", ["p", "w", "b"] if bias else ["p", "w"], ["c"], pads=[padding] * 4, name="conv"
        ),
        helper.make_node("Relu", ["c"], ["logits"], name="relu"),
    ]
    shape = ["n", 3, side, side]
    if transpose:
        nodes.insert(0, helper.make_node("Transpose", ["image"], ["p"], perm=[0, 3, 1, 2]))
        shape = ["n", side, side, 3]
    else:
        nodes[0].input[0] = "image"
    out = side + 2 * padding - 2
    return make(nodes, {"image": shape}, {"logits": ["n", filters, out, out]}, constants)


@few
@given(seeds, st.integers(3, 7), sizes, st.booleans(), st.booleans(), st.integers(0, 2))
def test_scale_and_uint8_input(
    seed: int, side: int, filters: int, transpose: bool, bias: bool, padding: int
) -> None:
    draw = np.random.default_rng(seed)
    model = stem(draw, side, filters, transpose=transpose, bias=bias, padding=padding)
    scaled = applied(lambda m: fold_input_scale(m, 1 / 255), model)
    assert kinds(scaled) == kinds(model)
    bytes_in = applied(uint8_input, scaled)
    assert sorted(kinds(bytes_in)) == sorted([*kinds(model), "Cast"])
    assert bytes_in.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    shape = [2, side, side, 3] if transpose else [2, 3, side, side]
    pixels = draw.integers(0, 256, shape, dtype=np.uint8)
    expected = answer(model, image=pixels.astype(np.float32) / 255)[0]
    floats_in = answer(scaled, image=pixels.astype(np.float32))[0]
    np.testing.assert_allclose(floats_in, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(answer(bytes_in, image=pixels)[0], floats_in)


def test_scale_is_refused_where_it_cannot_be_folded() -> None:
    model = make([helper.make_node("Relu", ["image"], ["y"])], {"image": [1, 3]}, {"y": [1, 3]})
    with pytest.raises(ExportError, match="Relu"):
        fold_input_scale(model, 0.5)
    shared = make(
        [
            helper.make_node("Conv", ["image", "w"], ["a"]),
            helper.make_node("Conv", ["a", "w"], ["y"]),
        ],
        {"image": [1, 3, 5, 5]},
        {"y": [1, 3, 3, 3]},
        {"w": np.ones((3, 3, 2, 2), np.float32)},
    )
    with pytest.raises(ExportError, match="shares"):
        fold_input_scale(shared, 0.5)


def quantized_stem(
    draw: np.random.Generator, scale: float, zero: int, transpose: bool = True
) -> onnx.ModelProto:
    model = stem(draw, 5, 2, transpose=transpose)
    reader = "p" if transpose else "image"
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if node.op_type == "Conv")
    nodes[at].input[0] = "d"
    nodes[at:at] = [
        helper.make_node("QuantizeLinear", [reader, "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
    ]
    constants: dict[str, Any] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    constants |= {"scale": np.float32(scale), "zero": np.array(zero, np.uint8)}
    shape = ["n", 5, 5, 3] if transpose else ["n", 3, 5, 5]
    return make(nodes, {"image": shape}, {"logits": ["n", 2, 5, 5]}, constants)


@few
@given(seeds, st.booleans())
def test_elide_input_quantize_is_exact_to_the_bit(seed: int, transpose: bool) -> None:
    draw = np.random.default_rng(seed)
    model = quantized_stem(draw, 1.0, 0, transpose)
    result = applied(elide_input_quantize, model)
    assert "QuantizeLinear" not in kinds(result)
    shape = [2, 5, 5, 3] if transpose else [2, 3, 5, 5]
    pixels = draw.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(
        answer(result, image=pixels)[0], answer(model, image=pixels.astype(np.float32))[0]
    )


@pytest.mark.parametrize(("scale", "zero"), [(0.5, 0), (1.0, 3)])
def test_elide_input_quantize_refuses_another_scale(scale: float, zero: int) -> None:
    with pytest.raises(ExportError, match="not by 1 about 0"):
        elide_input_quantize(quantized_stem(np.random.default_rng(0), scale, zero))


def test_elide_input_quantize_refuses_a_float_model() -> None:
    with pytest.raises(ExportError, match="not quantized"):
        elide_input_quantize(stem(np.random.default_rng(0), 5, 2))


@few
@given(seeds)
def test_float_output_only_drops_the_rounding(seed: int) -> None:
    draw = np.random.default_rng(seed)
    scale = np.float32(0.1)
    constants = {"w": floats(draw, 4, 3), "s": scale, "z": np.array(128, np.uint8)}
    model = make(
        [
            helper.make_node("Gemm", ["x", "w"], ["g"]),
            helper.make_node("QuantizeLinear", ["g", "s", "z"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["logits"]),
        ],
        {"x": ["n", 4]},
        {"logits": ["n", 3]},
        constants,
    )
    result = applied(float_output, model)
    assert kinds(result) == ["Gemm"]
    assert [value.name for value in result.graph.output] == ["logits"]
    x = floats(draw, 5, 4)
    # 8 bits also cut off what they cannot hold, which now and then is drawn.
    ours = np.clip(answer(result, x=x)[0], -128 * scale, 127 * scale)
    np.testing.assert_allclose(ours, answer(model, x=x)[0], rtol=0, atol=float(scale) / 2 + 1e-5)


def test_float_output_leaves_a_float_model_alone() -> None:
    model = stem(np.random.default_rng(0), 5, 2)
    assert kinds(applied(float_output, model)) == kinds(model)


def test_readable_names_follow_the_layers() -> None:
    draw = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "k:0", "v:0"], ["c:0"], name="net/conv1/BiasAdd"),
        helper.make_node("Relu", ["c:0"], ["r:0"], name="net/conv1/Relu__7"),
        helper.make_node("Relu", ["r:0"], ["r2:0"], name="net/conv1/Relu__8"),
        helper.make_node("MaxPool", ["r2:0"], ["y"], name="net/pool1", kernel_shape=[2, 2]),
    ]
    model = make(
        nodes, {"x": ["unk__1", 3, 6, 6]}, {"y": ["unk__2", 4, 3, 3]},
        {"k:0": floats(draw, 4, 3, 3, 3), "v:0": floats(draw, 4)},
    )  # fmt: skip
    result = applied(readable_names, model)
    assert [node.name for node in result.graph.node][:3] == [
        "conv1", "conv1.relu", "conv1.relu_2",
    ]  # fmt: skip
    assert sorted(t.name for t in result.graph.initializer) == ["conv1.bias", "conv1.weight"]
    for value in (*result.graph.input, *result.graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    x = floats(draw, 2, 3, 6, 6)
    np.testing.assert_array_equal(answer(result, x=x)[0], answer(model, x=x)[0])


def dense_network(
    draw: np.random.Generator,
    widths: Sequence[int],
    biases: Sequence[bool],
    *,
    shape: tuple[int, ...] | None = None,
    shared: Collection[int] = (),
    returned: Collection[int] = (),
) -> onnx.ModelProto:
    """Layers of MatMul and Add as Keras leaves them, behind a Transpose and Reshape if `shape`.

    `shared` layers use the first one's weights; the results of `returned` layers are outputs too.
    """
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, NDArray[Any]] = {}
    inputs: dict[str, list[Any]] = {"image": ["n", widths[0]]}
    outputs: dict[str, list[Any]] = {}
    tensor = "image"
    if shape:
        inputs = {"image": ["n", *shape]}
        constants["rows"] = np.array([-1, widths[0]])
        nodes = [
            helper.make_node("Transpose", ["image"], ["t"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", ["t", "rows"], ["flat"]),
        ]
        tensor = "flat"
    for i, (rows, columns) in enumerate(itertools.pairwise(widths)):
        weights = "w0" if i in shared else f"w{i}"
        constants.setdefault(weights, floats(draw, rows, columns))
        nodes.append(
            helper.make_node("MatMul", [tensor, weights], [f"m{i}"], name=f"net/dense{i}/MatMul")
        )
        tensor = f"m{i}"
        if biases[i]:
            constants[f"b{i}"] = floats(draw, columns)
            name = f"net/dense{i}/BiasAdd"
            nodes.append(helper.make_node("Add", [tensor, f"b{i}"], [f"a{i}"], name=name))
            tensor = f"a{i}"
        if i in returned:
            outputs[tensor] = ["n", columns]
        nodes.append(helper.make_node("Tanh", [tensor], [f"h{i}"], name=f"net/dense{i}/Tanh"))
        tensor = f"h{i}"
    return make(nodes, inputs, {**outputs, tensor: ["n", widths[-1]]}, constants)


@few
@given(st.data(), seeds, st.tuples(sizes, sizes, sizes), st.integers(1, 4), st.booleans())
def test_any_stack_of_dense_layers_answers_the_same(
    data: st.DataObject, seed: int, shape: tuple[int, int, int], layers: int, square: bool
) -> None:
    """Several layers, weights that they share, results that are outputs too: pass after pass."""
    features = int(np.prod(shape))
    later = st.just(features) if square else sizes
    widths = [features, *(data.draw(later) for _ in range(layers))]
    some_layers = st.sets(st.integers(0, layers - 1))
    shared = data.draw(some_layers) if square else ()
    returned = data.draw(some_layers)
    biases = data.draw(st.lists(st.booleans(), min_size=layers, max_size=layers))
    draw = np.random.default_rng(seed)
    model = dense_network(draw, widths, biases, shape=shape, shared=shared, returned=returned)
    image = floats(draw, 3, *shape)
    expected = answer(model, image=image)
    result = model
    for one_pass in (matmul_to_gemm, reshape_to_flatten, fold_flatten, readable_names):
        result = applied(one_pass, result)
        for ours, theirs in zip(answer(result, image=image), expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    assert kinds(result).count("Gemm") == layers
    assert "MatMul" not in kinds(result)
    assert "Reshape" not in kinds(result)
    # Weights in two places cannot be in two orders: only then does the Transpose stay.
    assert ("Transpose" in kinds(result)) == bool(set(shared) - {0})


def test_matmul_to_gemm_leaves_alone_an_add_that_is_no_bias() -> None:
    """A sum with itself has no other term; it once ended in a StopIteration."""
    draw = np.random.default_rng(0)
    constants = {"w": floats(draw, 3, 4), "row": floats(draw, 1, 4)}
    x = floats(draw, 2, 3)
    for terms in (["m", "m"], ["m", "row"], ["z", "m"]):
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["m"]),
            helper.make_node("Tanh", ["x"], ["t"]),
            helper.make_node("MatMul", ["t", "w"], ["z"]),
            helper.make_node("Add", terms, ["y"]),
        ]
        model = make(nodes, {"x": ["n", 3]}, {"y": ["n", 4]}, constants)
        result = applied(matmul_to_gemm, model)
        assert "Add" in kinds(result)
        assert "MatMul" not in kinds(result)
        np.testing.assert_allclose(answer(result, x=x)[0], answer(model, x=x)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("gemm", "attributes", "outputs"),
    [
        (["f", "w"], {"transA": 1}, {}),
        (["f", "w"], {"transB": 1}, {}),
        (["f", "w", "f"], {}, {}),
        (["f", "w"], {}, {"w": [8, 8]}),
        (["f", "w"], {}, {"t": [8, 2, 2, 2]}),
    ],
    ids=["transA", "transB", "flatten read twice", "weights returned", "transpose returned"],
)
def test_fold_flatten_leaves_alone_what_reads_it_in_another_way(
    gemm: list[str], attributes: dict[str, Any], outputs: dict[str, list[int]]
) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Flatten", ["t"], ["f"], axis=1),
        helper.make_node("Gemm", gemm, ["y"], **attributes),
    ]
    draw = np.random.default_rng(0)
    constants = {"w": floats(draw, 8, 8)}
    model = make(nodes, {"x": [8, 2, 2, 2]}, {"y": [8, 8], **outputs}, constants)
    result = applied(fold_flatten, model)
    assert kinds(result) == kinds(model)
    x = floats(draw, 8, 2, 2, 2)
    for ours, theirs in zip(answer(result, x=x), answer(model, x=x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@few
@given(seeds, st.sampled_from(["shared", "own"]), st.booleans())
def test_scale_folds_into_every_convolution_that_reads_the_image(
    seed: int, weights: str, transpose: bool
) -> None:
    """Two branches from the pixels; weights that they share are scaled once."""
    draw = np.random.default_rng(seed)
    second = "w" if weights == "shared" else "w2"
    constants = {"w": floats(draw, 2, 3, 3, 3)} | {second: floats(draw, 2, 3, 3, 3)}
    start = "p" if transpose else "image"
    nodes = [
        helper.make_node("Conv", [start, "w"], ["a"]),
        helper.make_node("Conv", [start, second], ["b"]),
        helper.make_node("Sub", ["a", "b"], ["d"]),
        helper.make_node("Concat", ["a", "d"], ["y"], axis=1),
    ]
    if transpose:
        nodes.insert(0, helper.make_node("Transpose", ["image"], ["p"], perm=[0, 3, 1, 2]))
    shape = [2, 5, 5, 3] if transpose else [2, 3, 5, 5]
    model = make(nodes, {"image": shape}, {"y": [2, 4, 3, 3]}, constants)
    scaled = applied(lambda m: fold_input_scale(m, 1 / 255), model)
    bytes_in = applied(uint8_input, scaled)
    assert kinds(bytes_in).count("Cast") == 1
    pixels = draw.integers(0, 256, shape, dtype=np.uint8)
    expected = answer(model, image=pixels.astype(np.float32) / 255)[0]
    np.testing.assert_allclose(answer(bytes_in, image=pixels)[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("hindrance", ["computed weights", "weights returned"])
def test_scale_is_refused_where_the_weights_are_not_its_own(hindrance: str) -> None:
    draw = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    constants = {"w": floats(draw, 2, 3, 2, 2)}
    outputs = {"y": [1, 2, 4, 4]}
    if hindrance == "computed weights":
        nodes, constants = [helper.make_node("Neg", ["v"], ["w"])], {"v": constants["w"]}
    else:
        outputs["w"] = [2, 3, 2, 2]
    nodes.append(helper.make_node("Conv", ["image", "w"], ["y"]))
    model = make(nodes, {"image": [1, 3, 5, 5]}, outputs, constants)
    with pytest.raises(ExportError, match="weights"):
        applied(lambda m: fold_input_scale(m, 0.5), model)


def test_uint8_input_casts_first_where_the_transposed_image_is_returned() -> None:
    draw = np.random.default_rng(0)
    model = stem(draw, 5, 2)
    transposed = helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", 3, 5, 5])
    model.graph.output.append(transposed)
    result = applied(uint8_input, model)
    assert kinds(result)[:2] == ["Cast", "Transpose"]
    pixels = draw.integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    expected = answer(model, image=pixels.astype(np.float32))
    for ours, theirs in zip(answer(result, image=pixels), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_elide_input_quantize_refuses_an_image_that_another_node_reads_too() -> None:
    model = quantized_stem(np.random.default_rng(0), 1.0, 0)
    model.graph.node.append(helper.make_node("Relu", ["image"], ["plain"]))
    plain = helper.make_tensor_value_info("plain", TensorProto.FLOAT, ["n", 5, 5, 3])
    model.graph.output.append(plain)
    with pytest.raises(ExportError, match="not quantized"):
        applied(elide_input_quantize, model)


@pytest.mark.parametrize("reader", ["second dequantize", "returned", "fed"])
def test_float_output_leaves_alone_what_others_read(reader: str) -> None:
    draw = np.random.default_rng(0)
    constants = {"s": np.float32(0.1), "z": np.array(128, np.uint8), "w": floats(draw, 3, 3)}
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["g"]),
        helper.make_node("QuantizeLinear", ["x" if reader == "fed" else "g", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["logits"]),
    ]
    outputs: dict[str, list[Any]] = {"logits": ["n", 3]}
    if reader == "second dequantize":
        nodes.append(helper.make_node("DequantizeLinear", ["q", "s", "z"], ["again"]))
        outputs["again"] = ["n", 3]
    if reader == "returned":
        outputs["g"] = ["n", 3]
    if reader == "fed":
        del nodes[0], constants["w"]
    model = make(nodes, {"x": ["n", 3]}, outputs, constants)
    result = applied(float_output, model)
    assert kinds(result) == kinds(model)
    x = floats(draw, 2, 3)
    for ours, theirs in zip(answer(result, x=x), answer(model, x=x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_readable_names_name_shared_weights_once_and_do_so_again() -> None:
    draw = np.random.default_rng(0)
    model = dense_network(draw, [4, 4, 4], [True, True], shared=[1])
    result = applied(readable_names, applied(matmul_to_gemm, model))
    assert sorted(t.name for t in result.graph.initializer) == [
        "dense0.bias", "dense0.weight", "dense1.bias",
    ]  # fmt: skip
    image = floats(draw, 2, 4)
    expected = answer(model, image=image)[0]
    again = applied(readable_names, result)
    np.testing.assert_allclose(answer(again, image=image)[0], expected, rtol=1e-4, atol=1e-5)
    assert {t.name for t in again.graph.initializer} >= {"dense0.bias", "dense0.weight"}
