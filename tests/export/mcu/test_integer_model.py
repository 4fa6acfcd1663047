"""The model for TensorFlow Lite Micro: what it computes, what it takes, and what is refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from export.mcu.integer_model import ALIGNMENT, IntegerModel, integer_model
from export.passes import ExportError

MODELS = ("baseline", "stack", "resnet8")


def reference_outputs(content: bytes, images: NDArray[np.generic]) -> NDArray[np.float32]:
    """LiteRT's reference kernels, image by image: exact integer arithmetic but for one rounding."""
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    image, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for one in images:
        interpreter.set_tensor(image["index"], one[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(output["index"])[0])
    return np.array(outputs)


@pytest.mark.parametrize("name", MODELS)
def test_it_gives_the_artifacts_answers_bit_for_bit(
    name: str, artifacts: dict[str, bytes], images: NDArray[np.uint8]
) -> None:
    model = integer_model(artifacts[name])
    expected = reference_outputs(artifacts[name], images[:8])
    shifted = (images[:8].astype(np.int16) - 128).astype(np.int8)
    outputs = reference_outputs(model.content, shifted)
    assert outputs.dtype == np.int8
    np.testing.assert_array_equal(model.logits(outputs.astype(np.int8)), expected)


@pytest.mark.parametrize("name", MODELS)
def test_it_is_static_smaller_and_aligned(name: str, artifacts: dict[str, bytes]) -> None:
    model = integer_model(artifacts[name])
    assert len(model.content) < len(artifacts[name])
    packed = schema.Model.GetRootAs(model.content, 0)
    # From the C array's begin, which is aligned itself.
    starts = [
        packed.Buffers(i).DataAsNumpy().__array_interface__["data"][0]
        - np.frombuffer(model.content, np.uint8).__array_interface__["data"][0]
        for i in range(packed.BuffersLength())
        if packed.Buffers(i).DataLength()
    ]
    assert starts
    assert all(start % ALIGNMENT == 0 for start in starts)
    graph = packed.Subgraphs(0)
    for i in range(graph.TensorsLength()):
        tensor = graph.Tensors(i)
        assert tensor.ShapeSignatureLength() == 0
        assert tensor.Type() in (schema.TensorType.INT8, schema.TensorType.INT32)
    assert graph.Tensors(graph.Inputs(0)).ShapeAsNumpy().tolist() == [1, *model.input_shape]


def test_the_paired_columns_are_undone(artifacts: dict[str, bytes]) -> None:
    model = integer_model(artifacts["baseline"])
    graph = schema.ModelT.InitFromPackedBuf(bytearray(model.content), 0).subgraphs[0]
    kernels = [one for one in graph.tensors if one.shape is not None and len(one.shape) == 4]
    assert [32, 3, 3, 3] in [list(map(int, one.shape)) for one in kernels]
    # The one reshape that is left stands before the dense layers.
    assert model.operators.count("RESHAPE") == 1
    assert len(graph.operators) == 10


def test_what_the_kernels_of_cmsis_nn_want(artifacts: dict[str, bytes]) -> None:
    # The widest column: a window of 3 x 3 over 64 channels.
    assert integer_model(artifacts["baseline"]).cmsis_scratch_bytes == 4 * 3 * 3 * 64
    # 3 x 3 x 12 is no multiple of 16.
    assert integer_model(artifacts["stack"]).cmsis_scratch_bytes == 4 * 112


def test_a_float_artifact_is_refused(artifacts: dict[str, bytes]) -> None:
    with pytest.raises(ExportError, match="only int8 artifacts"):
        integer_model(artifacts["float32"])


def test_logits_are_scaled(artifacts: dict[str, bytes]) -> None:
    model = integer_model(artifacts["stack"])
    assert isinstance(model, IntegerModel)
    zero = np.full((1, 10), model.output_zero_point, np.int8)
    np.testing.assert_array_equal(model.logits(zero), np.zeros((1, 10), np.float32))
