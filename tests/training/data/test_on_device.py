"""Images on the device are the pipeline's, bit for bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from tensorflow.python.framework import kernels

from tests.training.recorded_progress import RecordedProgress
from training.data import Splits
from training.data.on_device import DeviceImages
from training.distillation.teacher import TeacherLogits
from training.epochs import FitContext, fit
from training.recipes import Recipe
from training.tf_keras_setup import keras, tf

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
TARGETS = RNG.integers(0, 3, 60)
SPLITS = Splits(np.arange(3, 50), np.arange(50, 60), np.arange(3))


def _context(recipe: Recipe, out: Path, logits: TeacherLogits | None = None) -> FitContext:
    return FitContext(
        recipe=recipe,
        values=IMAGES,
        targets=TARGETS,
        splits=SPLITS,
        checkpoints=out,
        devices=tf.distribute.get_strategy(),
        progress=RecordedProgress(),
        teacher_logits=logits,
    )


PLAIN = Recipe("baseline", batch_size=8)
AUGMENTED = replace(PLAIN, augment=True, cutout=0.25, alternate_flips=True)


def _student() -> tuple[Recipe, TeacherLogits]:
    recipe = replace(AUGMENTED, teacher="0" * 64, mixup=0.8, teacher_weight=1.0)
    logits = RNG.normal(size=(3, len(SPLITS.train), 3)).astype(np.float16)
    return recipe, TeacherLogits(logits.__getitem__, of_mirrors=True, seconds=0.0)


def test_a_student_that_must_not_be_flipped_sees_no_mirrors(tmp_path: Path) -> None:
    """Also where its teacher answers mirrors, which are then shown in every second cycle."""
    recipe, logits = _student()
    for flip in (True, False):
        student = replace(recipe, flip=flip, alternate_flips=flip, teacher_views=3)
        context = _context(student, tmp_path, logits)
        flipped = []
        for epoch in range(6):
            params = context.augmentation(epoch)
            assert params is not None
            flipped.append(params.places[:, 2])
        if flip:
            np.testing.assert_array_equal(flipped[3], 1 - flipped[0])
        else:
            assert not np.any(flipped)


CASES = {"plain": (PLAIN, None), "augmented": (AUGMENTED, None), "student": _student()}


@pytest.mark.parametrize("kind", CASES)
def test_three_epochs_equal_the_pipeline_bit_for_bit(kind: str, tmp_path: Path) -> None:
    recipe, logits = CASES[kind]
    context = _context(recipe, tmp_path, logits)
    images = DeviceImages(IMAGES)
    params = context.augmentation(0)
    seen: list[Any] = []

    @tf.function  # type: ignore[untyped-decorator]
    def pixels(rows: Any) -> Any:
        return images.pixels(rows, params)

    for epoch in range(3):
        ours = list(context.training_batches(epoch, images))
        theirs = list(context.training_batches(epoch, None).as_numpy_iterator())
        assert [len(targets) for _, targets in ours] == [8] * 5 + [7]
        for (rows, targets), (expected, expected_targets) in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(pixels(rows), expected)
            np.testing.assert_array_equal(targets, expected_targets)
        seen.append(np.concatenate([part for part, _ in theirs]))
    if kind != "plain":
        assert not np.array_equal(np.sort(seen[0], axis=0), np.sort(seen[1], axis=0))


@pytest.mark.skipif(not tf.test.is_built_with_cuda(), reason="TensorFlow without GPU kernels")
@pytest.mark.parametrize("kind", ["augmented", "student"])
def test_every_operation_of_the_augmentation_has_a_gpu_kernel(kind: str) -> None:
    """As TensorFlow registers them, whether there is a GPU or not; else images leave the device."""
    recipe, logits = CASES[kind]
    context = _context(recipe, Path(), logits)
    images, params = DeviceImages(IMAGES), context.augmentation(0)
    rows = next(iter(context.training_batches(0, images)))[0]
    pixels = tf.function(lambda rows: images.pixels(rows, params), reduce_retracing=True)
    graph = pixels.get_concrete_function(rows).graph
    operations = [one for one in graph.get_operations() if one.type != "Placeholder"]
    assert {"ResourceGather", "GatherV2", "SelectV2"} <= {one.type for one in operations}
    assert [one.name for one in operations if not _has_gpu_kernel(one)] == []
    # int32 is computed in the host's memory: nothing of the size of a batch's pixels may be.
    large = [out for one in operations for out in one.outputs if (out.shape.rank or 0) > 2]
    assert large
    assert [out.name for out in large if out.dtype == tf.int32] == []


def _has_gpu_kernel(operation: Any) -> bool:
    def runs(kernel: Any) -> bool:
        return all(
            operation.node_def.attr[one.name].type in one.allowed_values.list.type
            for one in kernel.constraint
        )

    registered = kernels.get_registered_kernels_for_op(operation.type).kernel
    return any(one.device_type in ("GPU", "DEFAULT") and runs(one) for one in registered)


def test_training_and_resuming_end_where_the_pipeline_ends(tmp_path: Path) -> None:
    """The validation images, which are not augmented, come from the device too."""

    def trained(name: str, on_device: bool, epochs: int) -> list[float]:
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        recipe = replace(AUGMENTED, epochs=epochs)
        context = replace(_context(recipe, tmp_path / name), on_device=on_device)
        return [row[part] for row in fit(model, context) for part in ("loss", "val_loss")]

    expected = trained("pipeline", on_device=False, epochs=3)
    assert trained("device", on_device=True, epochs=3) == pytest.approx(expected, rel=1e-5)
    trained("resumed", on_device=True, epochs=2)
    assert trained("resumed", on_device=True, epochs=3) == pytest.approx(expected, rel=1e-5)
