"""Bundles in TensorFlow Lite Micro: memory, and the answers against LiteRT's on test images.

LiteRT answers twice: by XNNPACK, as a device runs it, and by its reference kernels, whose integer
arithmetic is TensorFlow Lite Micro's but for the last rounding in dense layers. XNNPACK rescales in
floating point, and so gives another of two neighbouring integers now and then.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from export.mcu.firmware import integer_artifact
from export.mcu.integer_model import IntegerModel, integer_model
from export.mcu.micro_engine import MicroEngine, find_arena_bytes, to_int8
from tinysight.bundle import Bundle
from tinysight.engines.litert import LiteRTEngine
from tinysight.preprocess import Pixels
from tinysight.provenance import read_provenance
from tinysight.stats import Accuracy
from training.progress import ProgressCallback

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Agreement:
    """TensorFlow Lite Micro's answers to labelled images against another interpreter's."""

    same_top1: int
    """Images on which both name the same class first."""
    equal_logits: float
    """The fraction of all logits, as int8, that are equal."""
    max_steps: int
    """The largest difference of a logit, in steps of the int8 output."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What TensorFlow Lite Micro answered to the test images."""

    accuracy: Accuracy
    litert_accuracy: Accuracy
    """By XNNPACK."""
    litert: Agreement
    litert_reference: Agreement


@dataclass(frozen=True, slots=True)
class MicrocontrollerFigures:
    """A bundle's int8 artifact on a microcontroller."""

    bundle: str
    artifact: str
    macs: int | None
    """Multiply-accumulates of one image; None where the bundle does not record them."""
    accuracy: Accuracy | None
    """As the bundle records it, in LiteRT."""
    flash_bytes: int
    """Of the model alone."""
    arena_bytes: int
    """With the reference kernels."""
    cmsis_scratch_bytes: int
    """What CMSIS-NN's convolutions want of the arena beside it, at most."""
    answers: Answers | None
    """None where no test images were given."""


def measure_microcontroller(
    bundle: Bundle,
    images: Pixels | None,
    targets: NDArray[np.int64] | None,
    progress: ProgressCallback,
) -> MicrocontrollerFigures:
    """Measures the bundle's artifact that computes in int8.

    Args:
        bundle: read from a folder.
        images: test images, uint8 (n, height, width, 3), or None.
        targets: their classes, int64 (n,).
        progress: told of each hundred images.

    Raises:
        ExportError: the bundle has no such artifact.
    """
    artifact = integer_artifact(bundle)
    content = bundle.read(artifact)
    model = integer_model(content)
    arena_bytes = find_arena_bytes(model)
    answers = None
    if images is not None and targets is not None:
        tell = partial(progress, f"{bundle.name}:")
        answers = compare_answers(content, MicroEngine(model, arena_bytes), images, targets, tell)
    provenance = read_provenance(bundle)
    return MicrocontrollerFigures(
        bundle=bundle.name,
        artifact=artifact.name,
        macs=None if provenance is None else provenance.training.macs,
        accuracy=artifact.accuracy,
        flash_bytes=len(model.content),
        arena_bytes=arena_bytes,
        cmsis_scratch_bytes=model.cmsis_scratch_bytes,
        answers=answers,
    )


def compare_answers(
    content: bytes,
    engine: MicroEngine,
    images: Pixels,
    targets: NDArray[np.int64],
    progress: Callable[[int, int], None],
) -> Answers:
    """Runs TensorFlow Lite Micro, and LiteRT by both kinds of kernels, on every image.

    Args:
        content: the artifact, a .tflite file.
        engine: its integer model.
        images: uint8 (n, height, width, 3).
        targets: int64 (n,).
        progress: told how many images of how many are done.
    """
    model = integer_model(content)
    xnnpack = LiteRTEngine(content, model.input_shape[:2], model.classes)
    micro, fast, exact = [], [], []
    for start in range(0, len(images), _BATCH):
        progress(start, len(images))
        batch = images[start : start + _BATCH]
        micro.append(engine.outputs(batch))
        fast.append(_as_int8(xnnpack.run(batch), model))
        exact.append(_reference_outputs(model, batch))
    outputs, xnnpack_outputs = np.concatenate(micro), np.concatenate(fast)
    return Answers(
        accuracy=_accuracy(outputs, targets),
        litert_accuracy=_accuracy(xnnpack_outputs, targets),
        litert=_agreement(outputs, xnnpack_outputs),
        litert_reference=_agreement(outputs, np.concatenate(exact)),
    )


def _as_int8(logits: NDArray[np.float32], model: IntegerModel) -> NDArray[np.int8]:
    """The outputs before DEQUANTIZE."""
    return np.asarray(np.rint(logits / model.output_scale) + model.output_zero_point).astype(
        np.int8
    )


def _reference_outputs(model: IntegerModel, images: Pixels) -> NDArray[np.int8]:
    interpreter = Interpreter(
        model_content=model.content, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    image, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.resize_tensor_input(image["index"], images.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(image["index"], to_int8(images))
    interpreter.invoke()
    outputs: NDArray[np.int8] = interpreter.get_tensor(output["index"])
    return outputs


def _accuracy(outputs: NDArray[np.int8], targets: NDArray[np.int64]) -> Accuracy:
    return Accuracy(int((outputs.argmax(axis=1) == targets).sum()), len(targets))


def _agreement(outputs: NDArray[np.int8], others: NDArray[np.int8]) -> Agreement:
    return Agreement(
        same_top1=int((outputs.argmax(axis=1) == others.argmax(axis=1)).sum()),
        equal_logits=float((outputs == others).mean()),
        max_steps=int(np.abs(outputs.astype(int) - others.astype(int)).max()),
    )
