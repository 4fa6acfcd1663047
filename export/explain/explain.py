"""The explanation of a bundle: measured here and now."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.errors import ExportError
from export.explain.findings import Finding, findings
from export.explain.kernels import profile
from export.explain.layer_cost import layers
from export.explain.layer_table import Row, pair
from export.explain.peak_throughput import Peak, measure_peak
from export.passes.strip_quantization import strip_quantization
from export.validation.int16_saturation import SaturationReport, report_int16_saturation
from tinysight.benchmark.timing import time_interleaved
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.device.info import describe
from tinysight.engines.ort import OnnxRuntimeEngine
from tinysight.engines.registry import Engine, open_engine, read_model
from tinysight.integrity import golden
from tinysight.provenance import ArtifactChecks, read_provenance
from tinysight.records import JsonObject, to_json

_SECONDS = 10.0
"""For each of the two graphs, at most."""


@dataclass(frozen=True, slots=True)
class GraphLatency:
    """The latency of a whole graph."""

    median_us: float
    """In microseconds."""
    runs: int

    @classmethod
    def of(cls, nanoseconds: NDArray[np.int64]) -> "GraphLatency":
        """From the times of single runs, (n,)."""
        return cls(float(np.median(nanoseconds)) / 1e3, len(nanoseconds))


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was measured of one quantized artifact of a bundle."""

    bundle: Bundle
    artifact: Artifact
    reference: str
    """What the float32 column was measured on."""
    rows: tuple[Row, ...]
    peak: Peak
    float32: GraphLatency
    int8: GraphLatency
    findings: tuple[Finding, ...]
    saturation: SaturationReport
    checks: Mapping[str, ArtifactChecks]
    """How each artifact agrees with the trained model, by name; empty where that is unknown."""
    device: JsonObject
    """This machine: `tinysight.device.info`."""


def explain(
    path: Path | None,
    runs: int,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,  # noqa: ARG005
) -> Explanation:
    """Measures a bundle's quantized artifact against float32, layer by layer, on one thread.

    Args:
        path: the bundle's folder; None is the one that comes with tinysight.
        runs: how often each graph runs, for its kernels and once more as a whole.

    Raises:
        ExportError: the bundle has no ONNX artifact in 8 bits, or one that cannot be analyzed.
        BundleError: the bundle is damaged.
    """
    bundle = load_bundle(path)
    provenance = read_provenance(bundle)  # early: what is damaged need not be measured
    artifact = _quantized(bundle)
    content = read_model(bundle, artifact)
    engine = open_engine(bundle, artifact)  # first: it refuses what is no model
    graph = onnx.load_from_string(content)
    reference, float_content = _float32(bundle, artifact, graph)
    models = {"float32": float_content, "int8": content}
    engines = {
        "float32": OnnxRuntimeEngine(float_content, bundle.shape, len(bundle.labels)),
        "int8": engine,
    }
    work = layers(graph)
    # As fine as pixels are, so that no kernel may skip anything.
    image = golden.noise(*bundle.shape)[-1:]
    progress("measuring the peak", 0, 0)
    peak = measure_peak()
    kernels = profile(models, image, runs, lambda *done: progress("timing kernels:", *done))
    progress("timing whole graphs", 0, 0)
    calls = {name: _call(engine, image) for name, engine in engines.items()}
    times = time_interleaved(calls, runs, _SECONDS)
    rows = pair(work, kernels["float32"], kernels["int8"])
    peak = _raise_to(peak, rows)
    progress("emulating other CPUs", 0, 0)
    return Explanation(
        bundle=bundle,
        artifact=artifact,
        reference=reference,
        rows=tuple(rows),
        peak=peak,
        float32=GraphLatency.of(times["float32"]),
        int8=GraphLatency.of(times["int8"]),
        findings=tuple(findings(rows, graph, peak)),
        saturation=report_int16_saturation(graph, golden.inputs(bundle)),
        checks={} if provenance is None else provenance.artifacts,
        device=to_json(describe()),
    )


def _raise_to(peak: Peak, rows: list[Row]) -> Peak:
    """The peak, or what a layer of this very graph reached beyond it."""
    rates = {False: peak.float32, True: peak.int8}
    for row in rows:
        for timed in (row.float32, row.int8):
            if row.layer is not None and timed is not None:
                rate = row.layer.macs / timed.microseconds
                rates[timed.integer] = max(rates[timed.integer], rate)
    return Peak(float32=rates[False], int8=rates[True])


def _quantized(bundle: Bundle) -> Artifact:
    """The artifact to explain: the default where it has 8 bits, or else the first that has."""
    for artifact in (bundle.artifact(), *bundle.artifacts):
        if artifact.format == "onnx" and "w8a8" in artifact.recipe:
            return artifact
    known = ", ".join(artifact.name for artifact in bundle.artifacts)
    raise ExportError(f"{bundle.name} has no ONNX artifact in 8 bits to explain; it has {known}")


def _float32(bundle: Bundle, artifact: Artifact, graph: onnx.ModelProto) -> tuple[str, bytes]:
    """The bundle's own float32, or the quantized graph with its quantization stripped."""
    for other in bundle.artifacts:
        if other.name == "float32":
            return "float32", read_model(bundle, other)
    stripped = strip_quantization(graph).SerializeToString()
    return f"{artifact.name} without its quantization", stripped


def _call(engine: Engine, image: NDArray[np.uint8]) -> Callable[[], object]:
    return lambda: engine.run(image)
