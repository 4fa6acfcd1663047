"""scikit-learn's bundled handwritten digits: real data that needs no network."""

import numpy as np
from PIL import Image

from training.data.dataset import Decoded

ATTRIBUTION = (
    "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning "
    "Repository (1998), CC BY 4.0"
)


def decode(size: tuple[int, int]) -> Decoded:
    """The 1,797 images, 8 x 8 pixels of 17 grey levels, resized to `size` as RGB."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    grey = np.round(bunch.images * (255 / 16)).astype(np.uint8)
    height, width = size
    # Bilinear: nearest neighbour would leave blocks whose edges dominate every image.
    upsampled = np.stack(
        [
            np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
            for image in grey
        ]
    )
    return Decoded(
        labels=tuple(str(name) for name in bunch.target_names),
        images=np.repeat(upsampled[..., None], 3, axis=-1),
        targets=bunch.target.astype(np.int64),
        counts={"train": len(upsampled)},
    )
