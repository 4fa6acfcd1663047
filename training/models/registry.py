"""The models by name: each takes float pixels in [0, 1], NHWC, and gives logits."""

from typing import Any

from training.models import airbench, edge, resnet, vgg16
from training.models.baseline import Shape, baseline
from training.recipes import Recipe


def build(recipe: Recipe, shape: Shape, classes: int) -> Any:
    """A new model with random weights, for what is trained end to end."""
    if recipe.model == "baseline":
        return baseline(shape, classes)
    if recipe.model == "baseline_distilled":
        # The same network on a device. Dropout guards against learning by heart, which a network
        # so small does not when a teacher answers for ever new images.
        return baseline(shape, classes, dropout=0.0)
    if recipe.model in resnet.BLOCKS:
        return resnet.build(recipe.model, shape, classes, recipe.l2)
    if recipe.model == "airbench":
        return airbench.build(shape, classes, recipe.l2)
    if recipe.model == "vgg16_finetuned":
        return vgg16.finetuned(shape, classes, recipe.l2)
    if recipe.model == "vgg16_enlarged":
        return vgg16.finetuned(shape, classes, recipe.l2, upsampled=True)
    # A member of the edge family, or a stack as the search for it writes them.
    return edge.build(recipe.model, shape, classes, recipe.l2)
