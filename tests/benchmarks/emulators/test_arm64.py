"""The folder of arm64's Python: what an engine reads of an emulated ARM core."""

import pytest

from benchmarks.emulators.arm64 import cpuinfo, hwcap_features
from benchmarks.emulators.cpus import ARM64, CPUS, EmulatedCpu, missing

CORES = [cpu for cpu in CPUS.values() if cpu.architecture == "aarch64"]


@pytest.mark.parametrize("cpu", CORES, ids=[cpu.name for cpu in CORES])
def test_a_core_is_described_with_the_features_that_qemu_gives_it(cpu: EmulatedCpu) -> None:
    reason = missing(cpu)
    if reason is not None:
        pytest.skip(reason)
    features = hwcap_features(cpu, ARM64 / "debian")
    assert {"fp", "asimd", "crc32"} <= set(features)
    # ARM's dot products came with the A75: with them in its /proc/cpuinfo, an A72 dies.
    assert ("asimddp" in features) == (cpu.name == "cortex-a76")
    assert (cpu.folder / "proc/cpuinfo").read_text() == cpuinfo(cpu, features)
    assert (cpu.folder / "sys/devices/system/cpu/online").read_text() == "0-3\n"


def test_a_core_is_described_as_linux_does() -> None:
    text = cpuinfo(CPUS["cortex-a72"], ("fp", "asimd"), cores=2)
    cores = [dict(line.split(":", 1) for line in part.splitlines()) for part in text.split("\n\n")]
    assert [core["processor\t"] for core in cores[:2]] == [" 0", " 1"]
    assert cores[0]["CPU part\t"] == " 0xd08"
    assert cores[0]["Features\t"] == " fp asimd"


def test_part_numbers_are_for_arm_alone() -> None:
    with pytest.raises(ValueError, match="part number"):
        EmulatedCpu("Haswell", "x86_64", "a laptop", part=1)
    with pytest.raises(ValueError, match="part number"):
        EmulatedCpu("cortex-a53", "aarch64", "a board")
