"""Images of none of a bundle's classes, of which it should answer few.

None of the images is one that `--outliers` shows in a training (`training.data.outliers`), but text
and gratings resemble some of those.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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
    """The fraction that `min_confidence="auto"` answers; None where the bundle recommends no energy
    score."""


def summarize_confidence(classifier: Classifier, images: Pixels) -> ConfidenceSummary:
    """Classifies uint8 images (n, height, width, 3)."""
    recommends = classifier.bundle.abstention is not None
    answers = list(classifier.classify_many(images, min_confidence="auto" if recommends else 0.0))
    return ConfidenceSummary(
        n=len(images),
        mean_confidence=float(np.mean([answer.probability for answer in answers])),
        coverage=float(np.mean([answer.label is not None for answer in answers]))
        if recommends
        else None,
    )


def mean_coverage(summaries: Mapping[str, ConfidenceSummary]) -> float | None:
    """Over the kinds; None where the bundle recommends no energy score."""
    parts = [one.coverage for one in summaries.values() if one.coverage is not None]
    return float(np.mean(parts)) if parts else None


SCORES: Mapping[str, Callable[[NDArray[np.float32]], NDArray[np.floating]]] = {
    "probability": lambda logits: _softmax(logits).max(axis=1),
    "largest logit": lambda logits: logits.max(axis=1),
    "energy score": lambda logits: np.logaddexp.reduce(logits, axis=1),
}
"""What may be compared with a threshold: the largest probability (Hendrycks and Gimpel 2017), the
largest logit (Hendrycks et al. 2022), the energy score (Liu et al. 2020), which `auto` takes; from
logits over the bundle's temperature, (n, classes), to (n,)."""


@dataclass(frozen=True, slots=True)
class Separation:
    """How many images of no class a score answers, at the threshold that answers known ones."""

    score: str
    known: int
    """Images of the bundle's classes, from which the threshold is taken."""
    coverage: float
    """The fraction of them that is answered."""
    answered: Mapping[str, float]
    """By kind, the fraction of the images of no class that is answered."""

    DERIVED = ("mean",)

    @property
    def mean(self) -> float:
        """Over the kinds."""
        return float(np.mean(list(self.answered.values())))


def separations(
    classifier: Classifier, known: Pixels, kinds: Mapping[str, Pixels], coverage: float = 0.95
) -> list[Separation]:
    """Each score at the threshold at which the fraction `coverage` of `known` is answered.

    Args:
        classifier: of the bundle.
        known: uint8 (n, height, width, 3), of its classes, not from its training.
        kinds: images of no class, likewise.
        coverage: in (0, 1).
    """
    temperature = classifier.bundle.temperature
    logits = {kind: classifier.logits(images) / temperature for kind, images in kinds.items()}
    of_known = classifier.logits(known) / temperature
    found = []
    for name, score in SCORES.items():
        scores = score(of_known)
        threshold = np.quantile(scores, 1 - coverage, method="lower")
        found.append(
            Separation(
                score=name,
                known=len(known),
                coverage=float((scores >= threshold).mean()),
                answered={
                    kind: float((score(one) >= threshold).mean()) for kind, one in logits.items()
                },
            )
        )
    return found


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def ood_images(height: int, width: int, seed: int = 0) -> Mapping[str, Pixels]:
    """Seeded images of no class, by kind, each uint8 (n, height, width, 3)."""
    random = np.random.default_rng(seed)
    return {
        "digits": _digits(height, width),
        "text": _text(random, height, width),
        "photo parts": photo_parts(random, IMAGES, height, width),
        "gratings": _gratings(random, height, width),
        "clouds": _pink_noise(random, height, width),
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


def _text(random: np.random.Generator, height: int, width: int) -> Pixels:
    """Two to four lines of dark letters on light paper, as in a photographed page."""
    font = ImageFont.load_default(4 * height // 10)
    made = np.empty((IMAGES, height, width, 3), np.uint8)
    for pixels in made:
        # Four times the size, then reduced, as a camera does.
        paper = int(random.integers(170, 256))
        page = Image.new("RGB", (4 * width, 4 * height), (paper, paper, int(paper * 0.95)))
        draw, lines = ImageDraw.Draw(page), int(random.integers(2, 5))
        for line in range(lines):
            letters = "".join(chr(code) for code in random.integers(ord("a"), ord("z") + 1, 16))
            place = (-float(random.uniform(0, width)), 4 * height * line / lines)
            draw.text(place, letters, fill=(int(random.integers(0, 90)),) * 3, font=font)
        pixels[:] = np.asarray(page.resize((width, height), Image.Resampling.BOX))
    return made


def photo_parts(random: np.random.Generator, count: int, height: int, width: int) -> Pixels:
    """Squares of scikit-learn's two photographs, of a temple and a flower, resized."""
    from sklearn.datasets import load_sample_images

    photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    made = np.empty((count, height, width, 3), np.uint8)
    for i, pixels in enumerate(made):
        photo, side = photos[i % 2], int(random.integers(60, 240))
        left, top = (int(random.integers(0, room - side + 1)) for room in photo.size)
        square = photo.crop((left, top, left + side, top + side))
        pixels[:] = np.asarray(square.resize((width, height), Image.Resampling.BOX))
    return made


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
