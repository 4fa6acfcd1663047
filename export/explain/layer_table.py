"""The two artifacts side by side: a row for each layer, and for each kernel between layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from export.explain.kernels import Kernel
from export.explain.layer_cost import Layer
from export.explain.peak_throughput import Peak


@dataclass(frozen=True, slots=True)
class Timed:
    """One layer, or what stands between layers, in one artifact."""

    operator: str
    fused: tuple[str, ...]
    integer: bool
    microseconds: float


@dataclass(frozen=True, slots=True)
class Row:
    """A layer or a kernel between layers, in both artifacts."""

    name: str
    layer: Layer | None
    """None between layers."""
    float32: Timed | None
    """None where the artifact has no such kernel."""
    int8: Timed | None

    @property
    def ratio(self) -> float | None:
        """How many times as quick int8 is."""
        if self.float32 is None or self.int8 is None:
            return None
        return self.float32.microseconds / self.int8.microseconds

    def peak_utilization(self, timed: Timed | None, peak: Peak) -> float | None:
        """The rate of its multiply-accumulates over the best of its own arithmetic."""
        if timed is None or self.layer is None:
            return None
        return self.layer.macs / timed.microseconds / peak.of(timed.integer)

    def as_json(self, peak: Peak) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.layer.kind if self.layer else None,
            "size": self.layer.size if self.layer else None,
            "macs": self.layer.macs if self.layer else 0,
            "float32": _as_json(self.float32, self.peak_utilization(self.float32, peak)),
            "int8": _as_json(self.int8, self.peak_utilization(self.int8, peak)),
        }


def pair(layers: Sequence[Layer], float32: Sequence[Kernel], int8: Sequence[Kernel]) -> list[Row]:
    """Sets the kernels of two artifacts side by side, in the order in which they run."""
    known = {layer.name: layer for layer in layers}
    left, right = _timed(float32), _timed(int8)
    order = list(right)
    place = 0
    for name in left:  # what only float32 has stands behind what runs before it there
        if name in right:
            place = order.index(name) + 1
        else:
            order.insert(place, name)
            place += 1
    return [Row(name, known.get(name), left.get(name), right.get(name)) for name in order]


def _timed(kernels: Sequence[Kernel]) -> dict[str, Timed]:
    """By the node of the artifact; kernels that stand for the same one are added up."""
    timed: dict[str, Timed] = {}
    for kernel in kernels:
        name = kernel.origin or kernel.operator
        number = 2
        while kernel.origin is None and name in timed:
            name, number = f"{kernel.operator} {number}", number + 1
        new = Timed(kernel.operator, kernel.fused, kernel.integer, kernel.microseconds)
        if (old := timed.get(name)) is not None:
            new = Timed(
                f"{old.operator} + {new.operator}",
                (*old.fused, *new.fused),
                old.integer or new.integer,
                old.microseconds + new.microseconds,
            )
        timed[name] = new
    return timed


def _as_json(timed: Timed | None, share: float | None) -> dict[str, Any] | None:
    if timed is None:
        return None
    return {
        "operator": timed.operator,
        "fused": list(timed.fused),
        "integer": timed.integer,
        "us": round(timed.microseconds, 2),
        "of_peak": None if share is None else round(share, 4),
    }
