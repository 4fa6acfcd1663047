"""The page, in a real browser where there is one, and what it must never contain."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("ai_edge_litert")
pytest.importorskip("jsonschema")
pytest.importorskip("jinja2")

from benchmarks.cli import main
from benchmarks.report.html_page import page
from benchmarks.sweep import result_io
from tests.benchmarks.make_result import make_result

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
LAYERS = {
    "kind": "explain",
    "bundle": "m",
    "rows": [
        {"name": "first", "float32": {"us": 12.5}, "int8": {"us": 30.1}},
        {"name": "Reshape", "float32": None, "int8": {"us": 0.6}},
    ],
}


def several():
    first = make_result(
        {"float32": 50, "static_w8a8": 40, "broken": 30},
        correct={"float32": 180, "static_w8a8": 178, "broken": 90},
    )
    litert = replace(first.variants[1], engine="litert", answers=first.variants[0].answers)
    measurements = [replace(first.measurements[1], variant=litert.key)]
    wide = [replace(measurement, batch=8) for measurement in (*first.measurements, *measurements)]
    return replace(
        first,
        variants=(*first.variants, litert),
        measurements=(*first.measurements, *measurements, *wide),
        layers={"m": LAYERS},
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of two devices, with thumbnails."""
    other = make_result({"float32": 500, "static_w8a8": 200}, cpu="another <CPU> & more")
    images = np.random.default_rng(0).integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
    file = tmp_path_factory.mktemp("page") / "report.html"
    file.write_text(page([several(), other], "A title <b>", images), encoding="utf-8")
    return file


def test_the_page_needs_nothing_else(written):
    text = written.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text)
    assert "default-src 'none'" in text
    assert "@import" not in text
    assert "url(" not in text
    assert len(text) < 400_000


def test_no_word_of_a_result_becomes_markup(written):
    """One class of the made-up data is called </script>, the CPU <CPU>."""
    text = written.read_text(encoding="utf-8")
    assert text.count("</script>") == 2
    assert "<CPU>" not in text
    assert "A title &lt;b&gt;" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL).group(1))
    assert data["confusions"][0]["labels"][0] == "</script>"


