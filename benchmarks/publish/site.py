"""Pages of the documentation that come from the code and the results: a hook of MkDocs.

https://www.mkdocs.org/user-guide/configuration/#hooks

`<!-- commands -->` and `<!-- recipes -->` in a page are replaced by what the parsers and
`export.recipes` say. Reports of benchmarks/results and the cards of the shipped models become
pages, and links to them, which work in a checkout, point at those pages.
"""

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_RESULTS = "benchmarks/results"
_REPORTS = (
    "vgg16/report.md",
    "vgg16/tried.md",
    "edge/tried.md",
    "edge/search.md",
    "emulators/emulators.md",
    "transfer/transfer.md",
    "transfer/digits/report.md",
    "transfer/emoji/report.md",
    "transfer/fashion/report.md",
)
_PICTURES = ("vgg16/curves.png", "vgg16/confusion.png", "family/sweep.png")
_WIDTH = "80"
"""Columns of the commands' help."""


def on_files(files: Any, config: Any) -> Any:
    """Adds the reports, their pictures, and the cards."""
    from mkdocs.structure.files import File

    def add(uri: str, source: Path) -> None:
        content = source.read_bytes()
        files.append(
            File.generated(
                config, uri, content=content.decode() if uri.endswith(".md") else content
            )
        )

    for name in (*_REPORTS, *_PICTURES):
        add(f"results/{name}", ROOT / _RESULTS / name)
    for card in sorted((ROOT / "runtime/tinysight/bundles").glob("*/card.md")):
        add(f"models/{card.parent.name}.md", card)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Fills the markers in, and turns links into the checkout to pages of the site."""
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", "\n".join(commands()))
    if "<!-- recipes -->" in markdown:
        markdown = markdown.replace("<!-- recipes -->", "\n".join(recipes()))
    uri = page.file.src_uri
    if uri.startswith("results/"):
        # Pictures of the data are not in the repository; the report's own command draws them.
        markdown = re.sub(r"^\[[^\]]*\]\(strip\.png\)$", "", markdown, flags=re.MULTILINE)
    return re.sub(r"\]\(((?:\.\./)+[^)#]+)(#[^)]*)?\)", lambda found: _link(found, uri), markdown)


def _link(found: re.Match[str], uri: str) -> str:
    """A link that leaves docs/ in the checkout, as one to the page made of its target."""
    home = ROOT / (
        f"{_RESULTS}/{uri.removeprefix('results/')}"
        if uri.startswith("results/")
        else f"docs/{uri}"
    )
    target = Path(os.path.normpath(home.parent / found[1]))
    if not target.is_relative_to(ROOT):
        return found[0]
    name = target.relative_to(ROOT).as_posix()
    if name == "README.md":
        name = "index.md"
    elif card := re.fullmatch(r"runtime/tinysight/bundles/(\w+)/card\.md", name):
        name = f"models/{card[1]}.md"
    elif name.startswith(_RESULTS):
        name = name.removeprefix("benchmarks/")
    elif name.startswith("docs/"):
        name = name.removeprefix("docs/")
    else:
        return found[0]
    return f"]({os.path.relpath(name, Path(uri).parent)}{found[2] or ''})"


def commands() -> Iterator[str]:
    """The help of every command, as Markdown."""
    import benchmarks.cli
    import export.cli
    import tinysight.cli.main as tinysight_cli
    import training.cli

    os.environ["COLUMNS"] = _WIDTH
    runtime = [tinysight_cli.parser(name) for name in tinysight_cli.COMMANDS]
    yield from _help("tinysight", runtime)
    for name, module in (
        ("training", training.cli),
        ("export", export.cli),
        ("benchmarks", benchmarks.cli),
    ):
        yield from _help(f"python -m {name}", [module.parser()])


def _help(program: str, parsers: list[argparse.ArgumentParser]) -> Iterator[str]:
    yield f"## {program}\n"
    for parser in parsers:
        for command in subparsers(parser).values():
            yield f"### {command.prog}\n\n```text\n{command.format_help().rstrip()}\n```\n"


def subparsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands of a parser, by name."""
    return {
        name: command
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, command in action.choices.items()
    }


def recipes() -> Iterator[str]:
    """The table of `export.recipes`, as Markdown."""
    from export.recipes import RECIPES

    yield "| recipe | what it is | formats | fine-tunes |"
    yield "|:--|:--|:--|:--|"
    for recipe in RECIPES.values():
        formats = ", ".join(recipe.formats)
        trains = "" if recipe.finetuning is None else "yes"
        yield f"| `{recipe.name}` | {recipe.summary} | {formats} | {trains} |"
