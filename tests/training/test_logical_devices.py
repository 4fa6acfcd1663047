"""Two devices train as one does: every optimizer, uneven batches, resumed on another number."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def histories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "runtime", ROOT)))}
    script = Path(__file__).with_name("logical_devices.py")
    process = subprocess.run(
        [sys.executable, str(script), str(tmp_path_factory.mktemp("devices"))],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stderr
    result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize(
    "name",
    ["adam two", "sgd two", "muon two", "adam images on two", "adam 1 then 2", "adam 2 then 1"],
)
def test_twenty_steps_end_at_the_loss_of_one_device(histories: dict[str, Any], name: str) -> None:
    one = histories[f"{name.split()[0]} one"]
    assert len(one) == len(histories[name]) == 2
    for expected, row in zip(one, histories[name], strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], abs=1e-5)
        assert row["val_loss"] == pytest.approx(expected["val_loss"], abs=1e-5)
    assert one[1]["loss"] != one[0]["loss"]
