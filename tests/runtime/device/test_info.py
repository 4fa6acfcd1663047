"""What this machine is."""

import pytest

from tinysight.device.info import DeviceInfo, cores, describe
from tinysight.device.versions import package_versions
from tinysight.records import from_json, to_json


def test_this_machine_is_described() -> None:
    device = describe()
    assert device.cores == cores() >= 1
    assert from_json(DeviceInfo, to_json(device)) == device


@pytest.mark.parametrize(("cpu", "count"), [("", 1), ("x", 0)])
def test_a_device_is_checked(cpu: str, count: int) -> None:
    with pytest.raises(ValueError, match="a CPU and a core"):
        DeviceInfo("Linux", cpu, count, (), None, None, "3.11")


def test_versions_are_of_what_is_installed() -> None:
    assert set(package_versions(["numpy", "no-such-package-of-ours"])) == {"numpy"}
