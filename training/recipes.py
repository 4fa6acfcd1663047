"""A recipe: everything that decides how a model is trained, except the data.

Needs no TensorFlow, so that `python -m training --help` answers at once.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from training.conv_stack import STACKS, Stack
from training.recipe_options import (
    FRACTION,
    FRACTION_ABOVE_0,
    FRACTION_BELOW_1,
    NON_NEGATIVE,
    POSITIVE,
    POSITIVE_COUNT,
    Interval,
    check_ranges,
    option,
    words,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one training run, as run.json holds them.

    Each field with an `option` is a command line option of the same name.
    """

    model: str
    """A name of `RECIPES`, or a stack of convolutions (`training.conv_stack`)."""
    epochs: int = option(10, "passes over the training images", POSITIVE_COUNT)
    batch_size: int = option(32, "images per step, summed over all devices", POSITIVE_COUNT)
    learning_rate: float = option(
        1e-3, "Adam's constant learning rate, or the peak rate of sgd and muon", POSITIVE
    )
    val_fraction: float = option(
        0.2,
        "fraction of the training images that is held out for validation, where the data has no "
        "validation part",
        Interval(0, 1, low_open=True, high_open=True),
    )
    seed: int = option(
        0,
        "random seed of split, initial weights, image order, augmentation and dropout",
        NON_NEGATIVE,
    )
    split_seed: int | None = None
    """Seed of split and augmentation where it is not `seed`: a student takes its teacher's."""

    optimizer: Literal["adam", "sgd", "muon"] = option(
        "adam",
        "optimizer: adam, sgd (Nesterov momentum 0.9), or muon, which needs batch normalization "
        "after every convolution; sgd and muon use a triangular schedule",
    )
    """See `training.optim.build` for the schedule and `training.optim.muon` for Muon."""
    layer_decay: float = option(
        1.0,
        "factor of the learning rate from one convolution of the edge family to the one before; "
        "below 1, early layers change less, which serves weights that are started from; needs sgd",
        FRACTION_ABOVE_0,
    )
    """See `training.optim.layerwise`."""
    label_smoothing: float = option(
        0.0, "probability that is spread evenly over all classes of the label", FRACTION_BELOW_1
    )
    l2: float = option(
        0.0, "L2 penalty on the kernels of convolutions and dense layers", NON_NEGATIVE
    )
    augment: bool = option(
        False,
        "flip half of the images horizontally (--no-flip does not), and shift each by up to 1/8 of "
        "its side",
    )
    flip: bool = option(
        True,
        "whether --augment also flips; digits, letters and arrows are something else in the "
        "mirror. Where weights are started from, it is off if mirrored training images are "
        "recognized significantly less",
    )
    alternate_flips: bool = option(
        False, "flip each image in every second epoch instead of at random; needs --augment"
    )
    """Jordan (2024), airbench: both views are then seen equally often."""
    cutout: float = option(
        0.0,
        "side of the grey square that erases a part of each training image, as a fraction of the "
        "image's side",
        FRACTION_BELOW_1,
    )
    branches: bool = option(
        False,
        "train the edge family with a 1x1 and an identity branch beside each 3x3 convolution, "
        "which are merged into it when the training ends (RepVGG)",
    )
    """See `training.models.branches`."""
    ema_decay: float = option(
        0.0,
        "decay per step of the moving average of the weights, which is validated and saved in "
        "place of them; 0 disables it",
        FRACTION_BELOW_1,
    )
    outliers: float = option(
        0.0,
        "pictures of no class that each epoch shows beside the training images, as a fraction of "
        "their number; every class is equally right for them, so that the model is unsure of what "
        "it does not know (outlier exposure)",
        NON_NEGATIVE,
    )
    """See `training.data.outliers`."""
    unknown: str | None = None
    """SHA-256 of the user's own pictures of no class; None where all of them are made."""
    pretrained: str | None = None
    """SHA-256 of the weights that the training starts from (`training.pretrained`); None is from
    random weights."""
    teacher: str | None = None
    """SHA-256 of the teacher's model file; of several teachers, with commas between. None trains
    on the labels alone, and the distillation options have no effect."""
    temperature: float = option(
        2.0,
        "softmax temperature of the distillation loss, for teacher and student",
        POSITIVE,
        distillation=True,
    )
    teacher_weight: float = option(
        0.9,
        "weight of the distillation loss; the rest is the weight of the loss on labels",
        FRACTION,
        distillation=True,
    )
    mixup: float = option(
        0.0,
        "fraction of the images that is blended with another training image; above 0, the "
        "teacher weight must be 1, since blended images have no label",
        FRACTION,
        distillation=True,
    )
    teacher_views: int = option(
        16,
        "augmented views of the training images for which the teacher's logits are computed and "
        "cached; the epochs cycle through them",
        POSITIVE_COUNT,
        distillation=True,
    )
    preprocessing: Literal["unit", "imagenet"] = option(
        "unit",
        "input of vgg16_frozen: unit, pixels in [0, 1], or imagenet, BGR pixels of 0 to 255 minus "
        "ImageNet's mean",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "float32",
        "arithmetic of the training; weights are always float32; auto takes what the hardware "
        "is fastest at",
    )
    """See `training.optim.precision`."""
    xla: bool | None = option(
        None,
        "compile the training step with XLA; slower on a CPU; not for several devices",
    )
    """See `training.optim.xla`, also for what None is."""
    deterministic: bool = option(
        False, "use deterministic kernels: bit-identical results on one machine, but slower"
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.split_seed is not None and self.split_seed < 0:
            raise ValueError(f"split seed must be at least 0, not {self.split_seed}")
        if self.alternate_flips and not self.augment:
            raise ValueError("alternate flips must come with augmentation: they need --augment")
        if self.cutout and not self.augment:
            raise ValueError("cutout must come with augmentation: it needs --augment")
        if self.mixup and self.teacher is not None and not self.augment:
            raise ValueError("mixup must come with augmentation: it needs --augment")
        if self.augment and self.model == "vgg16_frozen":
            raise ValueError(
                "vgg16_frozen is trained on features, which are computed once: omit --augment"
            )
        if self.l2 and self.model in WITHOUT_L2:
            raise ValueError(f"{self.model} has no L2 penalty")
        if self.alternate_flips and not self.flip:
            raise ValueError("alternate flips must be flips: they need --flip")
        if self.layer_decay < 1 and self.optimizer != "sgd":
            raise ValueError("a layer decay below 1 needs --optimizer sgd")
        if self.pretrained is not None and self.branches:
            raise ValueError("weights that are started from have no branches: omit --branches")
        if self.outliers and self.model == "vgg16_frozen":
            raise ValueError("outliers need a model that is trained on images, not on features")
        if self.unknown is not None and not self.outliers:
            raise ValueError("pictures of no class need --outliers above 0")
        if self.branches and not _is_stack(self.model):
            raise ValueError(f"{self.model} has no branches: they are for the edge family")
        if self.mixup and self.teacher_weight < 1:
            raise ValueError("teacher weight must be 1 where mixup is above 0")

    @property
    def data_seed(self) -> int:
        """Seed of the split and the augmentation."""
        return self.seed if self.split_seed is None else self.split_seed

    def view(self, epoch: int) -> int:
        """Which augmented view of the images `epoch`, counted from 0, sees.

        Each epoch has its own; a student cycles through those that its teacher has answered.
        """
        return epoch if self.teacher is None else epoch % self.teacher_views


WITHOUT_L2 = frozenset({"baseline", "baseline_distilled", "vgg16_frozen"})
"""The notebook's networks, which are as they were."""


def _is_stack(model: str) -> bool:
    try:
        return model in STACKS or bool(Stack.parse(model))
    except ValueError:
        return False


_BATCH_NORMALIZED = Recipe(
    "",
    epochs=40,
    batch_size=512,
    optimizer="sgd",
    learning_rate=0.4,
    label_smoothing=0.1,
    l2=2.5e-4,
    augment=True,
    alternate_flips=True,
    ema_decay=0.99,
    teacher_weight=1.0,
    teacher_views=8,
    mixup=0.5,
    val_fraction=0.1,
    precision="auto",
)
"""For small networks with batch normalization: David Page (2018), How to Train Your ResNet, with
the additions of airbench (Jordan 2024)."""

_MUON = dataclasses.replace(_BATCH_NORMALIZED, optimizer="muon", learning_rate=0.04, l2=0.0)
"""The same by Muon, where every convolution is followed by a batch normalization and nothing is
added: it gets further in as many epochs (benchmarks/results/edge/tried.md)."""

OUTLIERS = 0.25
"""Of the number of training images, where the user gives pictures of no class and no number."""

_STEPS = 30
"""In an epoch of fine-tuning, where the batch size is between its bounds."""
_FINETUNING_STEPS = 1300
"""In all, where the number of epochs is between its bounds. With 20 images a class, 500 steps were
about two points worse on digits and on emoji."""
_FINETUNING_EPOCHS = (10, 100)
"""Bounds of the number of epochs."""
_FEW_IMAGES = 1000
"""With fewer, a fifth of them validates: a tenth of ten pictures a class is none of some."""
_RATE_PER_IMAGE = 0.1 / 32
"""Learning rate over batch size of fine-tuning."""

_UPSAMPLED = Recipe(
    "vgg16_upsampled",
    epochs=8,
    batch_size=256,
    optimizer="sgd",
    learning_rate=0.03,
    label_smoothing=0.1,
    l2=5e-4,
    augment=True,
    alternate_flips=True,
    cutout=0.25,
    val_fraction=0.1,
    precision="auto",
)
"""How the values were chosen: benchmarks/results/vgg16/tried.md."""

RECIPES = {
    # Exactly the seed notebook's.
    "baseline": Recipe("baseline"),
    # The notebook's network alone. By Muon it trains without batch normalization too, where SGD
    # diverges in some runs; it has too few parameters for mixup (benchmarks/results/edge/tried.md).
    "baseline_distilled": dataclasses.replace(
        _MUON,
        model="baseline_distilled",
        epochs=60,
        learning_rate=0.02,
        mixup=0.0,
        label_smoothing=0.0,
    ),
    "vgg16_frozen": Recipe(
        "vgg16_frozen", epochs=20, batch_size=256, preprocessing="imagenet", precision="auto"
    ),
    "vgg16_finetuned": dataclasses.replace(
        _MUON, model="vgg16_finetuned", epochs=15, learning_rate=0.02, cutout=0.25
    ),
    "vgg16_upsampled": _UPSAMPLED,
    "airbench": dataclasses.replace(_MUON, model="airbench", epochs=16, cutout=0.25),
    "airbench_wide": dataclasses.replace(_MUON, model="airbench_wide", epochs=16, cutout=0.25),
    "edge_s": dataclasses.replace(_MUON, model="edge_s", epochs=60),
    "edge_m": dataclasses.replace(_MUON, model="edge_m", epochs=100),
    "edge_l": dataclasses.replace(_MUON, model="edge_l", epochs=50),
    "resnet8": dataclasses.replace(_BATCH_NORMALIZED, model="resnet8", epochs=30),
    "resnet20": dataclasses.replace(_BATCH_NORMALIZED, model="resnet20", epochs=40),
}
"""The default recipe by model name; `training.models.registry` has the models."""

DISTILL_ONLY = frozenset({"baseline_distilled"})
"""Models that cannot be trained without a teacher."""
RUN_ONLY = frozenset({"vgg16_frozen"})
"""Models that cannot be distilled: a teacher's logits are for augmented images, of which a frozen
base would have to be computed anew in every epoch."""

SPLIT_OF_TEACHER = ("val_fraction",)
"""Fields of a recipe that a student takes over from its teachers."""


def recipe_of(model: str) -> Recipe:
    """The default recipe of a model; that of edge_s for any stack (`training.conv_stack`).

    Raises ValueError for what is neither.
    """
    if model in RECIPES:
        return RECIPES[model]
    return dataclasses.replace(RECIPES["edge_s"], model=str(Stack.parse(model)))


def with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """A recipe with other values of some fields, by name.

    Without augmentation there is neither cutout nor mixup, and nothing is flipped.

    Raises ValueError for a value, TypeError for a name that there is not.
    """
    if not settings.get("augment", True):
        recipe = dataclasses.replace(recipe, alternate_flips=False, cutout=0.0, mixup=0.0)
    elif not settings.get("flip", True):
        recipe = dataclasses.replace(recipe, alternate_flips=False)
    return dataclasses.replace(recipe, **settings)


def finetuned(recipe: Recipe, images: int, sha256: str) -> Recipe:
    """The recipe of a training that starts from trained weights.

    Batch size and epochs follow from the number of images, so that a training has enough steps
    with few of them, and no more work than it needs with many.

    Args:
        recipe: the model's default one.
        images: training and validation images.
        sha256: of the weights.
    """
    batch_size = min(max(2 ** round(math.log2(max(images, 1) / _STEPS)), 16), 256)
    steps = math.ceil(max(images, 1) / batch_size)
    fewest, most = _FINETUNING_EPOCHS
    return dataclasses.replace(
        recipe,
        pretrained=sha256,
        optimizer="sgd",
        layer_decay=0.9,
        batch_size=batch_size,
        # In proportion to the batch size: Goyal et al. (2017), arXiv 1706.02677.
        learning_rate=_RATE_PER_IMAGE * batch_size,
        epochs=min(max(round(_FINETUNING_STEPS / steps), fewest), most),
        l2=5e-4,
        cutout=0.25,
        ema_decay=0.0,
        branches=False,
        val_fraction=0.2 if images < _FEW_IMAGES else recipe.val_fraction,
    )


def options(recipe: Recipe, images: int = 0) -> list[str]:
    """The command line options by which a recipe differs from its model's default recipe.

    For `python -m training distill` where the recipe has a teacher, else for `run`; the split seed
    follows from the teacher, and `--from` is not among them.

    Args:
        recipe: of a run.
        images: training and validation images; used where the recipe starts from trained weights.
    """
    usual = recipe_of(recipe.model)
    if recipe.pretrained is not None:
        usual = finetuned(usual, images, recipe.pretrained)
    if recipe.teacher is None:
        return words(recipe, usual, distillation=False)
    return words(recipe, usual, distillation=True, without=SPLIT_OF_TEACHER)
