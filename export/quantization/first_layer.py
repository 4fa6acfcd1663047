"""The first layer's weights in 7 bits, chosen together by what the layer's outputs lose.

On x86 without VNNI, a sum of two products of 8-bit weights and bytes can pass 16 bits, and
saturates (`export.validation.int16_saturation`). Pixels are large: of all layers the first one's
sums are the largest by far, so its weights get 7 bits.

Rounded each to its nearest level, 7 bits would cost more than all other layers together:
neighbouring pixels are nearly equal, so that what is lost is the sum of a channel's rounding
errors, and nothing makes that small. Chosen together, the errors of neighbours cancel.
"""

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from export.passes import Graph, reduce_range

_LIMIT = 64
"""The largest weight: 2 * 64 * 255 is within 16 bits."""
_IMAGES = 256
"""That the pixels' covariance is taken from."""
_PATCHES_ALONG = 32
"""A side of an image, at most: of larger images, patches further apart."""
_WHITE_NOISE = 0.01
"""Variance of the noise that the pixels are thought to have, over their own: pictures are not all
like the calibration images, which may be grey."""


def fit_first_layer(
    model: onnx.ModelProto, images: NDArray[np.uint8], weights: NDArray[np.floating] | None = None
) -> onnx.ModelProto:
    """Gives the first layer 7-bit weights that keep its outputs nearest to those of exact ones.

    For each output channel, integers of little mean square error of the output (Nagel et al. 2020,
    arXiv 2004.10568, equation 14): from each weight's nearest level, by the best steps of one or
    two weights for as long as there are any. The mean error goes into the bias (Nagel et al. 2019,
    arXiv 1906.04721, section 4.2).

    Args:
        model: quantized, of uint8 pixels. A first layer in float32 stays as it is.
        images: uint8 (n, h, w, channels), training images.
        weights: the layer's exact ones, float (filters, channels, height, width); without, those
            that it has in 8 bits are taken for exact.
    """
    layer = first_layer(model)
    stored = Graph(model).producer(layer.input[1])
    if stored is None:
        return model
    if weights is None:
        weights = _dequantized(Graph(model), stored)
    graph = Graph(reduce_range(model, [layer.name]))
    if layer.op_type != "Conv" or len(layer.input) != 3:
        return graph.model
    levels, step = map(graph.constant, stored.input[:2])
    bias = graph.producer(layer.input[2])
    assert levels is not None
    assert step is not None
    assert bias is not None
    patches = _patches(images[:_IMAGES], weights.shape[2:])
    mean, moments = patches.mean(axis=0), np.cov(patches, rowvar=False)
    moments += _WHITE_NOISE * np.trace(moments) / len(moments) * np.eye(len(moments))
    exact = weights.reshape(len(weights), -1).astype(np.float64)
    fitted = np.stack([_fit(row / one, moments) for row, one in zip(exact, step, strict=True)])
    graph.set_constant(stored.input[0], fitted.reshape(levels.shape).astype(np.int8))
    lost = (fitted * step[:, None] - exact) @ mean
    values, unit = map(graph.constant, bias.input[:2])
    graph.set_constant(bias.input[0], np.round(values - lost / unit).astype(np.int32))
    return graph.finished()


def first_layer(model: onnx.ModelProto) -> onnx.NodeProto:
    """The first node that multiplies by weights."""
    name = quantizable(model)[0]
    return next(node for node in Graph(model).nodes if node.name == name)


def quantizable(model: onnx.ModelProto) -> list[str]:
    """The names of the layers that quantization turns to integers, in the graph's order."""
    return [node.name for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")]


def _fit(exact: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integers near `exact`, (n,), with little (levels - exact)^T moments (levels - exact)."""
    n = len(exact)
    levels = np.clip(np.round(exact), -_LIMIT, _LIMIT)
    signs = np.repeat([1.0, -1.0], n)  # of the 2 n steps: each weight up, then each weight down
    both = np.outer(signs, signs) * np.tile(2 * moments, (2, 2))
    worth = 1e-9 * np.trace(moments)
    while True:
        gradient = 2 * moments @ (levels - exact)
        change = signs * np.tile(gradient, 2) + np.tile(moments.diagonal(), 2)
        change[np.concatenate([levels >= _LIMIT, levels <= -_LIMIT])] = np.inf
        pairs = change[:, None] + change + both
        np.fill_diagonal(pairs, change)  # one step alone
        first, second = np.unravel_index(pairs.argmin(), pairs.shape)
        if pairs[first, second] >= -worth:  # of flat images it is 0, as is every change
            return levels
        for step in {int(first), int(second)}:
            levels[step % n] += signs[step]


def _patches(images: NDArray[np.uint8], kernel: tuple[int, ...]) -> NDArray[np.float64]:
    """What the kernel meets within the images, (patches, weights of a filter)."""
    planes = images.transpose(0, 3, 1, 2).astype(np.float64)
    apart = -(-max(planes.shape[2:]) // _PATCHES_ALONG)
    windows = sliding_window_view(planes, kernel, axis=(2, 3))[:, :, ::apart, ::apart]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, planes.shape[1] * int(np.prod(kernel)))


def _dequantized(graph: Graph, stored: onnx.NodeProto) -> NDArray[np.floating]:
    values, step = map(graph.constant, stored.input[:2])
    assert values is not None
    assert step is not None
    return np.asarray(values * step.reshape(-1, *[1] * (values.ndim - 1)), np.float32)
