"""Muon: steps of one length in every direction (Jordan et al. 2024).

https://kellerjordan.github.io/posts/muon

A convolution's gradient, and so its momentum, is dominated by a few directions. Muon replaces it
by the nearest matrix whose singular values are all alike, so that the rare directions are learned
as quickly as the common ones: a network needs fewer epochs for what SGD would bring it to.
"""

from typing import Any

from training.tf_keras_setup import keras, tf

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic iteration in the post above: it brings singular values near 1, in few steps."""
SGD_LR_RATIO = 5.0
"""SGD's rate over that of kernels: 0.2 beside the 0.04 of `training.recipes`."""
_EPSILON = 1e-7
_KERNEL = 4
"""The dimensions of a convolution's kernel: height, width, channels, filters."""


class Muon(keras.optimizers.Optimizer):  # type: ignore[misc]
    """Muon for the kernels of convolutions, SGD with Nesterov's momentum for all else.

    Every kernel begins a step at the length that n filters of length 1 have together, as in
    airbench: batch normalization, which must follow, makes its length mean nothing, and the rate
    then says by which part of it a kernel turns.
    """

    def __init__(
        self, learning_rate: Any, momentum: float, sgd_lr_ratio: float = SGD_LR_RATIO
    ) -> None:
        """
        Args:
            learning_rate: of kernels, or a schedule of it.
            momentum: of all.
            others: times the rate, it is SGD's.
        """
        super().__init__(name="Muon")
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum, self.sgd_lr_ratio = momentum, sgd_lr_ratio

    def build(self, var_list: list[Any]) -> None:
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        self.momentums = [self.add_variable_from_reference(var, "m") for var in var_list]
        self._built = True

    def update_step(self, gradient: Any, variable: Any) -> None:
        rate = tf.cast(self.learning_rate, variable.dtype)
        moment = self.momentums[self._index_dict[self._var_key(variable)]]
        moment.assign(self.momentum * moment + gradient)
        ahead = gradient + self.momentum * moment
        if len(variable.shape) != _KERNEL:
            variable.assign_sub(self.sgd_lr_ratio * rate * ahead)
            return
        filters = variable.shape[-1]
        turn = tf.reshape(orthogonal(tf.reshape(ahead, (-1, filters))), variable.shape)
        length = tf.sqrt(tf.cast(filters, variable.dtype))
        variable.assign(variable * (length / tf.norm(variable)) - rate * turn)


def orthogonal(matrix: Any) -> Any:
    """float32 (m, n) to the same shape: its singular values brought to about 1 (0.7 to 1.2)."""
    a, b, c = COEFFICIENTS
    rows, columns = matrix.shape
    x = tf.transpose(matrix) if rows > columns else matrix
    x = x / (tf.norm(x) + _EPSILON)
    for _ in range(ITERATIONS):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
    return tf.transpose(x) if rows > columns else x
