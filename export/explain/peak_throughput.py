"""The peak throughput of one core in float32 and in int8, measured with onnxruntime's kernels.

Large dense layers, whose data stays in the cache and whose sizes are multiples of every block, run
at the rate that the arithmetic units allow. Every other layer can be held against that.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tinysight.engines.ort import make_session

_SIDE, _CHANNELS, _MATRIX = 32, 128, 512
_ROUNDS = 20
_OPSET, _IR_VERSION = 18, 9


@dataclass(frozen=True, slots=True)
class Peak:
    """Multiply-accumulates per microsecond, on one thread."""

    float32: float
    int8: float

    def __post_init__(self) -> None:
        if not min(self.float32, self.int8) > 0:
            raise ValueError("a peak must be above 0")

    def of(self, integer: bool) -> float:
        return self.int8 if integer else self.float32


def measure_peak(rounds: int = _ROUNDS) -> Peak:
    """The best rate that a convolution or a matrix product reaches; takes about a second."""
    draw = np.random.default_rng(0)
    conv_macs = _SIDE * _SIDE * _CHANNELS * _CHANNELS * 9
    matrix_macs = _MATRIX**3
    shape = (1, _CHANNELS, _SIDE, _SIDE)
    kernel = (_CHANNELS, _CHANNELS, 3, 3)
    matrix = (_MATRIX, _MATRIX)
    calls = {
        ("float32", conv_macs): _run(
            [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
            draw.normal(size=shape).astype(np.float32),
            {"w": draw.normal(size=kernel).astype(np.float32)},
            TensorProto.FLOAT,
        ),
        ("float32", matrix_macs): _run(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            draw.normal(size=matrix).astype(np.float32),
            {"w": draw.normal(size=matrix).astype(np.float32)},
            TensorProto.FLOAT,
        ),
        ("int8", conv_macs): _run(
            [
                helper.make_node(
                    "QLinearConv",
                    ["x", "sx", "zx", "w", "sw", "zw", "sy", "zx"],
                    ["y"],
                    domain="com.microsoft",
                    pads=[1, 1, 1, 1],
                    channels_last=1,
                )
            ],
            draw.integers(0, 256, (1, _SIDE, _SIDE, _CHANNELS), dtype=np.uint8),
            {
                "w": draw.integers(-127, 128, kernel, dtype=np.int8),
                "sx": np.float32(0.01), "sw": np.float32(0.01), "sy": np.float32(1),
                "zx": np.uint8(0), "zw": np.int8(0),
            },
            TensorProto.UINT8,
        ),
        ("int8", matrix_macs): _run(
            [helper.make_node("MatMulInteger", ["x", "w"], ["y"])],
            draw.integers(0, 256, matrix, dtype=np.uint8),
            {"w": draw.integers(-127, 128, matrix, dtype=np.int8)},
            TensorProto.INT32,
        ),
    }  # fmt: skip
    best = {"float32": 0.0, "int8": 0.0}
    for _ in range(rounds):
        for (kind, macs), call in calls.items():
            began = time.perf_counter_ns()
            call()
            best[kind] = max(best[kind], macs / (time.perf_counter_ns() - began) * 1e3)
    return Peak(**best)


def _run(
    nodes: list[onnx.NodeProto],
    x: NDArray[Any],
    constants: Mapping[str, NDArray[Any] | np.generic],
    output_type: int,
) -> Callable[[], object]:
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_tensor_value_info("y", output_type, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    session = make_session(model.SerializeToString())
    binding = session.io_binding()  # without it, the copy of the result would count
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu")
    session.run_with_iobinding(binding)
    return lambda: session.run_with_iobinding(binding)
