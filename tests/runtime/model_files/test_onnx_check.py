"""What an ONNX artifact may be, and that all else is refused before onnxruntime sees it."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations.crafted import CRAFTED, SECRET
from tests.fuzz.mutations.onnx_tree import change_onnx
from tinysight import BundleError, Classifier, load_bundle, shipped_bundles
from tinysight.engines.registry import read_model
from tinysight.model_files.onnx_check import check_model

onnx = pytest.importorskip("onnx")

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
CONTENT = (TINY / "float32.onnx").read_bytes()


@pytest.mark.parametrize("name", shipped_bundles())
def test_shipped_models_pass(name: str) -> None:
    bundle = load_bundle(name)
    for artifact in bundle.artifacts:
        assert read_model(bundle, artifact)


Change = Callable[[Any], object]


def spoilt(change: Change) -> bytes:
    model = onnx.load_from_string(CONTENT)
    change(model)
    content: bytes = model.SerializeToString()
    return content


def external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("float_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=SECRET)


def add_node(operator: str, *inputs: str, **attributes: object) -> Change:
    def change(model: Any) -> None:
        node = onnx.helper.make_node(operator, list(inputs), ["more"], **attributes)
        model.graph.node.insert(1, node)

    return change


def weights(shape: tuple[int, ...], data: bytes | None = None) -> Change:
    """Adds an initializer; its data are zeros of the shape unless they are given."""

    def change(model: Any) -> None:
        content = np.zeros(shape, np.float32).tobytes() if data is None else data
        model.graph.initializer.add(name="weights", dims=shape, data_type=1, raw_data=content)

    return change


def both(*changes: Change) -> Change:
    def change(model: Any) -> None:
        for one in changes:
            one(model)

    return change


def shape_of(model: Any, *sizes: int) -> None:
    model.graph.initializer.add(
        name="sizes", dims=[len(sizes)], data_type=7, raw_data=np.array(sizes, "<i8").tobytes()
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external, "external data is not allowed"),
        (lambda m: m.functions.add(name="f"), "a function is not allowed"),
        (lambda m: m.graph.sparse_initializer.add(), "a sparse initializer is not allowed"),
        (lambda m: m.opset_import.add(domain="org.example"), "domain 'org.example' are not"),
        (lambda m: setattr(m.opset_import[0], "version", 99), "operators of version 99"),
        (lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"), "'com.microsoft' are not"),
        (lambda m: setattr(m.graph.node[0], "op_type", "Loop"), "the operator 'Loop' is not"),
        (lambda m: m.graph.node[0].attribute.add(name="g", g=m.graph), "a subgraph is not allowed"),
        (lambda m: m.graph.node[0].attribute.add(name="x", i=1, type=2), "'x' is not allowed"),
        (lambda m: m.graph.node.append(m.graph.node[0]), "two of its tensors are called 'pixels'"),
        (lambda m: m.graph.node.reverse(), "is not computed before"),
        (lambda m: m.graph.output.append(m.graph.output[0]), "it has 2 outputs"),
        (lambda m: m.graph.input.append(m.graph.input[0]), "it has 2 inputs"),
        (lambda m: m.graph.ClearField("node"), "0 operators"),
        (lambda m: m.ClearField("graph"), "no graph"),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1),
            "its input has a fixed batch of 1",
        ),
        (
            lambda m: setattr(m.graph.output[0].type.tensor_type.shape.dim[1], "dim_value", 4),
            "it takes and gives something else: its output",
        ),
        (
            lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 1),
            "it takes and gives something else: its input is float32",
        ),
        (weights((2, 3), b"12345678"), "its data is not of the shape"),
        (weights((1 << 40, 1 << 40), b""), "a dimension of"),
        (weights((-1,), b""), "a dimension of -1"),
        (weights((1,) * 7, bytes(4)), "more than 6 integers"),
        (lambda m: m.graph.initializer.append(m.graph.initializer[0]), "have one name"),
        (
            both(weights((3, 8, 900, 900)), add_node("Conv", "pixels", "weights")),
            "Conv: a window of 900",
        ),
        (
            both(weights((3, 5, 3, 3)), add_node("Conv", "pixels", "weights")),
            r"Conv: weights \[3, 5, 3, 3\] in 1 groups",
        ),
        (
            both(
                weights((3, 8, 3, 3)),
                add_node("Conv", "pixels", "weights", strides=[0, 0], pads=[1] * 4),
            ),
            "Conv: a window of 3, stride 0",
        ),
        (
            both(
                weights((3, 8, 3, 3)),
                add_node("Conv", "pixels", "weights", pads=[1 << 40] * 4),
            ),
            "Conv: a padding of",
        ),
        (add_node("MaxPool", "pixels", kernel_shape=[0, 0]), "MaxPool: a window of 0"),
        (
            both(lambda m: shape_of(m, 1 << 33, -1), add_node("Reshape", "pixels", "sizes")),
            "Reshape:",
        ),
        (add_node("Transpose", "pixels", perm=[0, 1, 2, 2]), "Transpose:"),
        (add_node("Flatten", "pixels", axis=9), "Flatten: axis 9"),
        (add_node("Mul", "pixels"), "Mul: 1 inputs"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_not_allowed_is_named(change: Change, words: str) -> None:
    check_model(CONTENT, (8, 8), 3)
    with pytest.raises(BundleError, match=words):
        check_model(spoilt(change), (8, 8), 3)


def test_work_is_bounded() -> None:
    """Each convolution is within the bounds, all of them together are not."""

    def deep(model: Any) -> None:
        weights((512, 512, 7, 7))(model)
        shape_of(model, 2, 512, 14, 14)
        model.graph.node.insert(1, onnx.helper.make_node("Flatten", ["pixels"], ["flat"]))
        first = np.zeros((8 * 8 * 3, 512 * 14 * 14), np.float32).tobytes()
        model.graph.initializer.add(
            name="first", dims=[192, 512 * 14 * 14], data_type=1, raw_data=first
        )
        model.graph.node.insert(2, onnx.helper.make_node("MatMul", ["flat", "first"], ["wide"]))
        model.graph.node.insert(3, onnx.helper.make_node("Reshape", ["wide", "sizes"], ["deep0"]))
        for i in range(9):
            node = onnx.helper.make_node(
                "Conv", [f"deep{i}", "weights"], [f"deep{i + 1}"], pads=[3] * 4
            )
            model.graph.node.insert(4 + i, node)

    with pytest.raises(BundleError, match="Conv: it takes more than 20,000,000,000 multiply"):
        check_model(spoilt(deep), (8, 8), 3)


@given(st.integers(0, 1 << 32))
def test_nothing_but_a_typed_error_comes_of_a_changed_file(seed: int) -> None:
    with contextlib.suppress(BundleError):
        check_model(change_onnx(CONTENT, Random(seed)), (8, 8), 3)


@pytest.mark.parametrize("name", [name for name in CRAFTED if name.startswith("external")])
def test_no_file_beside_the_process_is_read(name: str, tmp_path: Path) -> None:
    """In the current directory of a process: a FIFO, whose reader would wait for ever."""
    import os

    folder, cwd = tmp_path / "bundle", tmp_path / "cwd"
    shutil.copytree(TINY, folder)
    CRAFTED[name](folder)
    cwd.mkdir()
    os.mkfifo(cwd / SECRET)
    words = [sys.executable, "-m", "tinysight", "verify", "--json", "--bundle", str(folder)]
    done = subprocess.run(words, cwd=cwd, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    (check,) = json.loads(done.stdout)["checks"]
    assert "external data is not allowed" in check["detail"]


def test_a_model_that_gives_no_numbers_is_an_error(tmp_path: Path) -> None:
    import hashlib

    def nan(model: Any) -> None:
        model.graph.initializer[0].float_data[:] = [float("nan")]

    folder = tmp_path / "bundle"
    shutil.copytree(TINY, folder)
    content = spoilt(nan)
    (folder / "float32.onnx").write_bytes(content)
    described = json.loads((folder / "bundle.json").read_text())
    described["artifacts"][0].update(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    (folder / "bundle.json").write_text(json.dumps(described))
    classifier = Classifier.load(folder)
    with pytest.raises(BundleError, match="no finite number"):
        classifier.classify(np.zeros((8, 8, 3), np.uint8))
