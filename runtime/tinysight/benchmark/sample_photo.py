"""What comes before the engine: a photo's bytes are decoded, cropped and resized."""

import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image

from tinysight.bundle import Bundle
from tinysight.preprocess import open_image, to_pixels

WIDTH, HEIGHT = 1600, 1200
DESCRIPTION = f"a JPEG of {WIDTH} x {HEIGHT} pixels, generated in memory"


def jpeg() -> bytes:
    """Soft shapes under a little grain: about as many bytes as a real photo of that size."""
    draw = np.random.default_rng(0)
    shapes = Image.fromarray(draw.integers(0, 256, (HEIGHT // 50, WIDTH // 50, 3), dtype=np.uint8))
    soft = np.asarray(shapes.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.int16)
    grain = draw.integers(-6, 7, (HEIGHT, WIDTH, 1), dtype=np.int16)
    stream = io.BytesIO()
    pixels = np.clip(soft + grain, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def calls(bundle: Bundle) -> Mapping[str, Callable[[], object]]:
    """To time: decoding the photo, and cropping and resizing it for the bundle."""
    encoded = jpeg()
    decoded = open_image(encoded)
    shape = (bundle.height, bundle.width, bundle.resample)
    return {
        "decode": lambda: open_image(encoded),
        "resize": lambda: to_pixels(decoded, *shape),
    }
