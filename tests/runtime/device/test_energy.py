"""Energy counters, on trees of files as the kernel has them."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.device.energy import EnergyCounter, energy_counter, idle_watts, joules_per_call


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, and within the first one its cores, which must not be counted twice."""
    for zone, name, count in (
        ("intel-rapl:0", "package-0", 5_000_000),
        ("intel-rapl:1", "package-1", 7_000_000),
        ("intel-rapl:0:0", "core", 1_000_000),
    ):
        folder = tmp_path / "class/powercap" / zone
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "energy_uj").write_text(f"{count}\n")
        (folder / "max_energy_range_uj").write_text("10000000\n")
    return tmp_path


def test_packages_are_added_up_and_their_parts_left_out(powercap: Path) -> None:
    counter, name = energy_counter(powercap)
    assert counter is not None
    assert name == "package-0, package-1"
    assert counter.read() == (5_000_000, 7_000_000)


@given(st.integers(0, 10**7 - 1), st.integers(0, 10**7 - 1))
def test_a_counter_that_starts_again_from_0_has_lost_nothing(start: int, used: int) -> None:
    counter = EnergyCounter("x", (Path(),), (10**7,))
    assert counter.joules((start,), ((start + used) % 10**7,)) == pytest.approx(used / 1e6)


def test_the_energy_of_a_call_is_what_the_counter_moved(powercap: Path) -> None:
    counter, _ = energy_counter(powercap)
    assert counter is not None
    file = powercap / "class/powercap/intel-rapl:1/energy_uj"

    def call() -> None:
        file.write_text(str((int(file.read_text()) + 1500) % 10_000_000))

    joules, calls = joules_per_call(counter, call, seconds=0.01)
    assert calls >= 1
    assert joules == pytest.approx(1500e-6)
    assert idle_watts(counter, seconds=0.001) == 0


def test_a_sensor_that_counts_is_used_where_there_is_no_powercap(tmp_path: Path) -> None:
    folder = tmp_path / "class/hwmon/hwmon2"
    folder.mkdir(parents=True)
    (folder / "name").write_text("amd_energy\n")
    (folder / "energy1_input").write_text("12\n")
    counter, name = energy_counter(tmp_path)
    assert counter is not None
    assert (name, counter.ranges) == ("amd_energy", (None,))


def test_without_a_counter_it_says_so(tmp_path: Path) -> None:
    assert energy_counter(tmp_path) == (None, "this machine exposes no energy counter")


def test_a_counter_that_cannot_be_read_says_so(powercap: Path) -> None:
    file = powercap / "class/powercap/intel-rapl:0/energy_uj"
    file.write_text("nonsense")
    counter, why = energy_counter(powercap)
    assert counter is None
    assert "cannot be read" in why


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_a_counter_of_roots_says_so(powercap: Path) -> None:
    (powercap / "class/powercap/intel-rapl:0/energy_uj").chmod(0)
    assert energy_counter(powercap) == (None, "its energy counter may not be read by this user")
