"""What onnxruntime makes of a graph on this CPU, and how long each of its kernels takes."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.explain.layer_cost import ACTIVATIONS, LAYERS
from export.passes import Graph
from tinysight.engines.ort import make_session

WARM_UP = 20
"""Runs of each graph that are discarded."""

# What onnxruntime's optimizers add to the name of the node that they began with.
_PREFIX = re.compile(r"^fused ")
_SUFFIX = re.compile(r"(_token_\d+|_nchwc|_nhwc|_quant)+$")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One node of the optimized graph."""

    name: str
    operator: str
    """As onnxruntime calls it: `Conv`, `QLinearConv`, `ReorderOutput` …"""
    origin: str | None
    """The node of the artifact that it stands for, a layer's where it computes one; None for what
    onnxruntime inserted."""
    fused: tuple[str, ...]
    """Operators of the artifact that it computes besides its own."""
    microseconds: float
    """Mean of the middle half of its times: as steady as a median, and finer than the profile's
    clock, which counts whole microseconds."""

    @property
    def integer(self) -> bool:
        """Whether it multiplies in 8 bits."""
        return self.operator in ("QLinearConv", "QGemm", "QLinearMatMul", "ConvInteger") or (
            self.operator.startswith(("MatMulInteger", "DynamicQuantizeMatMul"))
        )


def profile(
    models: Mapping[str, bytes],
    image: NDArray[np.uint8],
    runs: int,
    progress: Callable[[int, int], None] = lambda done, total: None,  # noqa: ARG005
) -> dict[str, list[Kernel]]:
    """The kernels of each model, in the order of the optimized graph, timed on one thread.

    The runs are interleaved, so that what slows the machine down for a while slows all models.

    Args:
        models: ONNX files by name.
        image: uint8 (1, h, w, 3).
        runs: how often each is timed.
        progress: told the runs done and the runs in all.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sessions = {
            name: make_session(
                content,
                optimized_file=folder / f"{index}.onnx",
                profile_prefix=folder / str(index),
            )
            for index, (name, content) in enumerate(models.items())
        }
        for done in range(runs + WARM_UP):
            for session in sessions.values():
                session.run(None, {session.get_inputs()[0].name: image})
            progress(done + 1, runs + WARM_UP)
        return {
            name: _kernels(
                Graph(onnx.load_from_string(models[name])),
                onnx.load(folder / f"{index}.onnx"),
                _node_times(Path(session.end_profiling())),
            )
            for index, (name, session) in enumerate(sessions.items())
        }


def _node_times(profile_file: Path) -> dict[str, list[int]]:
    """Microseconds of each run of each node, from onnxruntime's profile."""
    times: dict[str, list[int]] = {}
    for event in json.loads(profile_file.read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            times.setdefault(event["name"].removesuffix("_kernel_time"), []).append(event["dur"])
    return times


def _kernels(
    source: Graph, optimized: onnx.ModelProto, times: Mapping[str, list[int]]
) -> list[Kernel]:
    nodes = {node.name: node for node in source.nodes if node.name}
    kernels = []
    for node in optimized.graph.node:
        if node.name not in times:
            continue  # computed once, when the session was made
        # Called after a node of the artifact, or after the tensor in which it ends.
        called = _SUFFIX.sub("", _PREFIX.sub("", node.name))
        origin = source.producer(called) or nodes.get(called)
        layer = _layer_of(source, origin)
        fused: tuple[str, ...] = ()
        if layer is not None and layer is not origin and origin is not None:
            fused = (origin.op_type,)  # it is called after what it ends in
        elif layer is not None:
            fused = tuple(_activation(node))
        kernels.append(
            Kernel(
                name=node.name,
                operator=node.op_type,
                origin=layer.name if layer is not None else origin and origin.name,
                fused=fused,
                microseconds=middle_mean(times[node.name][WARM_UP:]),
            )
        )
    return kernels


def middle_mean(values: list[int]) -> float:
    """Mean of the values between the first and the third quartile."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    cut = len(ordered) // 4
    return float(ordered[cut : len(ordered) - cut].mean())


def _layer_of(source: Graph, node: onnx.NodeProto | None) -> onnx.NodeProto | None:
    """The layer that a node is, or whose activation it is."""
    while node is not None and node.op_type in ACTIVATIONS:
        node = source.producer(node.input[0])
    return node if node is not None and node.op_type in LAYERS else None


def _activation(node: onnx.NodeProto) -> list[str]:
    return [
        onnx.helper.get_attribute_value(entry).decode()
        for entry in node.attribute
        if entry.name == "activation"
    ]
