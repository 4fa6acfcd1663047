"""The machine's state while it measures, and what in it makes latencies unreliable."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BUSY_CORES = 0.1
"""Cores that other processes may keep busy meanwhile without a warning."""
CLOCK_DROP = 0.9
"""Of the clock at the start: what it may fall to without a warning."""
HOT_C = 80.0
"""A Raspberry Pi slows down from here on; most others do so later."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """What the system says at one moment; None for what it does not say."""

    load: float | None
    """Processes that ran or waited to run, averaged over the last minute."""
    clock_mhz: float | None
    """Of the core with the highest clock."""
    temperature_c: float | None
    """Of the hottest sensor."""
    throttled: int | None
    """How often the CPU has throttled since it started; on a Raspberry Pi, 1 while it does."""
    at_s: float = 0.0
    """When, in seconds of a monotonic clock."""
    process_cpu_s: float = 0.0
    """CPU time that this process and its finished children have had."""
    busy_s: float | None = None
    """CPU time that all processes have had since the system started."""
    steal_s: float | None = None
    """CPU time that the host of this virtual machine gave to another one."""

    @classmethod
    def now(cls, root: Path = Path("/")) -> "MachineState":
        """Reads it from the files below `root`."""
        busy, steal = _cpu_seconds(root)
        times = os.times()
        return cls(
            load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            clock_mhz=_clock_mhz(root),
            temperature_c=_largest(root, "sys/class/thermal/thermal_zone*/temp", 1e-3),
            throttled=_throttled(root),
            at_s=time.monotonic(),
            process_cpu_s=times.user + times.system + times.children_user + times.children_system,
            busy_s=busy,
            steal_s=steal,
        )


def measurement_warnings(before: MachineState, after: MachineState) -> list[str]:
    """What happened between the two that makes latencies unreliable, a sentence each."""
    found = []
    seconds = max(after.at_s - before.at_s, 1e-9)
    if before.busy_s is not None and after.busy_s is not None:
        others = (
            after.busy_s - before.busy_s - (after.process_cpu_s - before.process_cpu_s)
        ) / seconds
        if others > BUSY_CORES:
            found.append(f"busy: other processes took {others:.1f} cores meanwhile")
    if before.steal_s is not None and after.steal_s is not None:
        steal = (after.steal_s - before.steal_s) / seconds
        if steal > BUSY_CORES:
            found.append(f"busy: the host took {steal:.1f} cores away from this virtual machine")
    if before.throttled is not None and after.throttled is not None:
        if after.throttled > before.throttled:
            found.append("throttled: the CPU lowered its clock meanwhile")
        elif before.throttled and after.throttled == 1:
            found.append("throttled: the board says that its clock is lowered")
    if before.clock_mhz and after.clock_mhz and after.clock_mhz < CLOCK_DROP * before.clock_mhz:
        found.append(f"slower: from {before.clock_mhz:.0f} to {after.clock_mhz:.0f} MHz")
    if after.temperature_c is not None and after.temperature_c >= HOT_C:
        found.append(f"hot: {after.temperature_c:.0f} degrees at the end")
    return found


def _cpu_seconds(root: Path) -> tuple[float | None, float | None]:
    """Busy and steal time in seconds, from the first line of /proc/stat: see proc_stat(5)."""
    try:
        line = (root / "proc/stat").read_text(encoding="ascii").splitlines()[0]
        tick = os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, AttributeError, ValueError):
        return None, None
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + soft) / tick, steal / tick


def _clock_mhz(root: Path) -> float | None:
    found = _largest(root, "sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq", 1e-3)
    if found is not None:
        return found
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    clocks = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
    return max(clocks, default=None)


def _throttled(root: Path) -> int | None:
    counts = _numbers(root, "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count")
    counted = list(counts)
    if counted:
        return sum(counted)
    try:
        text = (root / "sys/devices/platform/soc/soc:firmware/get_throttled").read_text("ascii")
        # The lowest four bits say what is so now: under-voltage, a capped or a lowered clock.
        return int(int(text, 16) & 0xF != 0)
    except (OSError, ValueError):
        return None


def _largest(root: Path, pattern: str, scale: float) -> float | None:
    found = max(_numbers(root, pattern), default=None)
    return None if found is None else found * scale


def _numbers(root: Path, pattern: str) -> Iterator[int]:
    for path in root.glob(pattern):
        try:
            yield int(path.read_text(encoding="ascii"))
        except (OSError, ValueError):  # a sensor that is switched off, or gone
            continue
