"""Classify small images on small devices.

>>> from tinysight import Classifier
>>> Classifier.load().classify("photo.jpg")  # doctest: +SKIP
Prediction(label='cat', index=3, probability=0.93, top=(('cat', 0.93),))
"""

from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.classifier import Classifier, Prediction
from tinysight.errors import BundleError, ImageError, TinysightError

__all__ = [
    "Artifact",
    "Bundle",
    "BundleError",
    "Classifier",
    "ImageError",
    "Prediction",
    "TinysightError",
    "load_bundle",
]
