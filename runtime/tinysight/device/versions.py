"""Versions of what a latency, or an answer, depends on."""

import contextlib
from collections.abc import Iterable


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of those distributions that are installed here, by name."""
    from importlib.metadata import PackageNotFoundError, version  # late: 20 ms, for few callers

    found = {}
    for package in packages:
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
