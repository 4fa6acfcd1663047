"""The page, in a real browser where there is one, and what it must never contain."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("jinja2")

from benchmarks.cli import main
from benchmarks.report.html_page import page
from benchmarks.report.markdown import markdown, table
from benchmarks.sweep import result_io
from benchmarks.sweep.result import SweepResult
from tests.benchmarks.make_result import make_result
from tests.chromium import launched

LAYERS = {
    "kind": "explain",
    "bundle": "m",
    "rows": [
        {"name": "first", "float32": {"us": 12.5}, "int8": {"us": 30.1}},
        {"name": "Reshape", "float32": None, "int8": {"us": 0.6}},
    ],
}


def several_variants() -> SweepResult:
    first = make_result(
        {"float32": 50, "static_w8a8": 40, "broken": 30},
        correct={"float32": 180, "static_w8a8": 178, "broken": 90},
    )
    litert = replace(first.variants[1], engine="litert")
    measurements = [replace(first.measurements[1], variant=litert.key)]
    wide = [replace(measurement, batch=8) for measurement in (*first.measurements, *measurements)]
    return replace(
        first,
        variants=(*first.variants, litert),
        predictions={
            **first.predictions,
            litert.key: first.predictions[first.variants[0].key],
        },
        measurements=(*first.measurements, *measurements, *wide),
        layers={"m": LAYERS},
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two devices, with thumbnails."""
    other = make_result({"float32": 500, "static_w8a8": 200}, cpu="another <CPU> & more")
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page([several_variants(), other], "A title <b>", images), encoding="utf-8")
    return file


def test_the_page_needs_nothing_else(written: Path) -> None:
    text = written.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text)
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text
    assert len(text) < 400_000


def test_no_text_of_a_result_becomes_markup(written: Path) -> None:
    """One class is called </script>, the CPU <CPU>."""
    text = written.read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert "<CPU>" not in text
    assert "A title &lt;b&gt;" in text
    embedded = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert embedded is not None
    data = json.loads(embedded[1])
    assert data["confusion_matrices"][0]["labels"][0] == "</script>"


