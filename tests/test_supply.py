"""The wheel is the same bytes twice, and the lock of the device holds what constraints.txt pins."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("runtime", "pyproject.toml", "README.md", "LICENSE", "Makefile")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_wheel_is_the_same_bytes_under_any_umask(tmp_path: Path) -> None:
    pytest.importorskip("build")
    hashes = set()
    for umask, mode in (("022", "u=rwX,go=rX"), ("077", "u=rwX,go=")):
        checkout = tmp_path / umask
        checkout.mkdir()
        for name in SOURCES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
            copy(ROOT / name, checkout / name)
        subprocess.run(["chmod", "-R", mode, str(checkout)], check=True)
        # -o: what the environment would be set up from is not looked at.
        command = f"umask {umask}; make -o .venv/ready wheel BIN={Path(sys.executable).parent}"
        done = subprocess.run(
            ["sh", "-c", command], cwd=checkout, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (wheel,) = (checkout / "dist").glob("*.whl")
        hashes.add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    assert len(hashes) == 1


def test_the_lock_pins_what_the_constraints_do_by_hashes() -> None:
    constraints = dict(re.findall(r"^([\w.-]+)==(\S+)", read("constraints.txt").lower(), re.M))
    blocks = re.split(r"\n(?=\S)", read("runtime/requirements.lock").strip())
    locked = {}
    for block in blocks:
        name, version = re.match(r"([\w.-]+)==([^\s;]+)", block).groups()  # type: ignore[union-attr]
        locked[name] = version
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), name
    assert {"numpy", "onnxruntime", "pillow"} <= set(locked)
    assert locked == {name: constraints[name] for name in locked}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
