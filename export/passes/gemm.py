"""Dense layers: MatMul and Add become one Gemm, and a Flatten before it needs no transposition."""

import math

import onnx
from onnx import helper

from export.passes.graph import Graph, attribute


def matmul_to_gemm(model: onnx.ModelProto) -> onnx.ModelProto:
    """MatMul by a constant matrix, and the Add of a constant vector after it, become a Gemm.

    onnxruntime quantizes a Gemm with its bias to one QGemm; from MatMul and Add it makes two.
    """
    graph = Graph.copy_of(model)
    for matmul in [node for node in graph.nodes if node.op_type == "MatMul"]:
        weights = graph.constant(matmul.input[1])
        shape = graph.shape(matmul.input[0])
        if weights is None or weights.ndim != 2 or shape is None or len(shape) != 2:
            continue
        old, inputs, output = [matmul], list(matmul.input), matmul.output[0]
        add = graph.only_consumer(output, "Add")
        if add is not None:
            bias_name = next(name for name in add.input if name != output)
            bias = graph.constant(bias_name)
            if bias is not None and bias.shape == (weights.shape[1],):
                old, inputs, output = [matmul, add], [*inputs, bias_name], add.output[0]
        gemm = helper.make_node("Gemm", inputs, [output], name=old[-1].name)
        graph.replace(old, [gemm])
    return graph.finished()


def reshape_to_flatten(model: onnx.ModelProto) -> onnx.ModelProto:
    """A Reshape to (batch, everything else) becomes a Flatten, which needs no shape.

    Whatever computed the shape goes with it: with a dynamic batch, some versions of tf2onnx build
    it from Shape, Gather or Slice, Concat and Casts.
    """
    graph = Graph.copy_of(model)
    for reshape in [node for node in graph.nodes if node.op_type == "Reshape"]:
        before, after = graph.shape(reshape.input[0]), graph.shape(reshape.output[0])
        if before is None or len(before) < 2 or before[0] is not None or None in before[1:]:
            continue  # only a free batch before known sizes is sure to stay what it is
        features = math.prod(size or 0 for size in before[1:])
        constant = graph.constant(reshape.input[1])
        to_rows = constant is not None and list(constant) in ([-1, features], [0, features])
        if not to_rows and (after is None or len(after) != 2 or after[1] != features):
            continue
        flatten = helper.make_node(
            "Flatten", [reshape.input[0]], list(reshape.output), name=reshape.name, axis=1
        )
        graph.replace([reshape], [flatten])
    return graph.finished()


def fold_flatten(model: onnx.ModelProto) -> onnx.ModelProto:
    """Transpose to NHWC, Flatten, Gemm: becomes Flatten, Gemm.

    Keras flattens height, width, channel; the graph holds channel, height, width. Instead of
    moving the activations on every call, the rows of the Gemm's weights are put in the graph's
    order once.
    """
    graph = Graph.copy_of(model)
    for transpose in [node for node in graph.nodes if node.op_type == "Transpose"]:
        if attribute(transpose, "perm") != [0, 2, 3, 1]:
            continue
        flatten = graph.only_consumer(transpose.output[0], "Flatten")
        gemm = flatten and graph.only_consumer(flatten.output[0], "Gemm")
        shape = graph.shape(transpose.input[0])
        if flatten is None or gemm is None or shape is None or attribute(flatten, "axis", 1) != 1:
            continue
        _, channels, height, width = shape
        if channels is None or height is None or width is None:
            continue
        weights = graph.constant(gemm.input[1])
        turned = attribute(gemm, "transA", 0) or attribute(gemm, "transB", 0)
        flat = gemm.input[0] == flatten.output[0] and not turned
        if weights is None or not flat or weights.shape[0] != channels * height * width:
            continue
        if graph.only_consumer(gemm.input[1], "Gemm") is None:
            continue  # another node reads the same weights, and needs their order
        rows = weights.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        graph.set_constant(gemm.input[1], rows.reshape(weights.shape))
        direct = helper.make_node(
            "Flatten", [transpose.input[0]], list(flatten.output), name=flatten.name, axis=1
        )
        graph.replace([transpose, flatten], [direct])
    return graph.finished()
