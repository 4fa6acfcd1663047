"""What a newcomer sees whose shell has not activated the environment."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tinysight.console import shell_command

CHECKOUT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("stage", ["training", "export", "benchmarks"])
def test_a_python_without_the_packages_gets_one_line(stage: str) -> None:
    # -S leaves out site-packages: a system's Python, to the stage.
    python = Path(sys.base_prefix) / "bin" / "python3"
    done = subprocess.run(
        [python, "-S", "-m", stage, "--help"],
        cwd=CHECKOUT,
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "is not installed here" in done.stderr
    assert "activate" in done.stderr


def test_a_command_is_printed_as_the_shell_can_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)
    command = shell_command("python", "-c", "import sys; print(sys.executable)")
    printed = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, check=True, cwd=Path.cwd()
    ).stdout.strip()
    assert Path(printed).samefile(sys.executable)
    environment = tmp_path / ".venv" / "bin"
    environment.mkdir(parents=True)
    (environment / "python").symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(environment / "python"))
    monkeypatch.chdir(tmp_path)
    assert shell_command("python", "-m", "export", "a b") == ".venv/bin/python -m export 'a b'"


def test_in_an_active_environment_a_command_has_its_plain_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    words = shlex.split(shell_command("python", "-m", "training"))
    assert words == ["python", "-m", "training"]