def test_the_command_writes_html_markdown_and_png(swept: Path, tmp_path: Path) -> None:
    assert main(["report", str(swept), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "pareto_front.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "report.md").read_text()
    assert "| 100.00% (79.6% to 100.0%) |" in text
    assert "python -m benchmarks sweep" in text
    assert "too few" in (tmp_path / "report.html").read_text()


def test_other_data_than_the_results_is_one_line(
    swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(swept), "--data", "digits", "--out", str(tmp_path / "out")]) == 1
    assert "not the dataset that these results classified" in capsys.readouterr().err


def test_the_data_are_loaded_as_the_sweep_loaded_them(
    swept: Path, broken_colours: Path, tmp_path: Path
) -> None:
    """At 8 x 8 pixels, and without the pictures that cannot be read."""
    words = ["--data", str(broken_colours), "--out", str(tmp_path / "out")]
    assert main(["report", str(swept), *words]) == 0


def test_data_without_answers_to_single_images_are_one_line(
    benched: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", str(colours), "--out", str(tmp_path / "out")]
    assert main(["report", str(benched), *words]) == 1
    assert "no result has answers to single images: omit --data" in capsys.readouterr().err


def header(result: SweepResult) -> str:
    return table(result).splitlines()[0]


def test_a_table_compares_with_float32_alone() -> None:
    without = make_result({"a/int8": 10, "a/int16": 20})
    assert header(without) == "| artifact | accuracy (95 % interval) | median µs | size |"
    text = page([without], "t")
    assert "latency against<br>float32" not in text
    assert "lost / won" not in text
    assert "Disagreements" not in text
    both = make_result({"a/int8": 10, "b/float32": 30, "b/int8": 15}, correct={"b/int8": 179})
    assert header(both).endswith("| size | latency against float32 | lost / won images |")
    first, second, third = table(both).splitlines()[2:]
    assert first.startswith("| a/`int8`, onnxruntime")
    assert first.endswith("| – | – |")
    assert re.search(r"^\| b/`int8`.* \| × 0\.50 \| 1 / 0, within noise \|$", second)
    assert third.endswith("| – | – |")
    text = page([both], "t")
    assert "latency against<br>float32" in text
    assert "<small>no reference</small>" in text
    assert text.count("<small>reference</small>") == 1
    assert "b/int8 · onnxruntime</b>" in text  # its disagreements


def test_a_percentile_has_a_column_where_there_is_one() -> None:
    """Of 300 calls none is known, of 1,000 the 99th."""
    assert "p99" not in header(make_result({"float32": 50, "int8": 25}))
    many = make_result({"float32": 50, "int8": 25}, processes=20)
    assert "| median µs | p99 µs | size |" in header(many)
    assert "too few" not in table(many)


def test_two_results_of_few_processes_do_not_say_that_none_agree() -> None:
    """The HTML page and the Markdown, of three processes each and of six."""
    few = make_result({"float32": 50, "int8": 40}, processes=3)
    several = make_result({"float32": 50, "int8": 40})
    for text in (page([few, few], "t"), markdown([few, few], "t")):
        assert "medians agree" not in text
    for text in (page([several, several], "t"), markdown([several, several], "t")):
        assert "2 of 2 medians agree" in text
        assert "The clock probe" in text


def test_two_dates_of_one_device_are_told_apart() -> None:
    first, second = (
        several_variants(),
        replace(several_variants(), measured="2026-02-02T00:00:00+00:00"),
    )
    text = page([first, second], "t")
    assert "Two dates, one device" in text
    assert "a CPU, 2026-01-01 00:00" in text
    assert "a CPU, 2026-02-02 00:00" in text


def test_a_result_without_images_has_a_page() -> None:
    bare = make_result({"float32": 50, "int8": 40})
    variants = tuple(replace(variant, accuracy_source="recorded") for variant in bare.variants)
    bare = replace(bare, variants=variants, data=None, predictions={})
    text = page([bare], "t")
    assert "Disagreements" not in text
    assert "Confusion matrices" not in text
    assert "accuracy as exported" in text
    unknown = tuple(replace(v, accuracy=None, accuracy_source=None) for v in variants)
    text = page([replace(bare, variants=unknown)], "t")
    assert "int8 · onnxruntime is the fastest: 4" in text
    assert "most accurate" not in text


def test_the_findings_are_significant_or_say_that_they_are_not() -> None:
    text = page([several_variants()], "t")
    assert "m/static_w8a8 · onnxruntime is the fastest within one point of the best" in text
    assert "Significantly less accurate than its reference: m/broken · onnxruntime (-45.00" in text
    alike = make_result({"float32": 50, "int8": 40})
    text = page([alike], "t")
    assert "Of 1 artifacts with a reference none is significantly less accurate" in text


def test_both_of_two_results_are_in_the_comparison() -> None:
    first = make_result({"float32": 50, "int8": 40})
    second = make_result({"float32": 100, "int8": 80}, correct={"int8": 190}, cpu="another")
    text = page([first, second], "t")
    assert "Two devices" in text
    assert "Over 2 measurements the second takes 2.0" in text
    assert "0 of 2 medians agree" in text
    assert "+5.00 points" in text


def test_layers_have_a_chart_each() -> None:
    text = page([several_variants()], "t")
    assert "Latency by layer: m" in text
    titles = ["first, float32: 12.5 µs", "first, int8: 30.1 µs", "Reshape, int8: 0.6 µs"]
    assert all(f"<title>{title}</title>" in text for title in titles)
    assert "Reshape, float32" not in text
    empty = replace(several_variants(), layers={"m": {"kind": "explain", "bundle": "m"}})
    assert "Latency by layer" not in page([empty], "t")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with launched() as chromium:
        yield chromium


@pytest.fixture(params=["light", "dark"])
def opened(request: pytest.FixtureRequest, browser: Any, written: Path) -> Iterator[Any]:
    """The page as opened from the disk; any error on its console fails the test."""
    tab = browser.new_page(color_scheme=request.param, viewport={"width": 1200, "height": 900})
    errors: list[str] = []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("requestfailed", lambda call: errors.append(call.url))
    tab.goto(written.as_uri())
    yield tab
    tab.close()
    assert errors == []


def points(tab: Any) -> list[str]:
    """The model variants whose marks are drawn."""
    keys: list[str] = tab.locator("#chart .point").evaluate_all(
        "all => all.map(one => one.dataset.variant)"
    )
    return keys


def test_hovering_shows_the_artifact(opened: Any) -> None:
    assert opened.locator("#tooltip").is_hidden()
    opened.locator('#chart .point[data-variant="m/broken@onnxruntime"] .marker').hover()
    assert opened.locator("#tooltip").is_visible()  # a hidden one has its text too
    text = opened.locator("#tooltip").inner_text()
    assert "m/broken" in text
    assert "onnxruntime" in text
    assert "45.00 %" in text
    assert re.search(r"(29|30)\.\d µs", text)
    # Its row is highlighted too.
    row = opened.locator('tr[data-variant="m/broken@onnxruntime"]')
    assert "highlighted" in row.get_attribute("class")
    opened.mouse.move(5, 5)
    assert opened.locator("#tooltip").is_hidden()


def test_engines_and_devices_are_filtered(opened: Any) -> None:
    everything = points(opened)
    assert len(everything) == 4 + 2
    opened.locator("#filter-engine button", has_text="onnxruntime").click()
    assert points(opened) == ["m/static_w8a8@litert"]
    opened.locator("#filter-engine button", has_text="litert").click()
    assert points(opened) == []
    assert opened.locator("#no-points").is_visible()
    opened.locator("#filter-engine button", has_text="onnxruntime").click()
    opened.locator("#filter-device button", has_text="another <CPU>").click()
    assert len(points(opened)) == 3


def test_scale_and_configuration_can_be_chosen(opened: Any) -> None:
    where = '#chart .point[data-variant="m/float32@onnxruntime"] .marker >> nth=0'
    before = opened.locator(where).get_attribute("transform")
    opened.get_by_role("button", name="linear").click()
    assert opened.locator(where).get_attribute("transform") != before
    assert "(linear scale)" in opened.locator("#chart").text_content()
    opened.get_by_role("button", name="log").click()
    assert opened.locator(where).get_attribute("transform") == before
    opened.locator("#filter-configuration select").select_option("1 thread, batch 8")
    assert len(points(opened)) == 4  # the other device measured batch 1 alone


def test_the_table_sorts(opened: Any) -> None:
    table = opened.locator("table.sortable").first

    def first() -> object:
        return table.locator("tbody tr").first.get_attribute("data-variant")

    assert first() == "m/broken@onnxruntime"
    table.get_by_role("columnheader", name="median").click()
    table.get_by_role("columnheader", name="median").click()
    assert first() == "m/float32@onnxruntime"


def test_confusion_matrices_and_images_are_there(opened: Any) -> None:
    assert opened.locator("#confusion-matrix tbody tr").count() == 3
    head = opened.locator("#confusion-matrix thead").inner_text().split()
    assert head == ["true", "class", "</script>", "b&w", "c"]
    opened.locator("#confusion-variant").select_option(label="m/broken · onnxruntime, a CPU")
    diagonal = [
        opened.locator("#confusion-matrix tbody tr").nth(i).locator("td").nth(i) for i in range(3)
    ]
    assert sum(int(cell.inner_text()) for cell in diagonal) == 90
    images = opened.locator(".disagreement img")
    widths = images.evaluate_all("all => all.map(image => image.naturalWidth)")
    assert set(widths) == {8}


def test_the_title_can_be_given(tmp_path: Path) -> None:
    result_io.write(several_variants(), tmp_path / result_io.NAME)
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out"), "--title", "Mine"]) == 0
    assert "<h1>Mine</h1>" in (tmp_path / "out" / "report.html").read_text()
