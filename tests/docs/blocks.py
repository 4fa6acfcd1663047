"""The commands of README and documentation."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
_OURS = re.compile(r"(?:^|\| *|\$ )((?:python -m (?:training|export|benchmarks)|tinysight) .*)")


def fenced(page: Path, language: str) -> list[str]:
    """The code blocks of a language, in the order of the page."""
    return [
        text
        for found, text in _FENCED.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


def commands(page: Path) -> list[str]:
    """Each line of any code block that starts a command of ours, continuation lines joined."""
    text = page.read_text(encoding="utf-8")
    blocks = [block for _, block in _FENCED.findall(text)]
    blocks += [
        block.replace("\n    ", "\n").lstrip() for block in _INDENTED.findall(_FENCED.sub("", text))
    ]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [found[1] for line in lines if (found := _OURS.search(line))]
