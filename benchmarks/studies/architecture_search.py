"""The search for the edge family: latency first, from random weights; then short trainings.

A latency does not depend on what a network has learned, and is measured in a second. So every
candidate is timed beside the yardstick of its place in the family, and only those that keep within
it are trained, all for the same few epochs, and judged on the validation images.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from export.formats import tflite
from export.formats.onnx import keras_to_onnx
from export.passes import uint8_input
from export.quantization.post_training import static_w8a8
from tinysight.benchmark.timing import time_interleaved
from tinysight.engines.litert import LiteRTEngine
from tinysight.engines.ort import OnnxRuntimeEngine
from tinysight.engines.registry import Engine
from tinysight.preprocess import Pixels
from tinysight.stats import Accuracy, PairedRatio, paired_ratio
from training.data import Dataset, split
from training.distillation.teacher import Teacher, student_recipe
from training.models.macs import multiply_accumulates
from training.models.registry import build
from training.progress import Progress, ProgressCallback
from training.recipes import recipe_of
from training.tf_keras_setup import keras
from training.train import train

SIDE, CLASSES = 32, 10


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the family: what its member may cost, and who applies for it."""

    clock_probe: str
    """The model, a plain export of which may not be quicker."""
    quantized: bool
    """Whether that export is the int8 one."""
    candidates: tuple[str, ...]
    """In the notation of `training.models.edge.Stack`."""
    most_bytes: int | None = None
    """Of the int8 artifact: what comes in the wheel shall not make it heavy."""


PLACES = {
    "edge_s": Place("baseline", False, (
        "32s2-48-64s2-64-128s2-128",
        "32s2-48-64s2-64-64-128s2",
        "24s2-40-64s2-64-64-128s2-128",
            "32s2-32-64s2-64-64-128s2-128",
        "32s2-64-64s2-64-128s2-128",
        "24s2-32-64s2-64-64-64-128s2-128",
        "32s2-64s2-64-64-64-128s2-128-128",
        "48s2-96s2-96-96-160s2-160",
    )),
    "edge_m": Place("resnet8", True, (
        "32s2-48-96s2-96-96-96-96",
        "32s2-64-96s2-96-96-96",
        "32s2-64-96s2-96-96-112s2-112",
        "32s2-64-96s2-96-96-128s2-96",
        "32s2-48-48-96s2-96-96-112s2-96",
        "32s2-64-96s2-96-96-96-96s2-64",
        "24s2-32-80s2-80-80-80-80-128s2",
        "32s2-64-128s2-128-192s2-192",
    ), most_bytes=490_000),
    "edge_l": Place("resnet20", True, (
        "64s2-128-192s2-192-256s2-256-256",
        "64s2-96-160s2-160-160-256s2-256-256",
        "64s2-96-128s2-128-128-128-256s2-256-256",
        "48s2-96-96-160s2-160-160-256s2-256-256",
    )),
}  # fmt: skip
PASSES = 6
"""Engines are opened anew for each: where their memory lies decides some percent of a latency."""
IN_BUDGET = 1.0
"""A candidate's latency over its yardstick's, at most."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a candidate costs at batch 1 on one thread."""

    stack: str
    macs: int
    parameters: int
    bytes: int
    """Of the int8 ONNX artifact."""
    onnxruntime_us: float
    """The int8 artifact's median."""
    litert_us: float
    ratio: PairedRatio
    """Of int8 under onnxruntime to the place's yardstick."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the search learned about one place."""

    name: str
    place: Place
    yardstick_us: float
    costs: list[Cost]
    validation: dict[str, Accuracy] = field(default_factory=dict)
    """By stack, of those that were trained."""

    def in_budget(self) -> list[Cost]:
        most = self.place.most_bytes or math.inf
        return [c for c in self.costs if c.ratio.value <= IN_BUDGET and c.bytes <= most]

    def as_json(self) -> dict[str, Any]:
        return {
            "member": self.name,
            "clock_probe": self.place.clock_probe,
            "yardstick_us": self.yardstick_us,
            "candidates": [
                {
                    **asdict(cost),
                    "validation": (got := self.validation.get(cost.stack)) and got.as_json(),
                }
                for cost in self.costs
            ],
        }


