"""A recipe: everything that decides how a model is trained, but for the data itself."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

from training.conv_stack import Stack


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one training run, as they are written to run.json."""

    model: str
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    """The only one of Adam; the peak of SGD's."""
    val_fraction: float = 0.2
    """Of the training part, where the data brings no validation part of its own."""
    seed: int = 0
    """Decides the split, the initial weights, the order of images, augmentation and dropout."""
    split_seed: int | None = None
    """Of split and augmentation, where it is not `seed`: a student's are its teacher's."""

    optimizer: Literal["adam", "sgd", "muon"] = "adam"
    """Adam as Keras sets it; or SGD with Nesterov momentum 0.9, or Muon (`training.optim.muon`),
    whose rates rise in a straight line over the first fifth of all steps and fall in one to zero
    over the rest."""
    label_smoothing: float = 0.0
    l2: float = 0.0
    """On the kernels of convolutions and dense layers."""
    augment: bool = False
    """Mirrors half the images, and shifts each by up to an eighth of its side."""
    alternate_flips: bool = False
    """Mirrors each image in every second epoch instead (Jordan 2024, airbench): both views are
    seen equally often."""
    cutout: float = 0.0
    """Erases a square of this part of the side from each training image."""
    small_epochs: int = 0
    """So many first epochs see images of three quarters the side, at less work."""
    ema_decay: float = 0.0
    """What a step leaves of the moving average of all weights, which is evaluated and saved
    in place of the last ones; 0 for none."""
    teacher: str | None = None
    """SHA-256 of the model that teaches, or of each that does, with commas between; None learns
    from the labels alone, and what follows of teachers then means nothing."""
    temperature: float = 2.0
    """Teacher's and student's logits are divided by it; see `training.distillation.loss`."""
    teacher_weight: float = 0.9
    """Of the teacher in the loss; the labels have the rest."""
    mixup: float = 0.0
    """The part of the images that are blended with another one, whose label says nothing then:
    with a teacher's weight of 1."""
    teacher_views: int = 16
    """So many augmented copies of the training images the teacher answers for; the epochs go
    round in them."""
    preprocessing: Literal["unit", "imagenet"] = "unit"
    """What a pretrained base is fed: pixels in [0, 1], or as it was trained on ImageNet."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Of the training's arithmetic; weights are float32 always. See `training.optim.precision`."""
    xla: bool = False
    """Compile the step with XLA. Untested on GPU."""
    deterministic: bool = False
    """Bit-identical results on one machine, for some time more."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch size must be at least 1")
        if not 0 <= self.small_epochs <= self.epochs:
            raise ValueError("small epochs must lie between 0 and the epochs")
        if not self.learning_rate > 0:
            raise ValueError("the learning rate must be above 0")
        if not 0 < self.val_fraction < 1:
            raise ValueError("the validation fraction must lie between 0 and 1")
        if not 0 <= self.cutout < 1:
            raise ValueError("the erased part of the side must lie in [0, 1)")
        if not 0 <= self.label_smoothing < 1 or self.l2 < 0:
            raise ValueError("label smoothing must lie in [0, 1), and L2 must not be negative")
        if self.seed < 0 or (self.split_seed or 0) < 0:
            raise ValueError("the seed must not be negative")
        if self.alternate_flips and not self.augment:
            raise ValueError("alternate flips must come with augmentation")
        if not 0 <= self.ema_decay < 1:
            raise ValueError("what a step leaves of the average must lie in [0, 1)")
        if not 0 <= self.mixup <= 1 or (self.mixup and self.teacher_weight < 1):
            raise ValueError(
                "the part of blended images must lie in [0, 1], and above 0 the teacher's weight "
                "must be 1"
            )
        if not self.temperature > 0 or not 0 <= self.teacher_weight <= 1 or self.teacher_views < 1:
            raise ValueError(
                "the temperature must be above 0, the teacher's weight in [0, 1], and copies at "
                "least 1"
            )

    @property
    def data_seed(self) -> int:
        """Of the split and the augmentation."""
        return self.seed if self.split_seed is None else self.split_seed

    def copy(self, epoch: int) -> int:
        """Which augmentation `epoch`, counted from 0, sees: its own, or one of the teacher's."""
        return epoch if self.teacher is None else epoch % self.teacher_views

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


_SMALL = Recipe(
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
    mixup=0.5,
    val_fraction=0.1,
    precision="auto",
)
"""What networks with batch normalization learn well by: David Page (2018), How to Train Your
ResNet, with what airbench (Jordan 2024) adds to it."""

_FINETUNED = Recipe(
    "vgg16_finetuned",
    epochs=14,
    batch_size=256,
    optimizer="sgd",
    learning_rate=0.05,
    label_smoothing=0.1,
    l2=5e-4,
    augment=True,
    cutout=0.25,
    val_fraction=0.1,
    precision="auto",
)
"""What VGG16 keeps most of ImageNet by: benchmarks/results/vgg16/tried.md."""

RECIPES = {
    # The notebook's, to the letter.
    "baseline": Recipe("baseline"),
    # The notebook's network and nothing else of it.
    "baseline_distilled": dataclasses.replace(
        _SMALL,
        model="baseline_distilled",
        epochs=60,
        learning_rate=0.2,
        l2=0.0,
        label_smoothing=0.0,
    ),
    "vgg16_frozen": Recipe(
        "vgg16_frozen", epochs=20, batch_size=256, preprocessing="imagenet", precision="auto"
    ),
    "vgg16_finetuned": _FINETUNED,
    "vgg16_enlarged": dataclasses.replace(
        _FINETUNED, model="vgg16_enlarged", epochs=8, learning_rate=0.03, alternate_flips=True
    ),
    "airbench": dataclasses.replace(_SMALL, model="airbench", epochs=16, cutout=0.25),
    **{
        model: dataclasses.replace(
            _SMALL, model=model, epochs=epochs, optimizer="muon", learning_rate=0.04, l2=0.0
        )
        for model, epochs in (("edge_m", 80), ("edge_l", 50))
    },
    **{
        model: dataclasses.replace(_SMALL, model=model, epochs=epochs)
        for model, epochs in (
            ("edge_s", 60),
            ("resnet8", 30),
            ("resnet20", 40),
        )
    },
}
"""The default settings by model."""

DISTILL_ONLY = frozenset({"baseline_distilled"})
"""What is nothing without a teacher."""


def recipe_of(model: str) -> Recipe:
    """The default settings of a model, or of any stack (`training.conv_stack`): those of edge_s.

    Raises ValueError for what is neither.
    """
    if model in RECIPES:
        return RECIPES[model]
    return dataclasses.replace(RECIPES["edge_s"], model=str(Stack.parse(model)))
