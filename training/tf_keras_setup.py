"""The project's one Keras: every module takes `keras` and `tf` from here.

tensorflow-model-optimization supports only tf_keras, and switches `tf.keras` to it when it is
imported; with Keras 3 some of its functions return None silently. So the whole project uses
tf_keras, and never `tf.keras`.
"""

import os

from tinysight.console import captured_native_stderr

# Read by TensorFlow when it is imported, so they must be set before.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Else tf_keras writes its default settings into ~/.keras, and obeys those that it finds there.
# Pretrained weights are kept in ~/.keras/models all the same.
os.environ.setdefault("KERAS_HOME", os.devnull)


with captured_native_stderr():
    import tensorflow as tf
    import tf_keras as keras

    tf.config.list_physical_devices()  # looks for a GPU driver, and complains, now

tf.get_logger().setLevel("ERROR")
# Dropout then draws from generators whose state is a variable, which a checkpoint can hold.
keras.backend.experimental.enable_tf_random_generator()

__all__ = ["keras", "tf"]
