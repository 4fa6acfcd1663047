"""`python -m benchmarks.emulators.arm64`: an arm64 Python with the runtime's packages, in a folder.

Neither a container nor a foreign architecture in the host's own apt: Debian's packages are
downloaded by an apt state of the folder's own and unpacked, and pip takes the aarch64 wheels.

    build/emulators/debian       python3, libstdc++ and what they need, unpacked
    build/emulators/packages     numpy, onnxruntime, pillow, ai-edge-litert for aarch64
    build/emulators/CPU          debian/, linked, with the /proc/cpuinfo and /sys of that CPU

The last is needed since qemu hands on the host's /proc/cpuinfo, in which onnxruntime looks for ARM
features: on an x86 one it crashes, and with features that the emulated CPU lacks it dies of an
illegal instruction. The features written there are those that qemu gives the CPU.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.emulators.cpus import ARM64, CPUS, ROOT, EmulatedCpu, EmulatorError, qemu_command
from tinysight.console import run_cli
from tinysight.files import new_folder

_DEBIAN = ("python3", "libstdc++6")
_WHEELS = ("numpy", "onnxruntime", "pillow", "ai-edge-litert")
_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux2014_aarch64")
_CORES = 4
"""As the Raspberry Pis 3 to 5 have."""

_HWCAP = (
    "fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "atomics", "fphp",
    "asimdhp", "cpuid", "asimdrdm", "jscvt", "fcma", "lrcpc", "dcpop", "sha3", "sm3", "sm4",
    "asimddp", "sha512", "sve", "asimdfhm", "dit", "uscat", "ilrcpc", "flagm", "ssbs", "sb",
    "paca", "pacg",
)  # fmt: skip
"""Linux's names of the bits of AT_HWCAP, the lowest first: arch/arm64/kernel/cpuinfo.c."""

_ASK_HWCAP = """
import ctypes
getauxval = ctypes.CDLL(None).getauxval
getauxval.restype, getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
print(getauxval(16))
"""


def set_up(folder: Path) -> None:
    """Fills the folder, or fills it anew.

    Raises EmulatorError where apt, dpkg or pip fails, or qemu is not installed.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise EmulatorError("apt-get and dpkg-deb are needed, as Debian has them")
    with new_folder(folder, overwrite=True) as new:
        _say("downloading Debian's python3 for arm64")
        _unpack_debian(new)
        _say("downloading the aarch64 wheels")
        version = (new / "debian/usr/bin/python3").readlink().name.removeprefix("python")
        _install_wheels(new / "packages", version)
        for cpu in CPUS.values():
            if cpu.architecture == "aarch64":
                features = hwcap_features(cpu, new / "debian")
                _write_root(new / cpu.name, cpu, features)
                _say(f"{cpu.name}: {' '.join(features)}")


def hwcap_features(cpu: EmulatedCpu, root: Path) -> tuple[str, ...]:
    """The features that qemu gives an ARM core, by Linux's names.

    Args:
        root: the folder with the unpacked Python, which is asked.
    """
    python = str(root / "usr/bin/python3")
    bits = int(_run(*qemu_command(cpu, root, python, "-I", "-c", _ASK_HWCAP)))
    return tuple(name for place, name in enumerate(_HWCAP) if bits >> place & 1)


def cpuinfo(cpu: EmulatedCpu, features: Sequence[str], cores: int = _CORES) -> str:
    """The text of /proc/cpuinfo on such a CPU."""
    return "".join(
        f"processor\t: {core}\n"
        f"BogoMIPS\t: 108.00\n"
        f"Features\t: {' '.join(features)}\n"
        f"CPU implementer\t: 0x41\n"  # Arm Ltd.
        f"CPU architecture: 8\n"
        f"CPU variant\t: 0x0\n"
        f"CPU part\t: {cpu.part:#x}\n"
        f"CPU revision\t: 0\n\n"
        for core in range(cores)
    )


def _unpack_debian(new: Path) -> None:
    apt = new / "apt"
    for part in ("state/lists/partial", "cache/archives/partial"):
        (apt / part).mkdir(parents=True)
    (apt / "status").touch()  # nothing is installed, so that all that is needed is downloaded
    options = (
        "APT::Architecture=arm64",
        "APT::Architectures=arm64",
        "APT::Sandbox::User=root",  # apt's own user may not enter this folder
        f"Dir::State={apt / 'state'}",
        f"Dir::State::status={apt / 'status'}",
        f"Dir::Cache={apt / 'cache'}",
    )
    apt_get = ["apt-get", "-q", *(f"-o{option}" for option in options)]
    _run(*apt_get, "update")
    _run(*apt_get, "install", "-y", "--no-install-recommends", "--download-only", *_DEBIAN)
    for package in sorted((apt / "cache/archives").glob("*.deb")):
        _run("dpkg-deb", "-x", str(package), str(new / "debian"))
    shutil.rmtree(apt)


def _install_wheels(target: Path, python: str) -> None:
    """Puts the wheels into the folder `target`, for that version of Python (`3.11`)."""
    platforms = [word for tag in _PLATFORMS for word in ("--platform", tag)]
    _run(
        sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target),
        "--only-binary=:all:", *platforms, "--implementation", "cp", "--python-version", python,
        "-c", str(ROOT / "constraints.txt"), *_WHEELS,
    )  # fmt: skip


def _write_root(root: Path, cpu: EmulatedCpu, features: Sequence[str]) -> None:
    root.mkdir()
    for entry in (root.parent / "debian").iterdir():
        (root / entry.name).symlink_to(Path("..") / "debian" / entry.name)
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(cpuinfo(cpu, features))
    cores = root / "sys/devices/system/cpu"
    cores.mkdir(parents=True)
    for state in ("possible", "present", "online"):
        (cores / state).write_text(f"0-{_CORES - 1}\n")


def _run(*command: str) -> str:
    """What a program prints. Raises EmulatorError where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or [""]
        raise EmulatorError(f"{' '.join(command[:3])} … failed: {lines[-1]}")
    return done.stdout


def _say(what: str) -> None:
    print(f"emulators: {what}", flush=True)


def main() -> int:
    set_up(ARM64)
    return 0


if __name__ == "__main__":
    sys.exit(run_cli("emulators", main))
