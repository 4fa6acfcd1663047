"""Where onnxruntime-web comes from: npm's registry as npm is set up, a folder, a tarball."""

import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.studies.browser import StaticServer
from export.web import onnxruntime_web
from export.web.onnxruntime_web import (
    DEFAULT_REGISTRY,
    SCRIPT,
    TARBALL,
    WASM,
    OnnxRuntimeWeb,
    find_or_download,
    read_package,
    registry,
)
from tinysight.errors import TinysightError

FILES = {
    "package.json": b'{"name": "onnxruntime-web", "version": "9.8.7"}',
    SCRIPT: b"script",
    WASM: b"\0asm",
}
EXPECTED = OnnxRuntimeWeb("9.8.7", b"script", b"\0asm")


def silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


def tarball(path: Path, files: dict[str, bytes]) -> Path:
    """As npm packs it: everything under package/."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def refused(path: Path) -> str:
    with pytest.raises(TinysightError) as error:
        read_package(path, silent)
    message = str(error.value)
    assert message.startswith(f"{path} is not the npm package onnxruntime-web: ")
    assert "\n" not in message
    return message


def test_the_registry_is_npms(tmp_path: Path) -> None:
    assert registry({}, tmp_path) == DEFAULT_REGISTRY
    (tmp_path / ".npmrc").write_text("# mine\nregistry = https://a.example/npm/\n//b/:x=y\n")
    assert registry({}, tmp_path) == "https://a.example/npm"
    (tmp_path / "other").write_text('registry="https://${WHERE}.example"\n')
    other = {"NPM_CONFIG_USERCONFIG": str(tmp_path / "other"), "WHERE": "b"}
    assert registry(other, tmp_path) == "https://b.example"
    named = {**other, "npm_config_registry": "http://c.example:4873/"}
    assert registry(named, tmp_path) == "http://c.example:4873"
    with pytest.raises(TinysightError, match="no https:// address"):
        registry({"npm_config_registry": "file:///etc"}, tmp_path)


def test_the_tarball_is_downloaded_once(
    tmp_path: Path, serve: Callable[[Path], StaticServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tarball(tmp_path / "registry" / "onnxruntime-web" / "-" / TARBALL, FILES)
    digest = hashlib.sha512(published.read_bytes()).hexdigest()
    server = serve(tmp_path / "registry")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("npm_config_registry", server.url)
    with pytest.raises(TinysightError, match="wrong SHA512"):
        find_or_download(tmp_path / "cache", silent)
    monkeypatch.setattr(onnxruntime_web, "SHA512", digest)
    path = find_or_download(tmp_path / "cache", silent)
    assert path == tmp_path / "cache" / "downloads" / TARBALL
    assert read_package(path, silent) == EXPECTED
    published.unlink()
    assert find_or_download(tmp_path / "cache", silent) == path
    path.write_bytes(b"cut short")
    with pytest.raises(TinysightError, match="damaged"):
        find_or_download(tmp_path / "cache", silent)
    path.unlink()
    with pytest.raises(TinysightError, match="could not be downloaded"):
        find_or_download(tmp_path / "cache", silent)


def test_a_folder_and_a_tarball_give_the_same(tmp_path: Path) -> None:
    assert read_package(folder(tmp_path / "folder", FILES), silent) == EXPECTED
    assert read_package(tarball(tmp_path / "it.tgz", FILES), silent) == EXPECTED


def test_what_is_not_the_package_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "absent.tgz")
    (tmp_path / "text.tgz").write_text("text")
    refused(tmp_path / "text.tgz")
    whole = tarball(tmp_path / "whole.tgz", {**FILES, WASM: bytes(range(256)) * 99}).read_bytes()
    (tmp_path / "short.tgz").write_bytes(whole[:-200])
    refused(tmp_path / "short.tgz")
    (tmp_path / "empty").mkdir()
    assert "it has no package.json" in refused(tmp_path / "empty")
    without = {name: content for name, content in FILES.items() if name != WASM}
    assert f"it has no {WASM}" in refused(tarball(tmp_path / "without.tgz", without))
    other = {**FILES, "package.json": b'{"name": "left-pad", "version": "1.0.0"}'}
    assert "another package" in refused(folder(tmp_path / "other", other))
    for text in (b"{", b"[]", b'{"name": "onnxruntime-web"}'):
        refused(folder(tmp_path / "spoilt", {**FILES, "package.json": text}))
