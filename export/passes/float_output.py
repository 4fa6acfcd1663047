"""The graph output: float32 logits, as the last layer computes them."""

import onnx

from export.passes.graph import Graph


def float_output(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drops the QuantizeLinear and DequantizeLinear behind the last layer of a quantized model.

    They would round the logits to 256 steps, which makes ties between classes, and cost two
    operators; onnxruntime's QGemm gives float32 as readily as uint8.
    """
    graph = Graph.copy_of(model)
    output = graph.outputs[0]
    dequantize = graph.producer(output)
    if dequantize is None or dequantize.op_type != "DequantizeLinear":
        return graph.finished()
    quantize = graph.producer(dequantize.input[0])
    if quantize is None or quantize.op_type != "QuantizeLinear":
        return graph.finished()
    exact = quantize.input[0]
    shared = graph.only_consumer(quantize.output[0], "DequantizeLinear") is None
    if shared or exact in (*graph.inputs, *graph.outputs):
        return graph.finished()  # another node reads them under these names
    graph.replace([quantize, dequantize], [])
    graph.rename(exact, output)
    return graph.finished()
