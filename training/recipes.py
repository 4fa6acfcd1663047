"""A recipe: everything that decides how a model is trained, but for the data itself."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Recipe:
    """The settings of one training run, as they are written to run.json."""

    model: str
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    """Of Adam, whose other settings are Keras' own."""
    val_fraction: float = 0.2
    """Of the training part, where the data brings no validation part of its own."""
    seed: int = 0
    """Decides the split, the initial weights, the order of images and the dropout."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch size must be at least 1")
        if not self.learning_rate > 0:
            raise ValueError("the learning rate must be above 0")
        if not 0 < self.val_fraction < 1:
            raise ValueError("the validation fraction must lie between 0 and 1")
        if self.seed < 0:
            raise ValueError("the seed must not be negative")

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


RECIPES = {"baseline": Recipe("baseline")}
"""The default settings by model; the baseline's are the notebook's."""
