"""An explanation as JSON, for programs."""

from export.explain.explain import Explanation
from export.explain.layer_table import Row, Timed
from export.explain.peak_throughput import Peak
from tinysight.records import JsonObject, to_json

FORMAT = 2
"""Raised when a reader of the old format would misunderstand the new one."""


def json_report(explained: Explanation) -> JsonObject:
    """Everything that was measured; times in microseconds."""
    return {
        "format": FORMAT,
        "kind": "explain",
        "bundle": explained.bundle.name,
        "artifact": explained.artifact.name,
        "sha256": explained.artifact.sha256,
        "reference": explained.reference,
        "device": explained.device,
        "peak_macs_per_us": to_json(explained.peak),
        "latency": {"float32": to_json(explained.float32), "int8": to_json(explained.int8)},
        "rows": [_row(row, explained.peak) for row in explained.rows],
        "findings": [
            {**to_json(finding), "microseconds": round(finding.microseconds, 1)}
            for finding in explained.findings
        ],
        "int16_saturation": to_json(explained.saturation),
    }


def _row(row: Row, peak: Peak) -> JsonObject:
    return {
        "name": row.name,
        "kind": row.layer.kind if row.layer else None,
        "size": row.layer.size if row.layer else None,
        "macs": row.layer.macs if row.layer else 0,
        "float32": _timed(row.float32, row.peak_utilization(row.float32, peak)),
        "int8": _timed(row.int8, row.peak_utilization(row.int8, peak)),
    }


def _timed(timed: Timed | None, utilization: float | None) -> JsonObject | None:
    if timed is None:
        return None
    return {
        "operator": timed.operator,
        "fused": list(timed.fused),
        "integer": timed.integer,
        "us": round(timed.microseconds, 2),
        "peak_utilization": None if utilization is None else round(utilization, 4),
    }
