"""An exponential moving average of the weights, more accurate than the weights of any one step."""

from typing import Any

from training.tf_keras_setup import keras, tf


class WeightEma(keras.callbacks.Callback):  # type: ignore[misc]
    """Averages a model's weights in every training step, and replaces them during validation.

    After Polyak and Juditsky (1992), over all weights, the statistics of batch normalization
    included: they belong to the weights that they were computed with.
    """

    def __init__(self, model: Any, decay: float) -> None:
        """Starts at the model's weights; to be called in the strategy scope of the model.

        Args:
            model: a Keras model.
            decay: the fraction of the average that a step keeps, in [0, 1). Step t keeps at most
                (1 + t) / (10 + t), so that the initial weights are soon forgotten.
        """
        super().__init__()
        self._weights, self._decay = model.weights, decay
        self._values = [tf.Variable(weight, trainable=False) for weight in model.weights]
        self._steps = tf.Variable(0, trainable=False, dtype=tf.int64)

    @property
    def state(self) -> list[Any]:
        """The variables that a checkpoint must hold."""
        return [self._steps, *self._values]

    @tf.function  # type: ignore[untyped-decorator]
    def _step(self) -> None:
        steps = tf.cast(self._steps, tf.float32)
        keep = tf.minimum(self._decay, (1 + steps) / (10 + steps))
        for value, weight in zip(self._values, self._weights, strict=True):
            value.assign(keep * value + (1 - keep) * weight)
        self._steps.assign_add(1)

    @tf.function  # type: ignore[untyped-decorator]
    def swap(self) -> None:
        """Exchanges average and weights."""
        for value, weight in zip(self._values, self._weights, strict=True):
            kept = tf.identity(value)
            value.assign(weight)
            weight.assign(kept)

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:  # noqa: ARG002
        self._step()

    def on_test_begin(self, logs: object = None) -> None:  # noqa: ARG002
        self.swap()

    def on_test_end(self, logs: object = None) -> None:  # noqa: ARG002
        self.swap()
