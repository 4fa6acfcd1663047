"""The Pareto front of latency and accuracy."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def pareto_front(
    items: Iterable[T], latency: Callable[[T], float], accuracy: Callable[[T], float]
) -> list[T]:
    """The items that no other one beats in both latency and accuracy, the fastest first."""
    front: list[T] = []
    for item in sorted(items, key=lambda item: (latency(item), -accuracy(item))):
        if not front or accuracy(item) > accuracy(front[-1]):
            front.append(item)
    return front
