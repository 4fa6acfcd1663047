"""What a classifier answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image."""

    label: str | None
    """The most probable class; None where `min_confidence` asked for more than its probability."""
    index: int
    """The most probable class's place in the bundle's labels, in any case."""
    probability: float
    """Of that class, in [0, 1]: the softmax of the logits over the bundle's temperature."""
    top: tuple[tuple[str, float], ...]
    """The `top` most probable classes with their probabilities, the best first."""
