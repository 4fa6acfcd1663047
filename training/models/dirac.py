"""The Dirac initialization: a convolution starts as the identity on some of its channels."""

from typing import Any

import numpy as np

from training.tf_keras_setup import keras


def dirac_init(model: Any) -> None:
    """Sets the first filters of every 3 x 3 convolution to the identity of one channel each.

    The other filters stay random. This replaces residual branches in networks that have none
    (Zagoruyko and Komodakis 2017, DiracNets; Jordan 2024, arXiv 2404.00498, section 3.3).
    Done on the weights, not by an initializer: a saved model then loads without our code.
    """
    for layer in model.layers:
        if type(layer) is not keras.layers.Conv2D or layer.kernel_size != (3, 3):
            continue
        kernel, *bias = layer.get_weights()
        identities = min(kernel.shape[2:])
        kernel[..., :identities] = 0
        kernel[1, 1, np.arange(identities), np.arange(identities)] = 1
        layer.set_weights([kernel, *bias])
