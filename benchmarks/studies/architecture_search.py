"""The architecture search for the edge family: latency of random weights first, then trainings.

A latency does not depend on what a network has learned, and is measured in a second. So every
candidate is timed beside the reference model of its member of the family, and only those that are
no slower are trained, all for the same few epochs, and compared on the validation images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.formats import tflite
from export.formats.onnx import keras_to_onnx
from export.passes import uint8_input
from export.quantization.post_training import static_w8a8
from tinysight.benchmark.timing import time_interleaved
from tinysight.engines.litert import LiteRTEngine
from tinysight.engines.ort import OnnxRuntimeEngine
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
BLOCKS = 6
"""Engines are opened anew for each: where their memory lies decides some percent of a latency."""
MAX_RATIO = 1.0
"""A candidate's latency over its reference model's."""


@dataclass(frozen=True, slots=True)
class MemberBudget:
    """What a member of the family may cost, and its candidates."""

    reference: str
    """The model whose default conversion the member may not be slower than."""
    quantized: bool
    """Whether that conversion is int8; float32 otherwise."""
    candidates: tuple[str, ...]
    """In the notation of `training.conv_stack.Stack`."""
    max_bytes: int | None = None
    """Of the int8 artifact: what comes in the wheel shall not make it heavy."""

    @property
    def reference_format(self) -> str:
        return "int8" if self.quantized else "float32"


MEMBERS = {
    "edge_s": MemberBudget("baseline", False, (
        "32s2-48-64s2-64-128s2-128",
        "32s2-48-64s2-64-64-128s2",
        "24s2-40-64s2-64-64-128s2-128",
            "32s2-32-64s2-64-64-128s2-128",
        "32s2-64-64s2-64-128s2-128",
        "24s2-32-64s2-64-64-64-128s2-128",
        "32s2-64s2-64-64-64-128s2-128-128",
        "48s2-96s2-96-96-160s2-160",
    )),
    "edge_m": MemberBudget("resnet8", True, (
        "32s2-48-96s2-96-96-96-96",
        "32s2-64-96s2-96-96-96",
        "32s2-64-96s2-96-96-112s2-112",
        "32s2-64-96s2-96-96-128s2-96",
        "32s2-48-48-96s2-96-96-112s2-96",
        "32s2-64-96s2-96-96-96-96s2-64",
        "24s2-32-80s2-80-80-80-80-128s2",
        "32s2-64-128s2-128-192s2-192",
    ), max_bytes=490_000),
    "edge_l": MemberBudget("resnet20", True, (
        "64s2-128-192s2-192-256s2-256-256",
        "64s2-96-160s2-160-160-256s2-256-256",
        "64s2-96-128s2-128-128-128-256s2-256-256",
        "48s2-96-96-160s2-160-160-256s2-256-256",
    )),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CandidateCost:
    """What a candidate costs at batch 1 on one thread."""

    stack: str
    macs: int
    parameters: int
    bytes: int
    """Of the int8 ONNX artifact."""
    onnxruntime_us: float
    """Median latency of the int8 artifact, in microseconds."""
    litert_us: float
    ratio: PairedRatio
    """Latency of int8 under onnxruntime over that of the reference model."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search found for one member of the family."""

    member: str
    budget: MemberBudget
    reference_us: float
    """Median latency of the reference model, in microseconds."""
    costs: tuple[CandidateCost, ...]
    validation: dict[str, Accuracy] = field(default_factory=dict)
    """By stack, of those that were trained."""

    def within_budget(self) -> list[CandidateCost]:
        max_bytes = self.budget.max_bytes or math.inf
        return [c for c in self.costs if c.ratio.value <= MAX_RATIO and c.bytes <= max_bytes]


def measure_candidates(
    budget: MemberBudget, runs: int, progress: ProgressCallback
) -> tuple[float, tuple[CandidateCost, ...]]:
    """Times the reference model and every candidate with random weights, interleaved.

    Args:
        budget: names them.
        runs: timed calls of each, at least `BLOCKS`.
        progress: told of each conversion and each block.

    Returns the reference model's median in microseconds, and the candidates' costs.
    """
    images = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), dtype=np.uint8)
    names = (budget.reference, *budget.candidates)
    models, artifacts = {}, {}
    for done, name in enumerate(names):
        progress("converting random weights", done, len(names))
        model = models[name] = _random_model(name)
        graph = keras_to_onnx(model)
        quantized = name != budget.reference or budget.quantized
        converted = static_w8a8(graph, images) if quantized else uint8_input(graph)
        artifacts[name, "onnxruntime"] = converted.SerializeToString()
        if name != budget.reference:
            artifacts[name, "litert"] = tflite.static_w8a8(model, images)
    times = _latencies(artifacts, images[:1], runs, progress)
    reference = times[f"{budget.reference} onnxruntime"]
    return float(np.median(reference)) / 1e3, tuple(
        CandidateCost(
            stack=name,
            macs=multiply_accumulates(models[name]),
            parameters=models[name].count_params(),
            bytes=len(artifacts[name, "onnxruntime"]),
            onnxruntime_us=float(np.median(times[f"{name} onnxruntime"])) / 1e3,
            litert_us=float(np.median(times[f"{name} litert"])) / 1e3,
            ratio=paired_ratio(times[f"{name} onnxruntime"], reference, blocks=BLOCKS),
        )
        for name in budget.candidates
    )


