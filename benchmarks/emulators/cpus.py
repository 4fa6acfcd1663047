"""The CPUs that qemu emulates here, and the command that runs Python on one of them."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tinysight.errors import TinysightError

ROOT = Path(__file__).parents[2]
ARM64 = ROOT / "build" / "emulators"
"""What `make emulators` fills: see `benchmarks.emulators.arm64`."""


_NO_QEMU = "qemu-{}-static is not installed: make emulators brings it"


class EmulatorError(TinysightError):
    """A CPU cannot be emulated here; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class EmulatedCpu:
    """A CPU by the name that qemu has for it."""

    name: str
    """What `qemu -cpu` takes."""
    architecture: Literal["aarch64", "x86_64"]
    found_in: str
    """Where people meet it."""
    part: int = 0
    """Of an ARM core: its part number in /proc/cpuinfo (MIDR_EL1), by which engines know it."""

    def __post_init__(self) -> None:
        if (self.architecture == "aarch64") != (self.part > 0):
            raise ValueError(f"{self.name}: ARM cores, and only they, have a part number")

    @property
    def folder(self) -> Path:
        """The root folder that an ARM core's programs see."""
        return ARM64 / self.name


CPUS = {
    cpu.name: cpu
    for cpu in (
        # Part numbers: the MIDR_EL1 of Arm's technical reference manuals.
        EmulatedCpu("cortex-a53", "aarch64", "Raspberry Pi 3", 0xD03),
        EmulatedCpu("cortex-a72", "aarch64", "Raspberry Pi 4", 0xD08),
        EmulatedCpu("cortex-a76", "aarch64", "Raspberry Pi 5", 0xD0B),
        EmulatedCpu("Nehalem", "x86_64", "Intel 2008, SSE4.2"),
        EmulatedCpu("Haswell", "x86_64", "Intel 2013, AVX2"),
        EmulatedCpu("Skylake-Client", "x86_64", "Intel 2015, AVX2"),
    )
}
"""By name, in the order of the tables. None of the x86 ones has VNNI."""


def missing(cpu: EmulatedCpu) -> str | None:
    """Why the CPU cannot be emulated here; None where it can."""
    if _qemu(cpu) is None:
        return _NO_QEMU.format(cpu.architecture)
    if cpu.architecture == "aarch64":
        ready = (cpu.folder / "proc" / "cpuinfo").is_file()
        return None if ready else "there is no Python for arm64: make emulators brings it"
    if platform.machine() not in ("x86_64", "AMD64"):
        return "x86 CPUs are emulated with the host's own Python, which is none for x86"
    return None


def python_command(cpu: EmulatedCpu, *arguments: str) -> list[str]:
    """The command that runs Python on the CPU. Raises EmulatorError where that is impossible."""
    reason = missing(cpu)
    if reason is not None:
        raise EmulatorError(f"{cpu.name}: {reason}")
    if cpu.architecture == "aarch64":
        return qemu_command(cpu, cpu.folder, str(cpu.folder / "usr/bin/python3"), *arguments)
    return qemu_command(cpu, None, sys.executable, *arguments)


def qemu_command(cpu: EmulatedCpu, root: Path | None, *command: str) -> list[str]:
    """A command as the CPU runs it; `root` has its libraries, None where they are the host's.

    Raises EmulatorError where qemu is not installed.
    """
    qemu = _qemu(cpu)
    if qemu is None:
        raise EmulatorError(_NO_QEMU.format(cpu.architecture))
    return [qemu, "-cpu", cpu.name, *(() if root is None else ("-L", str(root))), *command]


def environment(cpu: EmulatedCpu, home: Path) -> dict[str, str]:
    """The variables of a process on the CPU: none of the host's, whose kernels others may name.

    Args:
        home: where the process may leave what it likes.
    """
    packages = [str(ROOT / "runtime")]
    if cpu.architecture == "aarch64":
        packages.append(str(ARM64 / "packages"))
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PYTHONPATH": ":".join(packages),
        "ORT_DISABLE_TELEMETRY": "1",
    }


def _qemu(cpu: EmulatedCpu) -> str | None:
    name = f"qemu-{cpu.architecture}"
    return shutil.which(f"{name}-static") or shutil.which(name)


def qemu_version(cpu: EmulatedCpu) -> str:
    """Such as `7.2.22`. Raises EmulatorError where qemu is not installed."""
    qemu = _qemu(cpu)
    if qemu is None:
        raise EmulatorError(_NO_QEMU.format(cpu.architecture))
    said = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    return said.partition("version ")[2].split()[0]


def cpus_named(names: Sequence[str] | None) -> list[EmulatedCpu]:
    """The CPUs of those names, or all. Raises EmulatorError for an unknown one."""
    for name in names or ():
        if name not in CPUS:
            raise EmulatorError(f"unknown CPU {name!r:.40}; there are {', '.join(CPUS)}")
    return [CPUS[name] for name in names or CPUS]


def display_name(name: str) -> str:
    """A CPU's name with the place where people meet it, such as `cortex-a53 (Raspberry Pi 3)`."""
    cpu = CPUS.get(name)
    return name if cpu is None else f"{name} ({cpu.found_in})"
