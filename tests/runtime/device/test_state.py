"""What the system's files say, on trees of files as Linux has them, and what is warned of."""

from dataclasses import replace
from pathlib import Path

import pytest

from tinysight.device.state import MachineState, measurement_warnings
from tinysight.records import from_json, to_json

QUIET = MachineState(0.1, 2000.0, 50.0, 0, at_s=0.0, process_cpu_s=0.0, busy_s=0.0, steal_s=0.0)
LATER = replace(QUIET, at_s=100.0, process_cpu_s=100.0, busy_s=101.0)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_raspberry_pi_is_read(tmp_path: Path) -> None:
    root = tree(tmp_path, {
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000\n",
        "sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq": "2400000\n",
        "sys/class/thermal/thermal_zone0/temp": "61350\n",
        "sys/class/thermal/thermal_zone1/temp": "nonsense",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "50004\n",
        "proc/stat": "cpu  1000 200 300 9000 50 10 20 400 0 0\ncpu0 1 2 3\n",
    })  # fmt: skip
    now = MachineState.now(root)
    assert now.clock_mhz == 2400
    assert now.temperature_c == pytest.approx(61.35)
    assert now.throttled == 1
    assert now.busy_s is not None
    assert now.steal_s is not None
    assert now.busy_s / now.steal_s == pytest.approx(1530 / 400)


def test_a_server_is_read(tmp_path: Path) -> None:
    root = tree(tmp_path, {
        "proc/cpuinfo": "model name\t: x\ncpu MHz\t\t: 2596.094\n\ncpu MHz\t\t: 3100.5\n",
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "2\n",
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "3\n",
    })  # fmt: skip
    now = MachineState.now(root)
    assert (now.clock_mhz, now.throttled) == (3100.5, 5)


def test_a_system_that_says_nothing_is_no_error(tmp_path: Path) -> None:
    now = MachineState.now(tmp_path)
    assert (now.clock_mhz, now.temperature_c, now.throttled, now.busy_s) == (None,) * 4
    assert measurement_warnings(now, now) == []


def test_this_machine_is_read() -> None:
    now = MachineState.now()
    assert from_json(MachineState, to_json(now)) == now


def test_a_quiet_machine_is_not_warned_of() -> None:
    assert measurement_warnings(QUIET, LATER) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"busy_s": 160.0}, "other processes took 0.6 cores"),
        ({"steal_s": 30.0}, "took 0.3 cores away"),
        ({"throttled": 2}, "lowered its clock meanwhile"),
        ({"clock_mhz": 1500.0}, "from 2000 to 1500 MHz"),
        ({"temperature_c": 82.0}, "82 degrees"),
    ],
)
def test_what_makes_figures_unreliable_is_reported(change: dict[str, float], words: str) -> None:
    (warning,) = measurement_warnings(QUIET, replace(LATER, **change))  # type: ignore[arg-type]
    assert words in warning


def test_a_board_that_is_throttled_all_the_time_is_reported() -> None:
    (warning,) = measurement_warnings(replace(QUIET, throttled=1), replace(LATER, throttled=1))
    assert "the board says" in warning
