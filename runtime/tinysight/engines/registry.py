"""The engines: which there are, what each runs, and the one place that opens an artifact."""

import importlib.util
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle
from tinysight.errors import BundleError
from tinysight.preprocess import Pixels

ENGINES = {"onnxruntime": "onnx", "litert": "tflite"}
"""The format that each engine runs. onnxruntime is always there."""
PACKAGES = {"onnxruntime": "onnxruntime", "litert": "ai-edge-litert"}
"""What brings each, as the package index calls it."""
_MODULES = {"onnxruntime": "onnxruntime", "litert": "ai_edge_litert"}


class Engine(Protocol):
    """A loaded model."""

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits, float32 (n, classes), of uint8 images (n, height, width, 3)."""
        ...


def engine_of(artifact: Artifact) -> str:
    """The name of the engine that runs an artifact."""
    return next(name for name, format_ in ENGINES.items() if format_ == artifact.format)


def installed(engine: str) -> bool:
    """Whether the engine can be used here."""
    return importlib.util.find_spec(_MODULES[engine]) is not None


def runnable(bundle: Bundle) -> list[Artifact]:
    """The artifacts that an installed engine runs, in the bundle's order."""
    return [artifact for artifact in bundle.artifacts if installed(engine_of(artifact))]


def open_engine(bundle: Bundle, artifact: Artifact, threads: int = 1) -> Engine:
    """Loads an artifact into its engine, after its size and hash were checked.

    Raises:
        BundleError: it is damaged, or not what the bundle says.
        MissingExtraError: its engine is not installed.
    """
    if artifact.format == "tflite":
        from tinysight.engines.litert import LiteRTEngine

        return LiteRTEngine.open(bundle, artifact, threads)
    from tinysight.engines.ort import OnnxRuntimeEngine

    return OnnxRuntimeEngine.open(bundle, artifact, threads)


def resolve_artifact(bundle: Bundle, artifact: str | None, engine: str | None) -> Artifact:
    """The artifact that a caller means by the names of an artifact and an engine, or of neither.

    An engine alone means the default's recipe in the engine's format, or else the smallest
    artifact that the engine runs.

    Raises BundleError where the bundle has nothing such, ValueError for an unknown engine.
    """
    if engine is None:
        return bundle.artifact(artifact)
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; there are {', '.join(ENGINES)}")
    if artifact is not None:
        named = bundle.artifact(artifact)
        if engine_of(named) != engine:
            raise BundleError(f"{bundle.name}: {engine} does not run {named.name}")
        return named
    possible = [a for a in bundle.artifacts if a.format == ENGINES[engine]]
    if not possible:
        raise BundleError(f"{bundle.name} has no artifact for {engine}")
    recipe = bundle.artifact().recipe
    return min(possible, key=lambda a: (a.recipe != recipe, a.bytes))
