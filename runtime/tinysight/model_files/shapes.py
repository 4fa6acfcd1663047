"""Shapes of what a graph computes, and the bounds on them.

A graph of a few hundred bytes can ask for terabytes or for years. So every shape is inferred before
an engine sees the graph, for a batch of `BATCH` images, and the sizes and the work are bounded.
"""

import math
from collections.abc import Sequence

from tinysight.errors import BundleError

Shape = tuple[int, ...]

BATCH = 2
"""What stands for the free batch dimension: a graph that is fixed to 1 does not pass with 2."""
MAX_DIMENSIONS = 6
MAX_NODES = 4096
MAX_TENSORS = 16384
MAX_ELEMENTS = 1 << 26
"""Of one tensor, for `BATCH` images; VGG16 at 224 x 224 pixels has 6.4 million."""
MAX_TOTAL_ELEMENTS = 1 << 28
"""Of all results of nodes together, for `BATCH` images."""
MAX_MACS = 20 * 10**9
"""Multiply-accumulates for one image; VGG16 at 224 x 224 pixels has 15.5 billion."""
MAX_WINDOW = 512
"""Of a kernel, a stride or a dilation, per axis."""


class Work:
    """What the nodes seen so far compute; each `add` raises BundleError beyond a bound."""

    def __init__(self) -> None:
        self.elements = 0
        self.macs = 0

    def add(self, shape: Shape, macs_each: int = 0) -> Shape:
        """Adds a result of a shape, each element of which takes so many MACs; returns the shape."""
        count = check_shape(shape)
        self.elements += count
        self.macs += count * macs_each
        if self.elements > MAX_TOTAL_ELEMENTS:
            raise BundleError(f"its results have more than {MAX_TOTAL_ELEMENTS:,} elements in all")
        if self.macs > MAX_MACS * BATCH:
            raise BundleError(f"it takes more than {MAX_MACS:,} multiply-accumulates an image")
        return shape


def check_shape(shape: Shape) -> int:
    """The number of a shape's elements. Raises BundleError where it is out of bounds."""
    if len(shape) > MAX_DIMENSIONS:
        raise BundleError(f"a tensor of {len(shape)} dimensions, allowed are {MAX_DIMENSIONS}")
    for size in shape:
        if not 0 <= size <= MAX_ELEMENTS:
            raise BundleError(f"a dimension of {size:,}, allowed are {MAX_ELEMENTS:,}")
    count = math.prod(shape)
    if count > MAX_ELEMENTS:
        raise BundleError(f"a tensor of {count:,} elements, allowed are {MAX_ELEMENTS:,}")
    return count


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape of an elementwise operation, by numpy's rule."""
    longest = max(len(shape) for shape in shapes)
    padded = [(1,) * (longest - len(shape)) + shape for shape in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        others = {size for size in sizes if size != 1}
        if len(others) > 1:
            raise BundleError(f"shapes {list(map(list, shapes))} do not go together")
        out.append(others.pop() if others else 1)
    return tuple(out)


def window(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """The number of places of a sliding window on one axis, padded before and after."""
    if not (
        1 <= kernel <= MAX_WINDOW and 1 <= stride <= MAX_WINDOW and 1 <= dilation <= MAX_WINDOW
    ):
        raise BundleError(f"a window of {kernel}, stride {stride}, dilation {dilation}")
    reach = (kernel - 1) * dilation + 1
    if not (0 <= before < reach and 0 <= after < reach):
        raise BundleError(f"a padding of {before} and {after} for a window of {reach}")
    if size + before + after < reach:
        raise BundleError(f"a window of {reach} on {size + before + after} pixels")
    return (size + before + after - reach) // stride + 1


def reshape(shape: Shape, target: Sequence[int], *, zero_copies: bool) -> Shape:
    """The shape after a Reshape: one -1 takes the rest; 0 keeps a dimension in ONNX alone."""
    sizes = list(target)
    if zero_copies:
        sizes = [shape[i] if size == 0 and i < len(shape) else size for i, size in enumerate(sizes)]
    count = math.prod(shape)
    if sizes.count(-1) == 1:
        rest = math.prod(size for size in sizes if size != -1)
        if rest > 0 and count % rest == 0:
            sizes[sizes.index(-1)] = count // rest
    if min(sizes, default=0) < 0 or math.prod(sizes) != count:
        raise BundleError(f"{list(shape)} does not reshape to {list(target)[:MAX_DIMENSIONS]}")
    return tuple(sizes)


def reduce(shape: Shape, axes: Sequence[int], *, keep: bool) -> Shape:
    """The shape after a reduction over axes, which may be negative."""
    places = {normal_axis(axis, len(shape)) for axis in axes}
    if keep:
        return tuple(1 if i in places else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in places)


def normal_axis(axis: int, dimensions: int) -> int:
    """An axis from 0. Raises BundleError where there is none."""
    if not -dimensions <= axis < dimensions:
        raise BundleError(f"axis {axis} of {dimensions} dimensions")
    return axis % dimensions


def matmul(first: Shape, second: Shape) -> Shape:
    """The shape of a product of stacks of matrices."""
    if len(first) < 2 or len(second) < 2 or first[-1] != second[-2]:
        raise BundleError(f"no product of {list(first)} and {list(second)}")
    return (*broadcast([first[:-2], second[:-2]]), first[-2], second[-1])
