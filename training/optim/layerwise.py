"""SGD whose learning rate falls from the last layer to the first."""

import re
from typing import Any

from training.tf_keras_setup import keras

_CONVOLUTION = re.compile(r"conv(\d+)")


class LayerwiseSgd(keras.optimizers.SGD):  # type: ignore[misc]
    """SGD with a learning rate that is multiplied by `decay` for each layer before the last.

    Early layers of a trained network serve other images nearly as they are (Howard and Ruder 2018,
    ULMFiT, discriminative fine-tuning). The convolutions are those of the edge family, `conv1` and
    so on; their batch normalization has the rate of its convolution, all else the full rate.
    """

    def __init__(self, learning_rate: Any, momentum: float, decay: float) -> None:
        super().__init__(learning_rate, momentum=momentum, nesterov=True)
        self._decay = decay

    def build(self, var_list: list[Any]) -> None:
        super().build(var_list)
        places = [_CONVOLUTION.match(var.name) for var in var_list]
        last = max((int(place[1]) for place in places if place), default=0)
        self._factors = {
            self._var_key(var): self._decay ** (last + 1 - int(place[1])) if place else 1.0
            for var, place in zip(var_list, places, strict=True)
        }

    def update_step(self, gradient: Any, variable: Any) -> None:
        super().update_step(gradient * self._factors[self._var_key(variable)], variable)
