"""The page in a real Chromium, from a plain file server."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.studies.browser import StaticServer
from tests.export.web.conftest import CAMERA_SIZE
from tinysight import Classifier
from tinysight.bundle import shipped_bundles

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
MEASURED = "#measure:enabled"  # the last thing that a first load does
PHONE = {"width": 390, "height": 844}

# A picture from somewhere else: what a drop or a paste brings.
DATA_TRANSFER = """(bytes) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([Uint8Array.from(bytes)], "it.png", { type: "image/png" }));
  return transfer;
}"""
PASTE = """(transfer) =>
  document.body.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }))"""
# WCAG 2.2, 1.4.3: the contrast of every text that is shown with what lies behind it.
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255).map((v) =>
      v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let it = element; it; it = it.parentElement) {
      const colour = channels(getComputedStyle(it).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility()) continue;
    const pair = [channels(getComputedStyle(element).color), behind(element)].map(luminance);
    const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    found.push([text.slice(0, 40), contrast]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def changed(
    site_of: Callable[[str | Path], Path],
    serve: Callable[[Path], StaticServer],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., StaticServer]:
    """Serves the tiny bundle's page with entries of bundle.json, or of its artifact, changed."""

    def start(artifact: dict[str, Any] | None = None, **changes: Any) -> StaticServer:
        folder = tmp_path_factory.mktemp("changed") / "site"
        shutil.copytree(site_of(TINY), folder)
        file = folder / "bundle" / "bundle.json"
        content = json.loads(file.read_text())
        content["artifacts"][0].update(artifact or {})
        content.update(changes)
        file.write_text(json.dumps(content))
        return serve(folder)

    return start


@pytest.fixture(scope="module")
def page(
    site_of: Callable[[str | Path], Path],
    serve: Callable[[Path], StaticServer],
    open_page: Callable[..., Any],
) -> Any:
    """The page of the tiny bundle, loaded; several tests use it in turn."""
    tab = open_page(serve(site_of(TINY)).url, permissions=["camera"])
    tab.wait_for_selector(MEASURED)
    return tab


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Mostly green, and of another shape than the model's."""
    pixels = np.random.default_rng(1).integers(0, 90, (60, 81, 3), dtype=np.uint8)
    pixels[..., 1] += 120
    path = tmp_path / "green.png"
    Image.fromarray(pixels).save(path)
    return path


def label(page: Any, expected: str) -> None:
    """Waits until the page says so."""
    page.locator("#label", has_text=re.compile(f"^{expected}$")).wait_for()


def top(page: Any) -> dict[str, str]:
    rows = page.locator("#top li").all_inner_texts()
    return dict(row.split("\n", 1) for row in rows)


@pytest.mark.parametrize("name", shipped_bundles())
def test_golden_answers_agree(
    name: str,
    site_of: Callable[[str], Path],
    serve: Callable[[Path], StaticServer],
    open_page: Callable[..., Any],
) -> None:
    tab = open_page("about:blank")
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    server = serve(site_of(name))
    tab.goto(server.url)
    tab.wait_for_selector(MEASURED)
    assert tab.locator("#golden-badge").get_attribute("data-state") == "ok"
    assert tab.locator("#check-golden").inner_text().split("\n")[1].startswith("32 of 32")
    assert tab.locator("#check-file").get_attribute("data-state") == "ok"
    assert re.fullmatch(r"[\d.]+ ms", tab.locator("#latency-median").inner_text())
    assert tab.locator("#histogram rect").count() >= 4
    assert asked
    assert all(url.startswith(server.url) for url in asked)  # no CDN, nobody is told


def test_a_chosen_file_is_answered_as_on_a_device(page: Any, picture: Path) -> None:
    page.set_input_files("#file", picture)
    label(page, "green")
    expected = Classifier.load(TINY).classify(picture, top_k=5)
    assert top(page) == {name: f"{100 * p:.1f} %" for name, p in expected.top}
    assert page.locator("#picture").get_attribute("alt") == "The chosen picture, green.png"
    assert page.locator("#spoken").inner_text() == f"green, {100 * expected.probability:.0f} %"


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page: Any, way: str, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (30, 20), (230, 20, 10)).save(path)
    page.set_input_files("#file", path.with_name("red.png"))
    label(page, "red")
    Image.new("RGB", (30, 20), (20, 10, 230)).save(path)
    transfer = page.evaluate_handle(DATA_TRANSFER, list(path.read_bytes()))
    if way == "drop":
        page.dispatch_event("#stage", "drop", {"dataTransfer": transfer})
    else:
        page.evaluate(PASTE, transfer)
    label(page, "blue")


