"""The documentation as a site: no warning, no broken link, every figure that of the results."""

import html
import subprocess
import sys
from pathlib import Path

import pytest

import export.cli
from benchmarks.publish.readme_figures import update_figures
from benchmarks.publish.site import subparsers
from export.recipes import RECIPES
from tests.docs.blocks import CHECKOUT, PAGES

pytest.importorskip("mkdocs", reason="needs MkDocs: pip install -e '.[docs]'")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in strict mode, where a warning is an error."""
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", out],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return out


def test_every_page_is_there(site: Path) -> None:
    for page in PAGES[1:]:
        assert (site / f"{page.stem}.html").is_file()


def test_the_commands_are_those_of_the_parsers(site: Path) -> None:
    text = html.unescape((site / "commands.html").read_text(encoding="utf-8"))
    for name, parser in subparsers(export.cli.parser()).items():
        assert f"python -m export {name}</h3>" in text.replace('<a class="headerlink"', "</h3>")
        assert parser.description is not None
        assert parser.description.split(".")[0].split("\n")[0][:40] in text


def test_the_recipes_are_all_there(site: Path) -> None:
    text = (site / "recipes.html").read_text(encoding="utf-8")
    assert all(f"<code>{name}</code>" in text for name in RECIPES)


def test_cards_and_reports_are_pages(site: Path) -> None:
    assert "Where it fails" in (site / "models" / "edge_m.html").read_text(encoding="utf-8")
    assert (site / "results" / "vgg16" / "curves.png").stat().st_size > 0


def test_the_api_is_documented(site: Path) -> None:
    text = (site / "python-api.html").read_text(encoding="utf-8")
    assert 'id="tinysight.Classifier.classify_many"' in text
    assert 'id="export.build"' in text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_figures_are_those_of_the_results(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert update_figures(text) == text
