"""What `python -m export web` writes, and what it refuses. No browser, no network."""

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from export.cli import main
from export.web.onnxruntime_web import SCRIPT as NPM_SCRIPT
from export.web.onnxruntime_web import WASM as NPM_WASM
from export.web.site import PAGE, SCRIPT, SERVICE_WORKER, WASM
from tinysight.bundle import load_bundle

LITERT = Path(__file__).parents[2] / "tiny" / "bundle_litert"
HELD_BACK = {SERVICE_WORKER, "onnxruntime-web/ThirdPartyNotices.txt", "bundle/float32.tflite"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder as npm installs it, with other contents."""
    folder = tmp_path / "node_modules" / "onnxruntime-web"
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text('{"name": "onnxruntime-web", "version": "9.8.7"}')
    (folder / NPM_SCRIPT).write_bytes(b"export const env = {};")
    (folder / NPM_WASM).write_bytes(b"\0asm" + bytes(1000))
    return folder


def export(bundle: str | Path, package: Path, out: Path, *options: str) -> int:
    words = ["web", str(bundle), "--onnxruntime-web", str(package), "--out", str(out), *options]
    return main(words)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def kept_offline(site: Path) -> dict[str, Any]:
    found = re.search(r"const SITE = (\{.*\});", (site / SERVICE_WORKER).read_text())
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_the_page_has_the_bundle_and_the_runtime(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert export(LITERT, package, out) == 0
    written = files_of(out)
    assert load_bundle(out / "bundle").as_text() == load_bundle(LITERT).as_text()
    for name, content in files_of(LITERT).items():
        assert written[f"bundle/{name}"] == content
    for path in PAGE.iterdir():
        assert path.name == SERVICE_WORKER or written[path.name] == path.read_bytes()
    assert written[SCRIPT] == (package / NPM_SCRIPT).read_bytes()
    assert gzip.decompress(written[WASM]) == (package / NPM_WASM).read_bytes()
    assert b"MIT License" in written["onnxruntime-web/LICENSE"]
    described = json.loads(written["site.json"])
    assert described["onnxruntime_web"] == {
        "version": "9.8.7",
        "wasm": WASM,
        "bytes": len(written[WASM]),
    }
    assert set(kept_offline(out)["files"]) == set(written) - HELD_BACK
    assert f"{len(written)} files" in capsys.readouterr().out


def test_no_page_file_names_another_server() -> None:
    for path in PAGE.iterdir():
        addresses = set(re.findall(r"https?://[\w.]+", path.read_text()))
        assert addresses <= {"http://www.w3.org"}, path.name  # SVG's name space


def test_equal_sites_have_one_version_and_a_changed_file_another(
    package: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        assert export(LITERT, package, tmp_path / name) == 0
    assert files_of(tmp_path / "first") == files_of(tmp_path / "second")
    (package / NPM_SCRIPT).write_bytes(b"export const env = 1;")
    assert export(LITERT, package, tmp_path / "third") == 0
    versions = {kept_offline(tmp_path / name)["version"] for name in ("first", "second", "third")}
    assert len(versions) == 2


def test_an_older_site_is_kept_unless_it_may_be_replaced(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "site"
    assert export(LITERT, package, out) == 0
    (out / "left_over.txt").write_text("old")
    capsys.readouterr()
    assert export(LITERT, package, out) == 1
    assert capsys.readouterr().err == f"export: {out} exists: --overwrite replaces it\n"
    assert "left_over.txt" in files_of(out)
    assert export(LITERT, package, out, "--overwrite") == 0
    assert "left_over.txt" not in files_of(out)


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_foreign_folder_is_never_replaced(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    out = tmp_path / "home"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert export(LITERT, package, out, *options) == 1
    message = f"export: {out} is not a site that export web wrote; it is not replaced\n"
    assert capsys.readouterr().err == message
    assert files_of(out) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize("out", [".", "..", "../../site"])
def test_what_holds_the_working_folder_is_never_replaced(
    package: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: str,
) -> None:
    site = tmp_path / "site"
    assert export(LITERT, package, site) == 0
    before = files_of(site)
    monkeypatch.chdir(site / "bundle")
    assert export(LITERT, package, Path(out), "--overwrite") == 1
    message = f"export: {out} holds the working folder, and cannot be replaced: name another\n"
    assert capsys.readouterr().err == message
    assert files_of(site) == before


@pytest.mark.parametrize("name", ["float32.onnx", "float32.tflite"])
def test_a_damaged_bundle_is_refused_and_nothing_is_left(
    name: str, package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(LITERT, bundle)
    content = bytearray((bundle / name).read_bytes())
    content[-1] ^= 1
    (bundle / name).write_bytes(content)
    before = set(tmp_path.iterdir())
    assert export(bundle, package, tmp_path / "site") == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "damaged" in message
    assert set(tmp_path.iterdir()) == before


def test_files_that_are_not_the_bundles_are_not_published(package: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(LITERT, bundle)
    (bundle / "private.txt").write_text("mine")
    assert export(bundle, package, tmp_path / "site") == 0
    assert not (tmp_path / "site" / "bundle" / "private.txt").exists()
