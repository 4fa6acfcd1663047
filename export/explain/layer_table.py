"""The two artifacts side by side: a row for each layer, and for each kernel between layers."""

from collections.abc import Sequence
from dataclasses import dataclass

from export.explain.kernels import Kernel
from export.explain.layer_cost import Layer
from export.explain.peak_throughput import Peak


@dataclass(frozen=True, slots=True)
class Timed:
    """One layer, or what runs between layers, in one artifact."""

    operator: str
    """As onnxruntime calls it."""
    fused: tuple[str, ...]
    """Operators of the artifact that it computes besides its own."""
    integer: bool
    """Whether it multiplies in 8 bits."""
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
        """The time in float32 over the time in int8."""
        if self.float32 is None or self.int8 is None:
            return None
        return self.float32.microseconds / self.int8.microseconds

    def peak_utilization(self, timed: Timed | None, peak: Peak) -> float | None:
        """The rate of its multiply-accumulates over the best of its own arithmetic."""
        if timed is None or self.layer is None:
            return None
        return self.layer.macs / timed.microseconds / peak.of(timed.integer)


def pair(layers: Sequence[Layer], float32: Sequence[Kernel], int8: Sequence[Kernel]) -> list[Row]:
    """Sets the kernels of two artifacts side by side, in the order in which they run."""
    known = {layer.name: layer for layer in layers}
    left, right = _timed(float32), _timed(int8)
    order = list(right)
    position = 0
    for name in left:  # what only float32 has stands behind what runs before it there
        if name in right:
            position = order.index(name) + 1
        else:
            order.insert(position, name)
            position += 1
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
