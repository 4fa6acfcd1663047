"""The models by name: how each is built, what its weights start from, how it is trained.

Every model takes float32 pixels in [0, 1], (n, height, width, 3), and gives logits (n, classes).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.conv_stack import STACKS
from training.models import airbench, edge, resnet, vgg16
from training.models.baseline import Shape, baseline
from training.models.vgg16 import ImagenetWeights
from training.recipes import RECIPES, Recipe, recipe_of

SomeImages = Callable[[int], NDArray[np.uint8]]
"""Gives n training images, of all classes, or all: uint8 (n, height, width, 3)."""


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a training needs to know of a model."""

    recipe: Recipe
    """The default one."""
    build: Callable[[Recipe, Shape, int], Any]
    """Recipe, image shape and number of classes to a new model with random weights. With a
    `frozen_base`, the shape is that of the base's features, and the model is the head."""
    initialize: Callable[[Any, SomeImages, ImagenetWeights | None], None] | None = None
    """Sets weights of a new model that are not random; not called when a run is resumed."""
    deployed: Callable[[Recipe, Any], Any] = lambda recipe, model: model  # noqa: ARG005
    """From a recipe and its trained model to the one that is saved, which computes the same."""
    needs_imagenet_weights: bool = False
    frozen_base: Callable[[Recipe, Shape, ImagenetWeights], Any] | None = None
    """Builds the base whose features are computed once, and on which the head is trained."""
    min_side: int = 16
    """Of the images, pixels: with less, its poolings leave nothing."""


def spec_of(model: str) -> ModelSpec:
    """The model of a name, or of any stack. Raises ValueError for what is neither."""
    return (
        MODELS[model] if model in MODELS else ModelSpec(recipe_of(model), _edge, deployed=_merged)
    )


def build(recipe: Recipe, shape: Shape, classes: int) -> Any:
    """A new model with random weights; of a model with a frozen base, its head."""
    return spec_of(recipe.model).build(recipe, shape, classes)


def _edge(recipe: Recipe, shape: Shape, classes: int) -> Any:
    return edge.build(recipe.model, shape, classes, recipe.l2, branches=recipe.branches)


def _merged(recipe: Recipe, model: Any) -> Any:
    return edge.merged(model) if recipe.branches else model


def _resnet(recipe: Recipe, shape: Shape, classes: int) -> Any:
    return resnet.build(recipe.model, shape, classes, recipe.l2)


def _baseline(recipe: Recipe, shape: Shape, classes: int) -> Any:  # noqa: ARG001
    return baseline(shape, classes)


def _baseline_distilled(recipe: Recipe, shape: Shape, classes: int) -> Any:  # noqa: ARG001
    # The same network at inference. Dropout is there against overfitting, which a network this
    # small does not when a teacher labels every augmented view.
    return baseline(shape, classes, dropout=0.0)


def _airbench(recipe: Recipe, shape: Shape, classes: int) -> Any:
    return airbench.build(recipe.model, shape, classes, recipe.l2)


def _whiten(model: Any, some_images: SomeImages, weights: ImagenetWeights | None) -> None:
    assert weights is None
    airbench.whiten(model, some_images(airbench.WHITENING_IMAGES))


def _vgg16(recipe: Recipe, shape: Shape, classes: int, *, upsampled: bool) -> Any:
    return vgg16.finetuned(shape, classes, recipe.l2, upsampled=upsampled)


def _load_kernels(model: Any, some_images: SomeImages, weights: ImagenetWeights | None) -> None:  # noqa: ARG001
    assert weights is not None
    weights.load_into(model, rgb=True)


def _match_features(model: Any, some_images: SomeImages, weights: ImagenetWeights | None) -> None:
    assert weights is not None
    vgg16.init_from_imagenet(model, weights, some_images(vgg16.STATISTICS_IMAGES))


def _head(recipe: Recipe, shape: Shape, classes: int) -> Any:  # noqa: ARG001
    return vgg16.head(shape, classes)


def _frozen_base(recipe: Recipe, shape: Shape, weights: ImagenetWeights) -> Any:
    base = vgg16.frozen_base(shape, recipe.preprocessing)
    weights.load_into(base)
    return base


def _specs() -> dict[str, ModelSpec]:
    specs = {
        "baseline": ModelSpec(RECIPES["baseline"], _baseline, min_side=22),
        "baseline_distilled": ModelSpec(
            RECIPES["baseline_distilled"], _baseline_distilled, min_side=22
        ),
        "vgg16_frozen": ModelSpec(
            RECIPES["vgg16_frozen"],
            _head,
            needs_imagenet_weights=True,
            frozen_base=_frozen_base,
            min_side=vgg16.MIN_SIDE,
        ),
        "vgg16_finetuned": ModelSpec(
            RECIPES["vgg16_finetuned"],
            partial(_vgg16, upsampled=False),
            _load_kernels,
            needs_imagenet_weights=True,
        ),
        "vgg16_upsampled": ModelSpec(
            RECIPES["vgg16_upsampled"],
            partial(_vgg16, upsampled=True),
            _match_features,
            needs_imagenet_weights=True,
        ),
    }
    specs |= {name: ModelSpec(RECIPES[name], _airbench, _whiten) for name in airbench.WIDTHS}
    specs |= {name: ModelSpec(RECIPES[name], _edge, deployed=_merged) for name in STACKS}
    specs |= {name: ModelSpec(RECIPES[name], _resnet) for name in resnet.BLOCKS}
    return specs


MODELS = _specs()
"""By model name, for each of `training.recipes.RECIPES`."""
