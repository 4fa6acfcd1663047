"""Muon: momentum whose steps are orthogonalized (Jordan et al. 2024).

https://kellerjordan.github.io/posts/muon

The momentum of a convolution's gradient is dominated by a few directions. Muon replaces it by the
nearest matrix with equal singular values, so that rare directions are learned as fast as common
ones: a network needs fewer epochs than with SGD to reach the same accuracy.
"""

from typing import Any

from training.tf_keras_setup import keras, tf

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton-Schulz iteration in the post: it moves singular values to near 1."""
SGD_LR_RATIO = 5.0
"""SGD's learning rate over that of kernels: 0.2 for the 0.04 of `training.recipes`."""
_EPSILON = 1e-7
_KERNEL_RANK = 4
"""Dimensions of a convolution's kernel: height, width, channels, filters."""


class Muon(keras.optimizers.Optimizer):  # type: ignore[misc]
    """Muon for the kernels of convolutions, SGD with Nesterov momentum for all other weights.

    Before each step, a kernel of n filters is scaled to the norm sqrt(n), as in airbench. Batch
    normalization, which must follow the convolution, makes its output independent of that norm, and
    the learning rate is then the relative size of a step.
    """

    def __init__(
        self, learning_rate: Any, momentum: float, sgd_lr_ratio: float = SGD_LR_RATIO
    ) -> None:
        """
        Args:
            learning_rate: of kernels; a number or a Keras schedule.
            momentum: of all weights, in [0, 1).
            sgd_lr_ratio: SGD's learning rate over that of kernels.
        """
        super().__init__(name="Muon")
        self._learning_rate = self._build_learning_rate(learning_rate)
        self.momentum, self.sgd_lr_ratio = momentum, sgd_lr_ratio
        # As in the post, and faster where the hardware has it; float16, whose range is small, is
        # not tried.
        in_bfloat16 = keras.mixed_precision.global_policy().compute_dtype == "bfloat16"
        self._products = tf.bfloat16 if in_bfloat16 else tf.float32

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
        if len(variable.shape) != _KERNEL_RANK:
            variable.assign_sub(self.sgd_lr_ratio * rate * ahead)
            return
        filters = variable.shape[-1]
        rows = tf.reshape(ahead, (-1, filters))
        step = tf.reshape(orthogonal(rows, self._products), variable.shape)
        norm = tf.sqrt(tf.cast(filters, variable.dtype))
        variable.assign(variable * (norm / tf.norm(variable)) - rate * step)


def orthogonal(matrix: Any, products: Any = tf.float32) -> Any:
    """float32 (m, n) to the same shape, with all singular values at about 1 (0.7 to 1.2).

    Args:
        matrix: of any scale.
        products: dtype of the matrix products.
    """
    a, b, c = COEFFICIENTS
    rows, columns = matrix.shape
    x = tf.transpose(matrix) if rows > columns else matrix
    x = tf.cast(x / (tf.norm(x) + _EPSILON), products)
    for _ in range(ITERATIONS):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
    return tf.cast(tf.transpose(x) if rows > columns else x, matrix.dtype)