def test_what_is_no_picture_is_said(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no picture")
    page.set_input_files("#file", file)
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text() == (
        "notes.txt is not a picture that this browser can read."
    )
    Image.new("RGB", (9, 9), (230, 20, 10)).save(tmp_path / "red.png")
    page.set_input_files("#file", tmp_path / "red.png")
    label(page, "red")
    assert page.get_by_role("alert").count() == 0


def test_the_camera_answers_live(page: Any, camera_colour: tuple[int, int, int]) -> None:
    page.locator("#camera").focus()
    page.keyboard.press("Enter")
    label(page, "blue")
    page.wait_for_selector("#frame-rate:not(:empty)")
    assert re.fullmatch(r"\d+ frames/s", page.locator("#frame-rate").inner_text())
    frame = np.full((*CAMERA_SIZE[::-1], 3), camera_colour, np.uint8)
    expected = Classifier.load(TINY).classify(frame, top_k=3)
    shown = {name: float(text.removesuffix(" %")) for name, text in top(page).items()}
    for name, probability in expected.top:  # the video is a JPEG
        assert shown[name] == pytest.approx(100 * probability, abs=3)
    page.get_by_role("slider", name="Smoothing").press("Home")
    assert page.locator("#smoothing-value").inner_text() == "off"
    page.get_by_role("button", name="Stop the camera").click()
    label(page, "Ready")
    assert page.evaluate("document.getElementById('video').srcObject") is None


def test_smoothing_averages_over_time(page: Any) -> None:
    values = page.evaluate(
        """async () => {
          const { Camera } = await import("./camera.js");
          const camera = new Camera(document.createElement("video"));
          camera.smoothed = null;
          camera.smoothing = 1000;
          const [first, second] = [camera.smooth([1, 0]), camera.smooth([0, 1])];
          camera.smoothing = 0;
          return [first, second, camera.smooth([0, 1])];
        }"""
    )
    assert values[0] == [1, 0]
    assert 0.9 < values[1][0] <= 1
    assert values[1][0] + values[1][1] == pytest.approx(1)
    assert values[2] == [0, 1]


def test_below_the_recommended_energy_score_it_is_unknown(
    changed: Callable[..., StaticServer], open_page: Callable[..., Any], picture: Path
) -> None:
    usual = Classifier.load(TINY).classify(picture, top_k=3)
    scaled = np.log([probability for _, probability in usual.top]) + usual.energy_score
    score = float(np.logaddexp.reduce(scaled / 2))  # at the page's temperature
    abstention = {"min_energy_score": score + 0.01, "rule": "", "coverage": 0.5, "accuracy": 0.9}
    tab = open_page(changed(abstention=abstention, temperature=2.0).url)
    tab.set_input_files("#file", picture)  # at once: it waits for the model
    label(tab, "unknown")
    expected = f"Perhaps green: its energy score, {score:.2f}, is below {score + 0.01:.2f}."
    assert tab.locator("#explanation").inner_text() == expected
    assert top(tab)["green"] != f"{100 * usual.probability:.1f} %"  # the temperature counts
    abstention["min_energy_score"] = score - 0.01
    tab = open_page(changed(abstention=abstention, temperature=2.0).url)
    tab.set_input_files("#file", picture)
    label(tab, "green")
    expected = f"Its energy score is {score:.2f}; this model asks for {score - 0.01:.2f}."
    assert tab.locator("#explanation").inner_text() == expected


def test_wrong_golden_answers_are_seen(
    changed: Callable[..., StaticServer], open_page: Callable[..., Any]
) -> None:
    golden = json.loads((TINY / "bundle.json").read_text())["artifacts"][0]["golden"]
    golden["logits"][7][0] += 0.01
    tab = open_page(changed(artifact={"golden": golden}).url)
    tab.wait_for_selector("#golden-badge[data-state=bad]")
    assert tab.locator("#golden-badge").inner_text() == "Golden answers differ"


def test_a_damaged_model_does_not_run(
    changed: Callable[..., StaticServer], open_page: Callable[..., Any]
) -> None:
    tab = open_page(changed(artifact={"sha256": "0" * 64}).url)
    tab.get_by_role("alert").wait_for()
    assert "float32.onnx is damaged" in tab.get_by_role("alert").inner_text()
    assert tab.locator("#check-golden").get_attribute("data-state") == "bad"
    assert tab.locator("#measure").is_disabled()


def test_it_works_offline_in_a_subfolder_and_takes_a_new_version(
    site_of: Callable[[str | Path], Path],
    open_page: Callable[..., Any],
    picture: Path,
    tmp_path: Path,
) -> None:
    site = tmp_path / "user" / "site"
    shutil.copytree(site_of(TINY), site)
    server = StaticServer(site.parent)
    tab = open_page(f"{server.url}site/")
    tab.wait_for_selector("#check-offline[data-state=ok]")
    # What an export of another bundle, or of a newer page, changes.
    for name, old, new in (
        ("service-worker.js", '"version": "', '"version": "next'),
        ("index.html", "Made with tinysight", "Made anew"),
    ):
        (site / name).write_text((site / name).read_text().replace(old, new))
    tab.reload()
    tab.get_by_role("alert").wait_for()
    assert "newer version" in tab.get_by_role("alert").inner_text()
    server.stop()
    tab.reload()
    tab.wait_for_selector("#golden-badge[data-state=ok]")
    assert tab.locator("footer").inner_text().startswith("Made anew")
    assert len(tab.evaluate("caches.keys()")) == 1
    tab.set_input_files("#file", picture)
    label(tab, "green")


def test_the_keyboard_reaches_everything(page: Any) -> None:
    page.reload()
    page.wait_for_selector(MEASURED)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert [name for name in reached if name][:4] == ["golden-badge", "file", "camera", "measure"]
    for role, name in (("button", "Use the camera"), ("button", "Measure again")):
        assert page.get_by_role(role, name=name).count() == 1
    assert page.get_by_label("Choose a picture").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_and_a_phone_needs_no_sideways_scrolling(
    page: Any, scheme: str, picture: Path
) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(PHONE)
    page.set_input_files("#file", picture)
    label(page, "green")
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 30
    assert [pair for pair in contrasts if pair[1] < 4.5] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for control in (page.get_by_text("Choose a picture"), page.locator("#camera")):
        assert control.bounding_box()["height"] >= 44
    assert page.locator("#label").bounding_box()["y"] < PHONE["height"]  # seen without scrolling
