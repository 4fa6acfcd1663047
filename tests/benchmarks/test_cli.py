"""The command line as a whole: which commands there are, and that each is imported when named."""

import re
import subprocess
import sys

import pytest

from benchmarks.cli import COMMANDS, main

PROBE = """
import sys
from benchmarks.cli import main
try:
    main([sys.argv[1], "--help"])
except SystemExit:
    pass
print(*(name for name in sys.modules if name.startswith("benchmarks.commands.")), file=sys.stderr)
"""


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    listed = re.findall(r"^    ([a-z-]+)\s", printed, re.MULTILINE)
    assert listed == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: python -m benchmarks {command}" in capsys.readouterr().out


def test_only_the_named_command_is_imported() -> None:
    command = [sys.executable, "-c", PROBE, "model-card"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["benchmarks.commands.model_card"]


def test_an_unknown_command_names_those_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["swep"])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert "invalid choice: 'swep'" in printed
    assert "'ood'" in printed