def costs(place: Place, calls: int, count: ProgressCallback) -> tuple[float, list[Cost]]:
    """The yardstick's microseconds, and every candidate's cost: random weights, timed in turns."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (64, SIDE, SIDE, 3), dtype=np.uint8)
    names = (place.clock_probe, *place.candidates)
    models, artifacts = {}, {}
    for done, name in enumerate(names):
        count("converting random weights", done, len(names))
        model = models[name] = _random(name)
        graph = keras_to_onnx(model)
        quantized = name != place.clock_probe or place.quantized
        made = static_w8a8(graph, images) if quantized else uint8_input(graph)
        artifacts[name, "onnxruntime"] = made.SerializeToString()
        if name != place.clock_probe:
            artifacts[name, "litert"] = tflite.static_w8a8(model, images)
    passes = []
    for done in range(PASSES):
        count("timing, in turns", done, PASSES)
        runs = {" ".join(key): partial(_run(key[1], made), images[:1])
                for key, made in artifacts.items()}  # fmt: skip
        passes.append(time_interleaved(runs, calls // PASSES, math.inf))
    times = {" ".join(key): np.concatenate([one[" ".join(key)] for one in passes])
             for key in artifacts}  # fmt: skip
    reference = times[f"{place.clock_probe} onnxruntime"]
    return float(np.median(reference)) / 1e3, [
        Cost(
            stack=name,
            macs=multiply_accumulates(models[name]),
            parameters=models[name].count_params(),
            bytes=len(artifacts[name, "onnxruntime"]),
            onnxruntime_us=float(np.median(times[f"{name} onnxruntime"])) / 1e3,
            litert_us=float(np.median(times[f"{name} litert"])) / 1e3,
            ratio=paired_ratio(times[f"{name} onnxruntime"], reference, blocks=PASSES),
        )
        for name in place.candidates
    ]


def validated(
    stack: str,
    dataset: Dataset,
    out: Path,
    progress: Progress,
    *,
    epochs: int,
    teachers: Sequence[Teacher],
) -> Accuracy:
    """A candidate's accuracy on the validation images after a short training.

    Goes on where an earlier search was stopped. The test images are left out: they choose nothing.
    """
    recipe = replace(recipe_of(stack), epochs=epochs)
    if teachers:
        recipe = student_recipe(recipe, teachers)
    parts = split(dataset, recipe.data_seed, recipe.val_fraction)
    run = train(
        recipe,
        dataset,
        out / stack,
        progress,
        splits=replace(parts, test=parts.test[:0]),
        teachers=teachers,
        resume=True,
    )
    assert run is not None  # one process alone
    validation = run.record["validation"]
    return Accuracy(validation["correct"], validation["n"])


def _random(name: str) -> Any:
    """A model whose batch normalizations do something, so that none is left out at export."""
    keras.utils.set_random_seed(0)
    recipe = replace(recipe_of(name), l2=0.0)
    model = build(recipe, (SIDE, SIDE, 3), CLASSES)
    draw = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape[0]
            gamma, variance = draw.uniform(0.5, 1.5, (2, n))
            beta, mean = draw.normal(0, 0.3, (2, n))
            layer.set_weights([gamma, beta, mean, variance])
    return model


def _run(engine: str, artifact: bytes) -> Callable[[Pixels], object]:
    opened: Engine = (LiteRTEngine if engine == "litert" else OnnxRuntimeEngine)(
        artifact, (SIDE, SIDE), CLASSES
    )
    return opened.run


def table(found: Sequence[Found], *, epochs: int, distilled: bool) -> str:
    """Markdown, a table for each place."""
    how = "taught" if distilled else "from the labels alone"
    trained = any(one.validation for one in found)
    accuracy = f"; accuracy after {epochs} epochs, {how}, on the validation images" * trained
    parts = ["# The search for the edge family", ""]
    for one in found:
        kind = "int8" if one.place.quantized else "float32"
        parts += [
            f"## {one.name}: no slower than {one.place.clock_probe}'s plain {kind} export, "
            f"{one.yardstick_us:.1f} us",
            "",
            f"Int8 artifacts of random weights, batch 1, one thread, timed in turns{accuracy}.",
            "",
            "| stack | MMAC | parameters | KB | onnxruntime | litert | ratio (95 %) | accuracy |",
            "|---|---|---|---|---|---|---|---|",
            *(_row(cost, one.validation.get(cost.stack)) for cost in one.costs),
            "",
        ]
    return "\n".join(parts)


def _row(cost: Cost, validation: Accuracy | None) -> str:
    ratio = cost.ratio
    measurements = (
        cost.stack,
        f"{cost.macs / 1e6:.1f}",
        f"{cost.parameters:,}",
        f"{cost.bytes / 1000:.0f}",
        f"{cost.onnxruntime_us:.1f} us",
        f"{cost.litert_us:.1f} us",
        f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
        "not trained" if validation is None else str(validation),
    )
    return f"| {' | '.join(measurements)} |"
