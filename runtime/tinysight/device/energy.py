"""Energy, where the machine counts it: Linux's powercap (RAPL) and hwmon.

Only counters of energy are used. A reading of momentary power would have to be sampled, by a thread
that runs beside what it measures.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIN_SECONDS = 1.0
"""Counters move once a millisecond or so, so single short calls cannot be measured."""


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """Files that count microjoules, which are added up."""

    name: str
    """Of the counters, for people."""
    files: tuple[Path, ...]
    ranges: tuple[int | None, ...]
    """Where each starts again from 0, in microjoules; None where that is unknown."""

    def read(self) -> tuple[int, ...]:
        return tuple(int(file.read_text(encoding="ascii")) for file in self.files)

    def joules(self, before: tuple[int, ...], after: tuple[int, ...]) -> float:
        """Between two readings, less than one full range apart."""
        total = 0
        for old, new, span in zip(before, after, self.ranges, strict=True):
            total += new - old + (span or 0) * (new < old)
        return total / 1e6


def energy_counter(root: Path = Path("/sys")) -> tuple[EnergyCounter | None, str]:
    """The counter of this machine, and its name; or None, and why there is none."""
    packages = sorted((root / "class/powercap").glob("*-rapl:?/energy_uj"))
    sensors = sorted((root / "class/hwmon").glob("hwmon*/energy*_input"))
    files = tuple(packages or sensors)
    if not files:
        return None, "this machine exposes no energy counter"
    try:
        name = ", ".join(dict.fromkeys(_name(file) for file in files))
        ranges = tuple(_range(file) for file in files)
        counter = EnergyCounter(name, files, ranges)
        counter.read()
    except PermissionError:
        return None, "its energy counter may not be read by this user"
    except (OSError, ValueError) as error:
        return None, f"its energy counter cannot be read ({error})"
    return counter, name


def joules_per_call(
    counter: EnergyCounter, call: Callable[[], object], seconds: float = MIN_SECONDS
) -> tuple[float, int]:
    """The joules of one of many calls in a row, idle power included, and the number of calls."""
    calls = 0
    before, end = counter.read(), time.perf_counter() + seconds
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    return counter.joules(before, counter.read()) / calls, calls


def idle_watts(counter: EnergyCounter, seconds: float = MIN_SECONDS) -> float:
    """The power that the machine takes while this process sleeps."""
    before, began = counter.read(), time.perf_counter()
    time.sleep(seconds)
    return counter.joules(before, counter.read()) / (time.perf_counter() - began)


def _name(file: Path) -> str:
    name = file.with_name("name")
    return name.read_text(encoding="utf-8").strip() if name.exists() else file.parent.name


def _range(file: Path) -> int | None:
    limit = file.with_name("max_energy_range_uj")
    return int(limit.read_text(encoding="ascii")) if limit.exists() else None
