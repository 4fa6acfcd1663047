"""README and documentation, typed by a newcomer into a fresh shell.

Blocks marked `sh` and `python` run, in the order of their page; every other command of ours is
parsed by the real parser. A block that cannot run here has no mark: it needs a device, root, a
camera, or hours.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmarks.cli
import export.cli
import tinysight.cli.main
import training.cli
from tests.docs.blocks import CHECKOUT, PAGES, commands, fenced

PARSERS = {
    "training": training.cli.parser,
    "export": export.cli.parser,
    "benchmarks": benchmarks.cli.parser,
}
README = CHECKOUT / "README.md"
OTHERS = [page for page in PAGES[1:] if fenced(page, "sh") or fenced(page, "python")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_is_one_that_the_parsers_know(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in commands(page):
        words = [word for word in shlex.split(command.replace("…", ""), comments=True) if word]
        ended = next(
            (i for i, word in enumerate(words) if word in ("|", "||", "&&", ">", ";")), None
        )
        words = words[:ended]
        if words[0] == "tinysight":
            parser, arguments = tinysight.cli.main.parser(words[1]), words[1:]
        else:
            parser, arguments = PARSERS[words[2]](), words[3:]
        try:
            parser.parse_args(arguments)
        except SystemExit as error:
            if error.code:
                pytest.fail(f"{page.name}: {command}\n{capsys.readouterr().err}")


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of three classes, and nothing else."""
    from sklearn.datasets import load_digits

    home = tmp_path_factory.mktemp("newcomer")
    digits = load_digits()
    for number, name in enumerate(("apple", "pear", "plum")):
        folder = home / "my_images" / name
        folder.mkdir(parents=True)
        for i, pixels in enumerate(digits.images[digits.target == number][:20]):
            picture = Image.fromarray((pixels * 15.9).astype(np.uint8)).resize((48, 48))
            picture.convert("RGB").save(folder / f"{i:03}.jpg")
    shutil.copy(home / "my_images" / "apple" / "000.jpg", home / "photo.jpg")
    return home


@pytest.fixture(scope="module")
def after_the_readme(newcomer: Path) -> Path:
    """The same folder after the README's commands."""
    type_in(README, newcomer, shell_lines(README))
    return newcomer


def test_the_readme_can_be_pasted(after_the_readme: Path) -> None:
    assert (after_the_readme / "bundles" / "mine" / "bundle.json").is_file()


@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.stem)
def test_a_page_can_be_pasted(page: Path, after_the_readme: Path, tmp_path: Path) -> None:
    """Without the lines that the README has, too, and which have run."""
    here = tmp_path / "home"
    shutil.copytree(after_the_readme, here)
    known = set(shell_lines(README))
    type_in(page, here, [line for line in shell_lines(page) if line not in known])


def test_the_readme_is_short() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def type_in(page: Path, home: Path, lines: Sequence[str]) -> None:
    """Runs lines in one fresh shell, and the page's Python blocks after them."""
    script = "\n".join(lines)
    python = "\n".join(fenced(page, "python"))
    (home / "blocks.py").write_text(python)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
    # The checkout is where a newcomer would stand; here it stays clean.
    packages = f"{CHECKOUT / 'runtime'}{os.pathsep}{CHECKOUT}"
    done = subprocess.run(
        ["sh", "-e"],
        input=f"{script}\npython blocks.py\n",
        cwd=home,
        env={"PATH": path, "HOME": str(home), "PYTHONPATH": packages, "TF_CPP_MIN_LOG_LEVEL": "2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"


def shell_lines(page: Path) -> list[str]:
    """What is typed; make's targets, which set up or test everything, are only looked up."""
    lines = []
    for line in "\n".join(fenced(page, "sh")).splitlines():
        if line == ". .venv/bin/activate":
            continue  # it is active
        target = re.match(r"make (\w+)", line)
        lines.append(f"make -C {shlex.quote(str(CHECKOUT))} -n {target[1]}" if target else line)
    return lines