def _latencies(
    artifacts: Mapping[tuple[str, str], bytes],
    image: Pixels,
    runs: int,
    progress: ProgressCallback,
) -> dict[str, NDArray[np.int64]]:
    """Nanoseconds of single calls by "model engine", int64 (runs,)."""
    blocks = []
    for done in range(BLOCKS):
        progress("timing, interleaved", done, BLOCKS)
        calls = {
            f"{name} {engine}": _engine_call(engine, content, image)
            for (name, engine), content in artifacts.items()
        }
        blocks.append(time_interleaved(calls, runs // BLOCKS, math.inf))
    return {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}


def _engine_call(engine: str, content: bytes, image: Pixels) -> Callable[[], object]:
    """A call of a newly opened engine on one image (1, SIDE, SIDE, 3)."""
    kind = LiteRTEngine if engine == "litert" else OnnxRuntimeEngine
    opened = kind(content, (SIDE, SIDE), CLASSES)
    return lambda: opened.run(image)


def _random_model(name: str) -> Any:
    """A model whose batch normalizations do something, so that none is left out at export."""
    keras.utils.set_random_seed(0)
    recipe = replace(recipe_of(name), l2=0.0)
    model = build(recipe, (SIDE, SIDE, 3), CLASSES)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            n = layer.gamma.shape[0]
            gamma, variance = random.uniform(0.5, 1.5, (2, n))
            beta, mean = random.normal(0, 0.3, (2, n))
            layer.set_weights([gamma, beta, mean, variance])
    return model


def validation_accuracy(
    stack: str,
    dataset: Dataset,
    train_dir: Path,
    progress: Progress,
    *,
    epochs: int,
    teachers: Sequence[Teacher],
) -> Accuracy:
    """A candidate's accuracy on the validation images after a short training.

    Resumes what an earlier search began. The test images are left out: they choose nothing.
    """
    recipe = replace(recipe_of(stack), epochs=epochs)
    if teachers:
        recipe = student_recipe(recipe, teachers)
    parts = split(dataset, recipe.data_seed, recipe.val_fraction)
    run = train(
        recipe,
        dataset,
        train_dir / stack,
        progress,
        splits=replace(parts, test=parts.test[:0]),
        teachers=teachers,
        resume=True,
    )
    assert run is not None  # one process alone
    validation = run.record["validation"]
    return Accuracy(validation["correct"], validation["n"])


def markdown(results: Sequence[SearchResult], *, epochs: int, distilled: bool) -> str:
    """A table for each member of the family."""
    how = "distilled" if distilled else "from the labels alone"
    trained = any(result.validation for result in results)
    accuracy = f"; validation accuracy after {epochs} epochs, {how}" * trained
    parts = ["# The architecture search for the edge family", ""]
    for result in results:
        budget = result.budget
        parts += [
            f"## {result.member}: no slower than {budget.reference}, {budget.reference_format}, "
            f"{result.reference_us:.1f} us",
            "",
            f"Int8 artifacts of random weights, batch 1, one thread, interleaved{accuracy}.",
            "",
            "| stack | MMAC | parameters | KB | onnxruntime | litert | ratio (95 %) | accuracy |",
            "|---|---|---|---|---|---|---|---|",
            *(_row(cost, result.validation.get(cost.stack)) for cost in result.costs),
            "",
        ]
    return "\n".join(parts)


def _row(cost: CandidateCost, validation: Accuracy | None) -> str:
    ratio = cost.ratio
    columns = (
        cost.stack,
        f"{cost.macs / 1e6:.1f}",
        f"{cost.parameters:,}",
        f"{cost.bytes / 1000:.0f}",
        f"{cost.onnxruntime_us:.1f} us",
        f"{cost.litert_us:.1f} us",
        f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})",
        "not trained" if validation is None else str(validation),
    )
    return f"| {' | '.join(columns)} |"
