"""The images that are classified here and on an emulated CPU."""

from tinysight.bundle import Bundle
from tinysight.console import require_extra
from tinysight.integrity import golden
from tinysight.preprocess import Pixels
from training.progress import ProgressCallback


def images_to_classify(
    bundle: Bundle, data: str | None, count: int, progress: ProgressCallback
) -> Pixels:
    """A sample of the test images, or generated ones, uint8 (n, height, width, 3).

    Args:
        data: the dataset that the bundle was trained on; None for generated images.
        count: how many, or all where the test images are fewer.
        progress: told of downloading and decoding.

    Raises TinysightError where that is not the bundle's data.
    """
    if data is None:
        return generated_images(bundle, count)
    require_extra("train", "sklearn")
    from benchmarks.studies.training_data import load_training_data, sample_test_images

    return sample_test_images(load_training_data(bundle, data, progress), count)


def generated_images(bundle: Bundle, count: int) -> Pixels:
    """Noise from coarse to fine, uint8 (count, height, width, 3): the same on every machine.

    They continue the golden inputs, none of which is among them.
    """
    return golden.inputs(*bundle.shape, golden.COUNT + count)[golden.COUNT :]
