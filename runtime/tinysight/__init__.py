"""Classify small images on small devices.

>>> from tinysight import Classifier
>>> Classifier.load().classify("photo.jpg")  # doctest: +SKIP
Prediction('cat' 93.1%)

Names are imported when they are first used (PEP 562): a command line that only prints its help then
waits for neither numpy nor Pillow.

One thing is done at once: onnxruntime's telemetry is turned off, for this process and those that
it starts, unless ORT_DISABLE_TELEMETRY is set (docs/privacy.md). onnxruntime reads the variable
when it is imported, and whoever imports tinysight may import onnxruntime next.
"""

import importlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinysight.bundle import Artifact, Bundle, load_bundle, shipped_bundles
    from tinysight.classifier import Classifier, Prediction
    from tinysight.errors import (
        BundleError,
        CameraError,
        ImageError,
        MissingExtraError,
        SignatureError,
        TinysightError,
        UpdateError,
    )
    from tinysight.preprocess import ImageLike
    from tinysight.stats import Accuracy

    __version__: str

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_MODULES = {
    "Accuracy": "stats",
    "Artifact": "bundle",
    "Bundle": "bundle",
    "BundleError": "errors",
    "CameraError": "errors",
    "Classifier": "classifier",
    "ImageError": "errors",
    "ImageLike": "preprocess",
    "MissingExtraError": "errors",
    "Prediction": "classifier",
    "SignatureError": "errors",
    "TinysightError": "errors",
    "UpdateError": "errors",
    "load_bundle": "bundle",
    "shipped_bundles": "bundle",
}

__all__ = [
    "Accuracy",
    "Artifact",
    "Bundle",
    "BundleError",
    "CameraError",
    "Classifier",
    "ImageError",
    "ImageLike",
    "MissingExtraError",
    "Prediction",
    "SignatureError",
    "TinysightError",
    "UpdateError",
    "__version__",
    "load_bundle",
    "shipped_bundles",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        return version("tinysight")
    if name not in _MODULES:
        raise AttributeError(f"module 'tinysight' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"tinysight.{_MODULES[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return __all__
