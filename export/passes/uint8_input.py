"""The graph input: uint8 pixels, as a device has them, instead of scaled floats."""

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.errors import ExportError
from export.passes.graph import Graph


def fold_input_scale(model: onnx.ModelProto, scale: float) -> onnx.ModelProto:
    """Lets a model that takes pixels times `scale` take the pixels: scales the first weights.

    Exact but for rounding: a convolution is linear, and its zero padding stays zero.

    Raises ExportError where anything but convolutions reads the image.
    """
    graph = Graph.copy_of(model)
    tensor = graph.inputs[0]
    transpose = graph.only_consumer(tensor, "Transpose")
    if transpose is not None:
        tensor = transpose.output[0]
    readers = graph.consumers(tensor)
    if not readers or any(node.op_type != "Conv" for node in readers):
        found = ", ".join(node.op_type for node in readers) or "nothing"
        raise ExportError(f"the image must go into a convolution, here it goes into {found}")
    for name in {node.input[1] for node in readers}:
        weights = graph.constant(name)
        if weights is None:
            raise ExportError("the first convolution's weights are not constant")
        if name in graph.outputs or any(node not in readers for node in graph.consumers(name)):
            raise ExportError("the first convolution shares its weights with another layer")
        graph.set_constant(name, (weights * np.float32(scale)).astype(weights.dtype))
    return graph.finished()


def uint8_input(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes the input uint8, with one Cast to float32 after the Transpose to NCHW.

    The Cast stands behind the Transpose, which then moves a quarter of the bytes.
    """
    graph = Graph.copy_of(model)
    image = graph.inputs[0]
    transpose = graph.only_consumer(image, "Transpose")
    if transpose is not None and transpose.output[0] in graph.outputs:
        transpose = None  # its reader expects floats
    pixels = image if transpose is None else transpose.output[0]
    graph.redirect(pixels, "pixels_float")
    cast = helper.make_node(
        "Cast", [pixels], ["pixels_float"], name="to_float", to=TensorProto.FLOAT
    )
    position = 0 if transpose is None else graph.nodes.index(transpose) + 1
    graph.model.graph.node.insert(position, cast)
    graph.model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return graph.finished()


def elide_input_quantize(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops the QuantizeLinear of the image where it is the identity on uint8 pixels.

    With scale 1 and zero point 0 the pixels are their own quantized form: the graph takes them
    as they are, and the answer is the same to the bit. A Transpose in front of it then moves
    bytes instead of floats.

    Raises ExportError where the image is quantized in another way.
    """
    graph = Graph.copy_of(model)
    image = graph.inputs[0]
    transpose = graph.only_consumer(image, "Transpose")
    pixels = image if transpose is None else transpose.output[0]
    quantize = graph.only_consumer(pixels, "QuantizeLinear")
    if quantize is None:
        raise ExportError("the image is not quantized first")
    scale, zero = (graph.constant(name) for name in quantize.input[1:3])
    if scale is None or zero is None or zero.dtype != np.uint8 or scale != 1 or zero != 0:
        raise ExportError(f"the image is quantized by {scale} about {zero}, not by 1 about 0")
    graph.redirect(quantize.output[0], pixels)
    graph.model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return graph.finished()
