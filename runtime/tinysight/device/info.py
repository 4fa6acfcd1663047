"""What this machine is, as far as it tells: so that a latency can be read with its cause."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

# The instruction sets that decide which int8 and float kernels an engine picks.
_FEATURES = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16",
    "asimd", "asimddp", "i8mm", "bf16", "sve",
)  # fmt: skip


def describe() -> dict[str, Any]:
    """System, CPU model, usable cores, kernel-relevant CPU features, clock governor, memory."""
    cpuinfo = _read("/proc/cpuinfo")
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    model = _read("/proc/device-tree/model").rstrip("\0")
    cpu = fields.get("model name") or model or platform.processor() or platform.machine()
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cpu": cpu,
        "cores": cores(),
        "features": [name for name in _FEATURES if name in flags],
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        "memory_mb": _memory_mb(),
        "python": platform.python_version(),
    }


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
    """The file's text, or nothing where the system does not have it."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
