"""What this machine is, as far as the system says: what a latency depends on."""

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

# The instruction sets that decide which int8 and float kernels an engine picks.
_FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A machine; None for what its system does not say."""

    system: str
    """Operating system, its release, and the machine's architecture."""
    cpu: str
    """The CPU's model, or the board's."""
    cores: int
    """Those that the process could use."""
    features: tuple[str, ...]
    """The CPU's instruction sets that kernels are chosen by."""
    governor: str | None
    """Linux's policy for the clock of the first core."""
    memory_mb: int | None
    python: str
    """Its version."""

    def __post_init__(self) -> None:
        if not (self.cpu and self.system) or self.cores < 1:
            raise ValueError("a device needs a system, a CPU and a core")


def describe() -> DeviceInfo:
    """This machine."""
    cpuinfo = _read("/proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    model = _read("/proc/device-tree/model").rstrip("\0")
    cpu = fields.get("model name") or model or platform.processor() or platform.machine()
    return DeviceInfo(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu or "unknown",
        cores=cores(),
        features=tuple(name for name in _FEATURES if name in flags),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        memory_mb=_memory_mb(),
        python=platform.python_version(),
    )


def cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_mb() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return None


def _read(path: str) -> str:
    """The file's text; empty where the system does not have it."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