def test_the_command_writes_html_markdown_and_png(swept, colours, tmp_path):
    assert main(["report", str(swept), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "report.md").read_text()
    assert "| 100.00% (79.6% to 100.0%) |" in text
    assert "python -m benchmarks sweep" in text
    assert "too few" in (tmp_path / "report.html").read_text()


def test_other_data_than_the_results_is_one_line(swept, tmp_path, capsys):
    assert main(["report", str(swept), "--data", "digits", "--out", str(tmp_path / "out")]) == 1
    assert "not the data that these results answered" in capsys.readouterr().err


def test_two_dates_of_one_device_are_told_apart():
    first, second = several(), replace(several(), measured="2026-02-02T00:00:00+00:00")
    text = page([first, second], "t")
    assert "Two dates, one device" in text
    assert "a CPU, 2026-01-01 00:00" in text
    assert "a CPU, 2026-02-02 00:00" in text


def test_a_result_without_images_has_a_page(tmp_path):
    bare = make_result({"float32": 50, "int8": 40})
    variants = tuple(replace(variant, answers=None) for variant in bare.variants)
    text = page([replace(bare, variants=variants, data=None)], "t")
    assert "Images that changed sides" not in text
    assert "accuracy as exported" in text
    unknown = tuple(replace(variant, accuracy=None) for variant in variants)
    assert "unknown" in page([replace(bare, variants=unknown, data=None)], "t")


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window. `make browser` installs it."""
    api = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: `make browser` installs it")
    with api.sync_playwright() as playwright:
        # Without the sandbox: in a container, as root, Chromium has none.
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=["light", "dark"])
def opened(request, browser, written):
    """The page as opened from the disk; any error on its console fails the test."""
    tab = browser.new_page(color_scheme=request.param, viewport={"width": 1200, "height": 900})
    errors = []
    tab.on("console", lambda message: errors.append(message.text))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("requestfailed", lambda call: errors.append(call.url))
    tab.goto(written.as_uri())
    yield tab
    tab.close()
    assert errors == []


def points(tab):
    return tab.locator("#front .point").evaluate_all("all => all.map(one => one.dataset.key)")


def test_hovering_tells_the_artifact(opened):
    assert opened.locator("#tip").is_hidden()
    opened.locator('#front .point[data-key="m/broken@onnxruntime"] .mark').hover()
    assert opened.locator("#tip").is_visible()  # a hidden one has its text too
    told = opened.locator("#tip").inner_text()
    assert "m/broken" in told
    assert "onnxruntime" in told
    assert "45.00 %" in told
    assert re.search(r"(29|30)\.\d µs", told)
    # Its row lights up too.
    assert "on" in opened.locator('tr[data-key="m/broken@onnxruntime"]').get_attribute("class")
    opened.mouse.move(5, 5)
    assert opened.locator("#tip").is_hidden()


def test_engines_and_devices_are_filtered(opened):
    everything = points(opened)
    assert len(everything) == 4 + 2
    opened.locator("#by-engine button", has_text="onnxruntime").click()
    assert points(opened) == ["m/static_w8a8@litert"]
    opened.locator("#by-engine button", has_text="litert").click()
    assert points(opened) == []
    assert opened.locator("#nothing").is_visible()
    opened.locator("#by-engine button", has_text="onnxruntime").click()
    opened.locator("#by-device button", has_text="another <CPU>").click()
    assert len(points(opened)) == 3


def test_the_scale_and_the_cell_can_be_chosen(opened):
    where = '#front .point[data-key="m/float32@onnxruntime"] .mark >> nth=0'
    before = opened.locator(where).get_attribute("transform")
    opened.get_by_role("button", name="linear").click()
    assert opened.locator(where).get_attribute("transform") != before
    assert "(linear)" in opened.locator("#front").text_content()
    opened.get_by_role("button", name="log").click()
    assert opened.locator(where).get_attribute("transform") == before
    opened.locator("#by-cell select").select_option("1 thread, batch 8")
    assert len(points(opened)) == 4  # the other device measured batch 1 alone


def test_the_table_sorts(opened):
    table = opened.locator("table.sortable").first
    first = lambda: table.locator("tbody tr").first.get_attribute("data-key")  # noqa: E731
    assert first() == "m/broken@onnxruntime"
    table.get_by_role("columnheader", name="median").click()
    table.get_by_role("columnheader", name="median").click()
    assert first() == "m/float32@onnxruntime"


def test_the_confusions_and_the_images_are_there(opened):
    assert opened.locator("#confusion tbody tr").count() == 3
    head = opened.locator("#confusion thead").inner_text().split()
    assert head == ["true", "class", "</script>", "b&w", "c"]
    opened.locator("#confusion-of").select_option(label="m/broken · onnxruntime, a CPU")
    diagonal = [opened.locator("#confusion tbody tr").nth(i).locator("td").nth(i) for i in range(3)]
    assert sum(int(measurement.inner_text()) for measurement in diagonal) == 90
    display_name = opened.locator(".flip img").evaluate_all("all => all.map(i => i.naturalWidth)")
    assert display_name
    assert set(display_name) == {8}


def test_layers_are_drawn_where_they_were_recorded(opened):
    assert opened.get_by_text("Time by layer: m").is_visible()
    titles = opened.locator("svg[aria-label='time by layer'] title").all_text_contents()
    assert titles == ["first, float32: 12.5 µs", "first, int8: 30.1 µs", "Reshape, int8: 0.6 µs"]


def test_the_title_can_be_given(tmp_path):
    result_io.write(several(), tmp_path / result_io.NAME)
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out"), "--title", "Mine"]) == 0
    assert "<h1>Mine</h1>" in (tmp_path / "out" / "report.html").read_text()
