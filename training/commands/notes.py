"""What a training says beside its figures."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from training.conv_stack import STACKS, Stack
from training.recipes import Recipe

if TYPE_CHECKING:
    from training.data import Dataset
    from training.distillation.teacher import Teacher
    from training.run_folder import Run

_FEW_STEPS = 10
"""Per epoch: with fewer, a short training with large batches hardly learns."""


def note_on_work(model: str, dataset: "Dataset") -> str | None:
    """What an image costs a device, which grows with its area; of the edge family and stacks."""
    try:
        stack = STACKS[model] if model in STACKS else Stack.parse(model)
    except ValueError:
        return None
    height, width = dataset.images.shape[1:3]
    macs = stack.multiply_accumulates(height, width, len(dataset.labels))
    return f"{model} at {height} x {width}: {macs / 1e6:.1f} million multiply-accumulates an image."


def note_on_steps(recipe: Recipe, dataset: "Dataset") -> str | None:
    """A hint where an epoch has very few steps; the recipes were tuned on 45,000 images."""
    if recipe.pretrained is not None:  # its recipe follows from the number of images
        return None
    own_val = "val" in dataset.parts
    images = len(dataset.parts["train"]) * (1 if own_val else 1 - recipe.val_fraction)
    steps = math.ceil(images / recipe.batch_size)
    if steps >= _FEW_STEPS:
        return None
    return (
        f"Note: an epoch has {steps} step{'s' * (steps > 1)} of {recipe.batch_size} images. With "
        "so few, a smaller --batch-size with a proportionally smaller --learning-rate may be more "
        "accurate."
    )


def note_on_teachers(run: "Run", teachers: Sequence["Teacher"]) -> str | None:
    """A warning where a student has nothing to learn: a teacher is no better than itself."""
    own = run.result.validation
    for teacher in teachers:
        accuracy = teacher.run.result.validation
        if accuracy.value <= own.value:
            return (
                f"Warning: the teacher {teacher.run.folder} is not better than its student on "
                f"validation ({accuracy.value:.2%} against {own.value:.2%}): `python -m training "
                "run`, without a teacher, may be as good."
            )
    return None
