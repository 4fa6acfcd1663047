"""The project's one Keras: every module takes `keras` and `tf` from here.

tensorflow-model-optimization supports only tf_keras, and switches `tf.keras` to it when it is
imported; with Keras 3 some of its functions return None without a word. So the whole project
uses tf_keras, and never `tf.keras`.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# Read by TensorFlow when it is imported, so they must stand before the import.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


@contextlib.contextmanager
def native_stderr_held_back() -> Iterator[None]:
    """Holds back what C++ code writes to stderr, and lets it out when the block fails.

    TensorFlow and TFLite greet every process with notes on drivers and instruction sets that
    none of their log levels stops; on a terminal they bury our own lines.
    """
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


with native_stderr_held_back():
    import tensorflow as tf
    import tf_keras as keras

    tf.config.list_physical_devices()  # looks for a GPU driver now, while nobody listens

tf.get_logger().setLevel("ERROR")
# Dropout then draws from generators whose state is a variable, which a checkpoint can hold.
keras.backend.experimental.enable_tf_random_generator()

__all__ = ["keras", "native_stderr_held_back", "tf"]
