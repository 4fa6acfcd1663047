"""The images that are classified here and on an emulated CPU."""

import numpy as np

from tinysight.bundle import Bundle
from tinysight.console import require_extra
from tinysight.preprocess import Pixels
from training.progress import ProgressCallback


def images_to_classify(
    bundle: Bundle, data: str | None, count: int, progress: ProgressCallback
) -> Pixels:
    """A sample of the test images, or parts of photographs, uint8 (n, height, width, 3).

    Parts, since a model that was trained with outliers answers noise with logits near 0, whatever
    its kernels do.

    Args:
        data: the dataset that the bundle was trained on; None for parts of two photographs that
            scikit-learn brings, the same on every machine.
        count: how many, or all where the test images are fewer.
        progress: told of downloading and decoding.

    Raises TinysightError where that is not the bundle's data.
    """
    require_extra("train", "sklearn")
    if data is None:
        from benchmarks.studies.out_of_distribution import photo_parts

        return photo_parts(np.random.default_rng(0), count, *bundle.shape)
    from benchmarks.studies.training_data import load_training_data, sample_test_images

    return sample_test_images(load_training_data(bundle, data, progress), count)
