"""The explanation of a bundle: measured here and now."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.explain.findings import Finding, findings
from export.explain.kernels import profile
from export.explain.layer_cost import layers
from export.explain.layer_table import Row, pair
from export.explain.peak_throughput import Peak, measure_peak
from export.passes import ExportError
from export.passes.strip_quantization import strip_quantization
from export.validation.int16_saturation import Portability, portability
from tinysight.benchmark.timing import Latency, time_interleaved
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.device.info import describe
from tinysight.engines.ort import OnnxRuntimeEngine
from tinysight.integrity import golden

FORMAT = 1

_SECONDS = 10.0
"""For each of the two graphs, at most."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was found of one quantized artifact of a bundle."""

    bundle: Bundle
    artifact: Artifact
    reference: str
    """What float32's column was measured on."""
    rows: tuple[Row, ...]
    peak: Peak
    float32: Latency
    int8: Latency
    findings: tuple[Finding, ...]
    portability: Portability
    device: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "kind": "explain",
            "bundle": self.bundle.name,
            "artifact": self.artifact.name,
            "sha256": self.artifact.sha256,
            "reference": self.reference,
            "device": self.device,
            "peak_macs_per_us": {"float32": self.peak.float32, "int8": self.peak.int8},
            "latency": {"float32": self.float32.as_json(), "int8": self.int8.as_json()},
            "rows": [row.as_json(self.peak) for row in self.rows],
            "findings": [finding.as_json() for finding in self.findings],
            "portability": self.portability.as_json(),
        }


def explain(
    path: Path | None,
    samples: int,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,  # noqa: ARG005
) -> Explanation:
    """Measures a bundle's quantized artifact against float32, layer by layer, on one thread.

    Args:
        path: the bundle's folder; None is the one that comes with tinysight.
        samples: how often each graph runs, for its kernels and once more as a whole.

    Raises:
        ExportError: the bundle has no ONNX artifact in 8 bits, or one that cannot be looked into.
        BundleError: the bundle is damaged.
    """
    bundle = load_bundle(path)
    artifact = _quantized(bundle)
    content = bundle.read(artifact)
    graph = onnx.load_from_string(content)
    reference, float_content = _float32(bundle, artifact, graph)
    work = layers(graph)
    shape = (bundle.height, bundle.width)
    image = golden.inputs(*shape)[-1:]  # as fine as pixels are: no kernel may skip anything
    progress("measuring the peak", 0, 0)
    peak = measure_peak()
    models = {"float32": float_content, "int8": content}
    kernels = profile(models, image, samples, lambda *done: progress("timing kernels:", *done))
    sessions = {
        name: OnnxRuntimeEngine(model, shape, len(bundle.labels)) for name, model in models.items()
    }
    progress("timing whole graphs", 0, 0)
    calls = {name: _call(session, image) for name, session in sessions.items()}
    times = time_interleaved(calls, samples, _SECONDS)
    latencies = {name: Latency(values) for name, values in times.items()}
    rows = pair(work, kernels["float32"], kernels["int8"])
    peak = _reached(peak, rows)
    progress("emulating other CPUs", 0, 0)
    return Explanation(
        bundle=bundle,
        artifact=artifact,
        reference=reference,
        rows=tuple(rows),
        peak=peak,
        float32=latencies["float32"],
        int8=latencies["int8"],
        findings=tuple(findings(rows, graph, peak)),
        portability=portability(graph, golden.inputs(*shape)),
        device=describe(),
    )


def _reached(peak: Peak, rows: list[Row]) -> Peak:
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
    onnx_artifacts = [bundle.artifact(), *bundle.artifacts]
    for artifact in onnx_artifacts:
        if artifact.format == "onnx" and "w8a8" in artifact.recipe:
            return artifact
    known = ", ".join(artifact.name for artifact in bundle.artifacts)
    raise ExportError(f"{bundle.name} has no ONNX artifact in 8 bits to explain; it has {known}")


def _float32(bundle: Bundle, artifact: Artifact, graph: onnx.ModelProto) -> tuple[str, bytes]:
    """The bundle's own float32, or the quantized graph with its quantization taken out."""
    for other in bundle.artifacts:
        if other.name == "float32":
            return "float32", bundle.read(other)
    twin = strip_quantization(graph).SerializeToString()
    return f"{artifact.name} without its quantization", twin


def _call(session: OnnxRuntimeEngine, image: np.ndarray) -> Callable[[], object]:
    return lambda: session.run(image)
