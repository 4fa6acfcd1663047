"""The engines: which there are, what each runs, and the one function that opens an artifact."""

import importlib.util
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle
from tinysight.errors import BundleError
from tinysight.preprocess import Pixels

MAX_THREADS = 64
"""Of one call. Engines make as many at once, which wait busily for each other: hundreds on a few
cores take seconds to start, and no network of this size is quicker on more than a handful."""


def check_threads(threads: object) -> int:
    """A number of threads as an int. Raises ValueError unless it is whole, 1 to `MAX_THREADS`."""
    try:
        count = operator.index(threads)  # type: ignore[arg-type]  # what it refuses, we refuse
    except TypeError:
        count = 0
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"threads must be a whole number of at least 1, at most {MAX_THREADS}")
    return count


class Engine(Protocol):
    """A loaded model."""

    def run(self, images: Pixels) -> NDArray[np.float32]:
        """The logits, float32 (n, classes), of uint8 images (n, height, width, 3)."""
        ...


Loader = Callable[[bytes, tuple[int, int], int, int], Engine]
"""Of a model file's content, the height and width of its input, the number of its classes, and the
number of threads that one call may use."""

ModelCheck = Callable[[bytes, tuple[int, int], int], None]
"""Of a model file's content, the height and width of its input, and the number of its classes.
Raises BundleError for what must not reach the engine."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """What there is to know of an engine before it is imported."""

    name: str
    package: str
    """The distribution that provides it, as the package index calls it."""
    module: str
    """What a process imports to use it."""
    format: Literal["onnx", "tflite"]
    """Of the artifacts that it runs."""
    check: ModelCheck
    """What `loader` takes must have passed it."""
    loader: Loader
    """Imports the engine when it is called, not before: an engine costs more than all else."""

    def __post_init__(self) -> None:
        if not (self.name and self.package and self.module):
            raise ValueError("an engine needs a name, a package and a module")


def _check_onnx(content: bytes, shape: tuple[int, int], classes: int) -> None:
    from tinysight.model_files.onnx_check import check_model

    check_model(content, shape, classes)


def _check_tflite(content: bytes, shape: tuple[int, int], classes: int) -> None:
    from tinysight.model_files.tflite_check import check_model

    check_model(content, shape, classes)


def _load_onnxruntime(content: bytes, shape: tuple[int, int], classes: int, threads: int) -> Engine:
    from tinysight.engines.ort import OnnxRuntimeEngine

    return OnnxRuntimeEngine(content, shape, classes, threads)


def _load_litert(content: bytes, shape: tuple[int, int], classes: int, threads: int) -> Engine:
    from tinysight.engines.litert import LiteRTEngine

    return LiteRTEngine(content, shape, classes, threads)


ENGINES: dict[str, EngineSpec] = {
    spec.name: spec
    for spec in (
        EngineSpec(
            name="onnxruntime",
            package="onnxruntime",
            module="onnxruntime",
            format="onnx",
            check=_check_onnx,
            loader=_load_onnxruntime,
        ),
        EngineSpec(
            name="litert",
            package="ai-edge-litert",
            module="ai_edge_litert.interpreter",
            format="tflite",
            check=_check_tflite,
            loader=_load_litert,
        ),
    )
}
"""By name. onnxruntime is always installed, and one engine runs each format."""


def engine_of(artifact: Artifact) -> str:
    """The name of the engine that runs an artifact."""
    return next(spec.name for spec in ENGINES.values() if spec.format == artifact.format)


def installed(engine: str) -> bool:
    """Whether the engine can be imported here."""
    return importlib.util.find_spec(ENGINES[engine].module.partition(".")[0]) is not None


def runnable(bundle: Bundle) -> list[Artifact]:
    """The artifacts that an installed engine runs, in the bundle's order."""
    return [artifact for artifact in bundle.artifacts if installed(engine_of(artifact))]


def read_model(bundle: Bundle, artifact: Artifact) -> bytes:
    """An artifact's bytes, fit for its engine: size, SHA-256 and the model itself were checked.

    Raises BundleError: it is damaged, not what the bundle says, or beyond what is allowed.
    """
    content = bundle.read(artifact)
    try:
        ENGINES[engine_of(artifact)].check(content, bundle.shape, len(bundle.labels))
    except BundleError as error:
        raise BundleError(f"{bundle.name}: {artifact.file} is refused: {error}") from None
    return content


def open_engine(bundle: Bundle, artifact: Artifact, threads: int = 1) -> Engine:
    """Loads an artifact into its engine, after `read_model` has checked it.

    Args:
        bundle: read from a folder.
        artifact: one of its artifacts.
        threads: how many cores one call may use.

    Raises:
        BundleError: it is damaged, or does not take and give what the bundle says.
        MissingExtraError: its engine is not installed.
    """
    content = read_model(bundle, artifact)
    try:
        return ENGINES[engine_of(artifact)].loader(
            content, bundle.shape, len(bundle.labels), threads
        )
    except BundleError as error:
        raise BundleError(f"{bundle.name}: {artifact.file}: {error}") from error


def resolve_artifact(bundle: Bundle, artifact: str | None, engine: str | None) -> Artifact:
    """The artifact that a caller means by the names of an artifact and an engine, or of neither.

    An engine alone means the default's recipe in the engine's format, or else the smallest
    artifact that the engine runs.

    Raises BundleError where the bundle has no such artifact, ValueError for an unknown engine.
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
    possible = [a for a in bundle.artifacts if a.format == ENGINES[engine].format]
    if not possible:
        raise BundleError(f"{bundle.name} has no artifact for {engine}")
    recipe = bundle.artifact().recipe
    return min(possible, key=lambda a: (a.recipe != recipe, a.bytes))
