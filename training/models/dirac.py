"""The Dirac initialization: a layer begins by handing on what it gets."""

from typing import Any

import numpy as np

from training.tf_keras_setup import keras


def dirac_init(model: Any) -> None:
    """Lets the first filters of every 3 x 3 convolution hand on one channel each.

    The others stay as they are, random. It stands in for a residual branch in networks that have
    none (Zagoruyko and Komodakis 2017, DiracNets; Jordan 2024, arXiv 2404.00498, section 3.3).
    Done on the weights, and no initializer: a saved model then needs none of our code.
    """
    for layer in model.layers:
        if type(layer) is not keras.layers.Conv2D or layer.kernel_size != (3, 3):
            continue
        kernel, *bias = layer.get_weights()
        passed = min(kernel.shape[2:])
        kernel[..., :passed] = 0
        kernel[1, 1, np.arange(passed), np.arange(passed)] = 1
        layer.set_weights([kernel, *bias])
