"""Two worker processes on loopback train as one process does with the same global batch."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tensorflow")

ROOT = Path(__file__).parents[2]


def _start(out: Path, config: object = None) -> subprocess.Popen[str]:
    path = os.pathsep.join(map(str, (ROOT / "runtime", ROOT)))
    environment = {**os.environ, "PYTHONPATH": path}
    if config is not None:
        environment["TF_CONFIG"] = json.dumps(config)
    command = [sys.executable, str(Path(__file__).with_name("worker.py")), str(out)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    return result


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for entry in sockets:
            entry.bind(("127.0.0.1", 0))
        return [entry.getsockname()[1] for entry in sockets]
    finally:
        for entry in sockets:
            entry.close()


def test_two_workers_end_at_the_loss_of_one(tmp_path: Path) -> None:
    hosts = [f"127.0.0.1:{port}" for port in _free_ports(2)]
    shared = tmp_path / "two"
    workers = [
        _start(shared, {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}})
        for index in range(2)
    ]
    two = [_result(worker) for worker in workers]
    one = _result(_start(tmp_path / "one"))
    assert one["replicas"] == 1
    assert [result["replicas"] for result in two] == [2, 2]
    for worker in two:
        for of_worker, of_one in zip(worker["history"], one["history"], strict=True):
            assert of_worker["loss"] == pytest.approx(of_one["loss"], rel=1e-3)
            assert of_worker["val_loss"] == pytest.approx(of_one["val_loss"], rel=1e-3)
    assert [path.name for path in (shared / "checkpoints").glob("epoch-*")] == ["epoch-0002"]
