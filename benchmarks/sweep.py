"""Every artifact of several bundles, measured in one process and in turns."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.litert import LiteRT
from tinysight import device
from tinysight.bundle import Artifact, Bundle
from tinysight.errors import TinysightError
from tinysight.measure import Latency, correct_answers, interleave
from tinysight.session import Session
from tinysight.statistics import Accuracy
from training.data import Dataset

FORMAT = 1
_BATCH = 100

ENGINES = {"onnx": "onnxruntime", "tflite": "ai-edge-litert"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One artifact: what it costs and what it is worth."""

    bundle: str
    artifact: Artifact
    latency: Latency
    accuracy: Accuracy

    @property
    def name(self) -> str:
        return f"{self.bundle}/{self.artifact.name}"


def sweep(
    bundles: Sequence[Bundle],
    dataset: Dataset | None,
    *,
    samples: int,
    threads: int = 1,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,  # noqa: ARG005
) -> list[Measured]:
    """Measures every artifact at batch 1.

    Args:
        bundles: what to measure; their names must differ.
        dataset: whose test images to answer; None takes the accuracy that each bundle recorded
            when it was exported.
        samples: timed calls for each artifact.
        threads: cores one call may use.
        progress: told what is being done, how much is done, and how much there is.

    Raises:
        TinysightError: two bundles of one name, labels that are not the data's, or a bundle
            that cannot be loaded.
    """
    names = [bundle.name for bundle in bundles]
    if len(set(names)) != len(names):
        raise TinysightError(f"two bundles have one name: {', '.join(sorted(names))}")
    entries = [(bundle, artifact) for bundle in bundles for artifact in bundle.artifacts]
    engines = [_engine(bundle, artifact, threads) for bundle, artifact in entries]
    accuracies = []
    for done, ((bundle, artifact), engine) in enumerate(zip(entries, engines, strict=True)):
        progress("answering the test images", done, len(entries))
        accuracies.append(_accuracy(bundle, artifact, engine, dataset))
    calls: dict[str, Callable[[], object]] = {
        f"{bundle.name}/{artifact.name}": partial(engine.run, _image(bundle, dataset))
        for (bundle, artifact), engine in zip(entries, engines, strict=True)
    }
    latencies = interleave(
        calls, samples, lambda done, total: progress("timing, in turns", done, total)
    )
    return [
        Measured(bundle.name, artifact, latency, accuracy)
        for (bundle, artifact), latency, accuracy in zip(
            entries, latencies.values(), accuracies, strict=True
        )
    ]


def pareto_front(measured: Sequence[Measured]) -> list[Measured]:
    """Those that nothing else beats in both latency and accuracy, the quickest first."""
    front: list[Measured] = []
    for entry in sorted(measured, key=lambda m: (m.latency.median, -m.accuracy.value)):
        if not front or entry.accuracy.value > front[-1].accuracy.value:
            front.append(entry)
    return front


def as_json(
    measured: Sequence[Measured], dataset: Dataset | None, samples: int, threads: int
) -> str:
    """The result file: settings, device, and for each artifact its figures and raw samples."""
    front = {entry.name for entry in pareto_front(measured)}
    result: dict[str, Any] = {
        "format": FORMAT,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": device.describe(),
        "versions": {package: version(package) for package in (*ENGINES.values(), "numpy")},
        "settings": {"batch": 1, "threads": threads, "samples": samples, "interleaved": True},
        "data": None
        if dataset is None
        else {"name": dataset.title, "fingerprint": dataset.fingerprint, "split": "test"},
        "results": [
            {
                "bundle": entry.bundle,
                "artifact": entry.artifact.name,
                "engine": ENGINES[entry.artifact.format],
                "bytes": entry.artifact.bytes,
                "sha256": entry.artifact.sha256,
                "on_front": entry.name in front,
                "accuracy": entry.accuracy.as_json(),
                "latency": entry.latency.as_json(),
                "samples_ns": entry.latency.samples.tolist(),
            }
            for entry in measured
        ],
    }
    return json.dumps(result) + "\n"


def _engine(bundle: Bundle, artifact: Artifact, threads: int) -> Session | LiteRT:
    if artifact.format == "tflite":
        return LiteRT(bundle.read(artifact), threads)
    return Session.open(bundle, artifact, threads)


def _image(bundle: Bundle, dataset: Dataset | None) -> NDArray[np.uint8]:
    """A batch of one: a real test image where there is one, else seeded noise."""
    if dataset is not None:
        return np.array(dataset.images[dataset.parts["test"][:1]])
    shape = (1, bundle.height, bundle.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _accuracy(
    bundle: Bundle, artifact: Artifact, engine: Session | LiteRT, dataset: Dataset | None
) -> Accuracy:
    if dataset is None:
        if artifact.accuracy is None:
            raise TinysightError(f"{bundle.name} records no accuracy: give --data")
        return Accuracy(artifact.accuracy["correct"], artifact.accuracy["n"])
    if set(bundle.labels) != set(dataset.labels):
        raise TinysightError(
            f"{bundle.name} knows {', '.join(bundle.labels[:5])}, …; "
            f"{dataset.title} has {', '.join(dataset.labels[:5])}, …"
        )
    # The same classes may stand in another order.
    index = np.array([bundle.labels.index(label) for label in dataset.labels])
    if (bundle.height, bundle.width) != dataset.images.shape[1:3]:
        raise TinysightError(f"{bundle.name} takes another image size than {dataset.title} has")
    test = dataset.parts["test"]
    batches = (
        (np.asarray(dataset.images[rows]), index[dataset.targets[rows]])
        for rows in (test[start : start + _BATCH] for start in range(0, len(test), _BATCH))
    )
    return Accuracy(*correct_answers(engine.run, batches))
