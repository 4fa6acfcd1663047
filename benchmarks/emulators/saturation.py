"""What export predicts of sums in 16 bits, against what an emulated x86 without VNNI answers.

`export.validation.int16_saturation` says which answers change on such CPUs, from arithmetic alone.
Here the real kernels are asked, image by image: for a bundle's artifact as it is, whose first layer
has 7-bit weights, and for the same with the eighth bit given back.
"""

import dataclasses
import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.emulators.answers import answer_on
from benchmarks.emulators.cpus import CPUS, EmulatedCpu
from export.passes import ExportError, Graph
from export.quantization.first_layer import quantizable
from export.validation.int16_saturation import predict_saturation
from tinysight.bundle import Bundle
from tinysight.preprocess import Pixels
from training.progress import ProgressCallback

_EXACT = CPUS["Nehalem"]
"""Its kernels, of SSE4.1, sum products in 32 bits: the reference, whatever the workstation is."""
_BATCH = 50
"""Images whose sums are predicted at once: a wide layer's take some 100 MB."""


@dataclass(frozen=True, slots=True)
class SaturationCheck:
    """Predicted and real answers of one artifact on one CPU."""

    artifact: str
    first_layer_bits: int
    cpu: str
    images: int
    predicted_flips: int
    """Images whose top-1 saturation changes, by export's prediction."""
    real_flips: int
    """Images whose top-1 differs between the emulated CPU and exact arithmetic."""
    common_flips: int
    """Images that are among both, with the same new top-1."""
    predicted_difference: float
    """The largest difference of a logit from exact arithmetic, as predicted."""
    real_difference: float
    """The same, as the emulated CPU answers."""
    largest_error: float
    """The largest difference between a predicted logit and the emulated CPU's."""
    spread: float
    """Of the exact logits: max - min."""

    DERIVED: ClassVar = ("agrees",)

    def __post_init__(self) -> None:
        if not 0 <= self.common_flips <= min(self.predicted_flips, self.real_flips) <= self.images:
            raise ValueError("more flips in common than there are")

    @property
    def agrees(self) -> bool:
        """Whether the same images flip but for a tenth of them."""
        return self.common_flips >= 0.9 * max(self.predicted_flips, self.real_flips)


def check_saturation(
    bundle: Bundle, images: Pixels, cpu: EmulatedCpu, progress: ProgressCallback
) -> Iterator[SaturationCheck]:
    """Compares for the bundle's default artifact, as it is and with a first layer of eight bits.

    Args:
        bundle: read from a folder; its default artifact is an 8-bit one.
        images: uint8 (n, height, width, 3).
        cpu: one of x86.
        progress: told what is running.

    Raises:
        EmulatorError: the CPU cannot be emulated here.
        ExportError: no layer of the artifact multiplies bytes.
    """
    exported = onnx.load_model_from_string(bundle.read(bundle.artifact()))
    for bits, model in ((7, exported), (8, widen_first_layer(exported))):
        content = model.SerializeToString()
        progress(f"{bits} bits: predicting", 0, 0)
        exact, predicted = _predict(model, images)
        progress(f"{bits} bits: emulating {cpu.name}", 0, 0)
        real = _answers(cpu, bundle, content, images)
        progress(f"{bits} bits: emulating {_EXACT.name}", 0, 0)
        reference = _answers(_EXACT, bundle, content, images)
        yield _compare(bundle.default, bits, cpu.name, (exact, predicted), (reference, real))


def widen_first_layer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Gives the first layer's weights their eighth bit back: `reduce_range` undone.

    Weights and bias double and their scales halve, so that the layer computes the same, but for
    weights of 64, which become 127. Raises ExportError where the layer has no int8 weights, or
    where they have eight bits already.
    """
    graph = Graph.copy_of(model)
    first = next(node for node in graph.nodes if node.name == quantizable(model)[0])
    for name in first.input[1:]:
        source = graph.producer(name)
        values, scale = (None, None) if source is None else map(graph.constant, source.input[:2])
        if source is None or values is None or scale is None:
            raise ExportError(f"{first.name} has no int8 weights")
        limits = np.iinfo(values.dtype)
        if values.dtype == np.int8 and np.abs(values.astype(int)).max() > 64:
            raise ExportError(f"{first.name} has weights of eight bits already")
        doubled = np.clip(values.astype(np.int64) * 2, limits.min, limits.max)
        graph.set_constant(source.input[0], doubled.astype(values.dtype))
        graph.set_constant(source.input[1], scale / np.float32(2))
    return graph.finished()


def _predict(
    model: onnx.ModelProto, images: Pixels
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits of exact arithmetic and of saturating sums, both (n, classes)."""
    exact, saturated = [], []
    for start in range(0, len(images), _BATCH):
        found = predict_saturation(model, images[start : start + _BATCH])
        if found is None:
            raise ExportError("no layer of the artifact could saturate")
        exact.append(found.exact)
        saturated.append(found.saturated)
    return np.concatenate(exact), np.concatenate(saturated)


def _answers(
    cpu: EmulatedCpu, bundle: Bundle, content: bytes, images: Pixels
) -> NDArray[np.float32]:
    """Logits of a model file in the place of the bundle's default artifact, (n, classes)."""
    artifact = dataclasses.replace(
        bundle.artifact(),
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        accuracy=None,
        golden=None,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        changed = dataclasses.replace(bundle, artifacts=(artifact,), provenance=None, folder=folder)
        (folder / artifact.file).write_bytes(content)
        (folder / "bundle.json").write_text(changed.as_text(), encoding="utf-8")
        return answer_on(cpu, changed, artifact, images).logits


def _compare(
    artifact: str,
    bits: int,
    cpu: str,
    predicted: tuple[NDArray[np.float32], NDArray[np.float32]],
    real: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> SaturationCheck:
    """Each pair is the logits (n, classes) of exact arithmetic and of saturating sums."""
    new_by_prediction, new_really = (saturated.argmax(axis=1) for _, saturated in (predicted, real))
    flips_by_prediction, flips_really = (
        saturated.argmax(axis=1) != exact.argmax(axis=1) for exact, saturated in (predicted, real)
    )
    common = flips_by_prediction & flips_really & (new_by_prediction == new_really)
    return SaturationCheck(
        artifact=artifact,
        first_layer_bits=bits,
        cpu=cpu,
        images=len(real[0]),
        predicted_flips=int(flips_by_prediction.sum()),
        real_flips=int(flips_really.sum()),
        common_flips=int(common.sum()),
        predicted_difference=float(np.abs(predicted[1] - predicted[0]).max()),
        real_difference=float(np.abs(real[1] - real[0]).max()),
        largest_error=float(np.abs(predicted[1] - real[1]).max()),
        spread=float(np.ptp(real[0])),
    )
