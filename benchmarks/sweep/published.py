"""Published accuracies on the official CIFAR-10 by multiply-accumulates: what ours stand beside.

All in float32 and trained on labels alone, unless the name says otherwise.
"""

from dataclasses import dataclass

DATA = "CIFAR-10"
"""The title of the data that they are about (`training.data.cifar10`)."""


@dataclass(frozen=True, slots=True)
class Published:
    """A model of others."""

    name: str
    mmacs: float
    """Million multiply-accumulates for one image of 32 x 32 pixels."""
    accuracy: float
    """Of the 10,000 test images, percent."""
    source: str


_CHENYAOFO = "github.com/chenyaofo/pytorch-cifar-models"
PUBLISHED = (
    Published("ShuffleNetV2 0.5x", 10.9, 90.13, _CHENYAOFO),
    Published("MobileNetV2 0.5x", 28.0, 92.88, _CHENYAOFO),
    Published("CondenseNet-50", 28.6, 93.78, "github.com/ShichenLiu/CondenseNet"),
    Published("ResNet-20", 40.8, 92.60, _CHENYAOFO),
    Published("ResNet-20, distilled", 40.8, 93.30, "github.com/AberHu/Knowledge-Distillation-Zoo"),
    Published("vgg16_bn", 314, 94.16, _CHENYAOFO),
)
