"""What a TFLite artifact may be, and that all else is refused before LiteRT sees it."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations.plain import change_bytes
from tests.fuzz.mutations.tflite_tree import change_tflite
from tinysight import BundleError, load_bundle
from tinysight.model_files.tflite_check import check_model

CONTENT = (Path(__file__).parents[2] / "tiny" / "bundle_litert" / "float32.tflite").read_bytes()
SHIPPED = load_bundle("edge_s")
SHIPPED_CONTENT = SHIPPED.read(SHIPPED.artifact("static_w8a8.tflite"))


@given(st.integers(0, 1 << 32))
def test_nothing_but_a_typed_error_comes_of_changed_bytes(seed: int) -> None:
    with contextlib.suppress(BundleError):
        check_model(change_bytes(CONTENT, Random(seed)), (8, 8), 3)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "does not begin as a file of TFL3"),
        (b"no model at all", "does not begin as a file of TFL3"),
        (b"\x08\x00\x00\x00TFL3", "outside of the file"),
        (b"\xff\xff\xff\xffTFL3" + bytes(40), "outside of the file"),
        (b"\x10\x00\x00\x00TFL3" + bytes(40), "a damaged table"),
        (CONTENT[: len(CONTENT) // 2], r"outside of the file|ends"),
    ],
)
def test_what_is_no_model_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        check_model(content, (8, 8), 3)


def test_another_contract_than_the_bundles_is_refused() -> None:
    check_model(CONTENT, (8, 8), 3)
    for shape, classes in (((9, 8), 3), ((8, 8), 4)):
        with pytest.raises(BundleError, match="it takes and gives something else"):
            check_model(CONTENT, shape, classes)


pytest.importorskip("ai_edge_litert")

Change = Callable[[Any], object]


def spoilt(change: Change, content: bytes = SHIPPED_CONTENT) -> bytes:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    change(model)
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


CONV_2D, QUANTIZE = 3, 114


def first(model: Any, code: int) -> Any:
    """The first node of an operator."""
    codes = [max(one.builtinCode, one.deprecatedBuiltinCode) for one in model.operatorCodes]
    return next(one for one in model.subgraphs[0].operators if codes[one.opcodeIndex] == code)


def conv(**options: int) -> Change:
    def change(model: Any) -> None:
        for name, value in options.items():
            setattr(first(model, CONV_2D).builtinOptions, name, value)

    return change


def tensor(i: int, **values: Any) -> Change:
    """Changes the first convolution's result (-1), or one of its inputs."""

    def change(model: Any) -> None:
        node = first(model, CONV_2D)
        index = node.outputs[0] if i < 0 else node.inputs[i]
        for name, value in values.items():
            table = model.subgraphs[0].tensors[index]
            if name in ("scale", "zeroPoint", "quantizedDimension"):
                table = table.quantization
            setattr(table, name, value)

    return change


def set_code(code: int) -> Change:
    def change(model: Any) -> None:
        model.operatorCodes[0].builtinCode = code
        model.operatorCodes[0].deprecatedBuiltinCode = min(code, 127)

    return change


def cut_buffer(model: Any) -> None:
    index = model.subgraphs[0].tensors[first(model, CONV_2D).inputs[1]].buffer
    model.buffers[index].data = model.buffers[index].data[:-1]


def outside(model: Any) -> None:
    model.buffers[1].offset, model.buffers[1].size = 4, 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (conv(strideW=0), "CONV_2D: a window of 4, stride 0"),
        (conv(strideH=-1), "CONV_2D: a window of 4, stride -1"),
        (conv(dilationWFactor=1 << 30), "CONV_2D: a window of 4"),
        (conv(padding=7), "CONV_2D: the padding 7"),
        (conv(fusedActivationFunction=5), "CONV_2D: the activation 5"),
        (lambda m: setattr(first(m, CONV_2D), "builtinOptions", None), "options of another"),
        (lambda m: setattr(first(m, CONV_2D), "inputs", np.array([1 << 30, 2, 3])), "not there"),
        (lambda m: setattr(first(m, CONV_2D), "inputs", np.array([1])), "CONV_2D: 1 inputs"),
        (lambda m: setattr(first(m, CONV_2D), "opcodeIndex", 99), "an operator that is not there"),
        (tensor(1, scale=np.array([np.nan] * 24, np.float32)), "a scale outside of|scales"),
        (tensor(1, scale=None, zeroPoint=None), "not quantized by a scale for each filter"),
        (tensor(-1, scale=np.array([0.0], np.float32)), "a scale outside of"),
        (tensor(-1, scale=np.array([1e-15], np.float32)), "do not go together"),
        (tensor(-1, zeroPoint=np.array([1000])), "a zero point outside of -128 to 127"),
        (tensor(-1, scale=None, zeroPoint=None), "not quantized by one scale"),
        (tensor(-1, type=0), "CONV_2D: no kernel for types|a scale for a tensor"),
        (tensor(-1, type=5), "a tensor of the type 5"),
        (
            tensor(-1, shape=np.array([1, 1 << 20, 1 << 20, 3], np.int32), shapeSignature=None),
            "a tensor of",
        ),
        (tensor(-1, shape=np.array([1, 7, 7, 32], np.int32), shapeSignature=None), "the file says"),
        (tensor(-1, isVariable=True), "kept between two calls"),
        (tensor(1, buffer=10**6), "a buffer that is not there"),
        (cut_buffer, "bytes of data for the shape"),
        (outside, "data outside of it is not allowed"),
        (lambda m: m.subgraphs.append(m.subgraphs[0]), "it has 2 graphs"),
        (lambda m: m.subgraphs[0].operators.reverse(), "is not computed before"),
        (lambda m: m.subgraphs[0].operators.pop(), "its output is not computed"),
        (set_code(118), "the operator 118 is not allowed"),  # IF
        (set_code(119), "the operator 119 is not allowed"),  # WHILE
        (set_code(32), "the operator 32 is not allowed"),  # CUSTOM
        (lambda m: setattr(m.operatorCodes[0], "customCode", "evil"), "a custom operator is not"),
        (
            lambda m: setattr(m.metadata[0], "name", "model_control_dependencies"),
            "the metadata 'model_control_dependencies' is not allowed",
        ),
        (lambda m: setattr(m, "version", 4), "of version 4"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_not_allowed_is_named(change: Change, words: str) -> None:
    check_model(SHIPPED_CONTENT, (32, 32), 10)
    with pytest.raises(BundleError, match=words):
        check_model(spoilt(change), (32, 32), 10)


def test_the_schemas_own_writer_gives_what_passes() -> None:
    check_model(spoilt(lambda _: None), (32, 32), 10)
    check_model(spoilt(lambda _: None, CONTENT), (8, 8), 3)


@given(st.integers(0, 1 << 32))
def test_nothing_but_a_typed_error_comes_of_a_changed_file(seed: int) -> None:
    content = change_tflite(CONTENT, Random(seed))
    if content is not None:
        with contextlib.suppress(BundleError):
            check_model(content, (8, 8), 3)
