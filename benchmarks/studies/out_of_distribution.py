"""Images of none of a bundle's classes, and its confidence on them, which should be low."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinysight import Classifier
from tinysight.preprocess import Pixels

IMAGES = 500
"""Of each kind."""


@dataclass(frozen=True, slots=True)
class ConfidenceSummary:
    """A classifier's confidence on one kind of image."""

    n: int
    """Images."""
    mean_confidence: float
    """The mean probability of the first class."""
    coverage: float | None
    """The fraction that `min_confidence="auto"` answers; None where the bundle recommends none."""


def summarize_confidence(classifier: Classifier, images: Pixels) -> ConfidenceSummary:
    """Classifies uint8 images (n, height, width, 3)."""
    abstention = classifier.bundle.abstention
    confidences = np.array([answer.probability for answer in classifier.classify_many(images)])
    answered = None if abstention is None else confidences >= abstention.threshold
    return ConfidenceSummary(
        n=len(images),
        mean_confidence=float(confidences.mean()),
        coverage=None if answered is None else float(answered.mean()),
    )


def ood_images(height: int, width: int, seed: int = 0) -> Mapping[str, Pixels]:
    """Seeded images of no class, by kind, each uint8 (n, height, width, 3)."""
    random = np.random.default_rng(seed)
    shape = (IMAGES, height, width, 3)
    return {
        "digits": _digits(height, width),
        "noise": random.integers(0, 256, shape, dtype=np.uint8),
        "gratings": _gratings(random, height, width),
        "clouds": _pink_noise(random, height, width),
        "one colour": np.broadcast_to(
            random.integers(0, 256, (IMAGES, 1, 1, 3), dtype=np.uint8), shape
        ),
    }


def _digits(height: int, width: int) -> Pixels:
    """Handwritten digits, white on black, from scikit-learn, upsampled from 8 x 8."""
    from sklearn.datasets import load_digits

    images = np.round(load_digits().images[:IMAGES] * (255 / 16)).astype(np.uint8)
    upsampled = [
        Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR).convert("RGB")
        for image in images
    ]
    return np.stack([np.asarray(image) for image in upsampled])


def _gratings(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Sine waves between two colours, 2 to 8 periods a side, in any direction."""
    y, x = np.mgrid[0:height, 0:width]
    angle = random.uniform(0, np.pi, (IMAGES, 1, 1))
    periods = random.uniform(2, 8, (IMAGES, 1, 1))
    along = np.cos(angle) * x / width + np.sin(angle) * y / height
    wave = (1 + np.sin(2 * np.pi * periods * along)) / 2
    first, second = random.uniform(0, 255, (2, IMAGES, 1, 1, 3))
    return _to_pixels(first + (second - first) * wave[..., None])


def _pink_noise(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Noise whose amplitude falls with the frequency, as in photographs: Field (1987)."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = np.inf
    noise = random.normal(size=(IMAGES, height, width, 3))
    spectrum = np.fft.fft2(noise, axes=(1, 2)) / frequency[None, :, :, None]
    clouds = np.fft.ifft2(spectrum, axes=(1, 2)).real
    deviation = clouds.std(axis=(1, 2, 3), keepdims=True)
    return _to_pixels(128 + 64 * clouds / deviation)


def _to_pixels(values: NDArray[np.float64]) -> Pixels:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
