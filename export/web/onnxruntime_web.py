"""onnxruntime-web from npm: the files of its plain WebAssembly build, without any node."""

import json
import os
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinysight.errors import TinysightError
from tinysight.files import cache_folder
from training.data.download import download, hash_of
from training.progress import ProgressCallback

VERSION = "1.30.0"
SHA512 = (
    "ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca"
    "590a5cdc57bb2f35ce2b298de32f4d956fb42644c0ecd528a0a91e025c07ca61"
)
"""Of the tarball: `dist.integrity` in the npm registry, in hexadecimal."""
TARBALL = f"onnxruntime-web-{VERSION}.tgz"
DEFAULT_REGISTRY = "https://registry.npmjs.org"

# The build without WebGPU and WebGL: the smallest, and the one whose int8 answers are right.
SCRIPT = "dist/ort.wasm.bundle.min.mjs"
WASM = "dist/ort-wasm-simd-threaded.wasm"
PACKAGE = "package.json"
FILES = (PACKAGE, SCRIPT, WASM)


@dataclass(frozen=True, slots=True)
class OnnxRuntimeWeb:
    """What a page needs of the npm package."""

    version: str
    script: bytes
    """An ES module."""
    wasm: bytes
    """The WebAssembly module, which the script is given."""


def find_or_download(cache: Path, progress: ProgressCallback) -> Path:
    """The tarball in the cache's downloads, from the user's npm registry where it is not there.

    Raises TinysightError when it cannot be downloaded, or is not the one that was published.
    """
    target = cache / "downloads" / TARBALL
    if target.is_file():
        if hash_of(target, "sha512") != SHA512:
            raise TinysightError(f"{target} is damaged (wrong SHA-512): delete it")
        return target
    url = f"{registry(os.environ, Path.home())}/onnxruntime-web/-/{TARBALL}"
    download(url, target, SHA512, progress, "sha512")
    return target


def registry(environment: Mapping[str, str], home: Path) -> str:
    """The URL of the npm registry, as npm finds it: the environment before the user's .npmrc.

    Credentials in .npmrc are not read: for a registry that asks for some, `npm pack` fetches the
    tarball.
    """
    lowered = {name.lower(): value for name, value in environment.items()}
    named = lowered.get("npm_config_registry")
    if not named:
        file = Path(lowered.get("npm_config_userconfig") or home / ".npmrc")
        try:
            lines = re.findall(r"(?m)^\s*registry\s*=\s*(\S+)\s*$", file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError):
            lines = []
        named = lines[-1].strip("\"'") if lines else DEFAULT_REGISTRY
    url = re.sub(r"\$\{(\w+)\}", lambda name: environment.get(name[1], ""), named).rstrip("/")
    if not url.startswith(("https://", "http://")):
        raise TinysightError(f"npm's registry is set to {url!r}, which is no https:// address")
    return url


def read_package(source: Path | None, progress: ProgressCallback) -> OnnxRuntimeWeb:
    """Reads the npm package.

    Args:
        source: the package's tarball, or its folder, such as node_modules/onnxruntime-web; None is
            the pinned version, from the cache or the npm registry.
        progress: called while downloading.

    Raises:
        TinysightError: it cannot be downloaded, or is not that package.
    """
    path = source or find_or_download(cache_folder(), progress)
    try:
        files = _from_folder(path) if path.is_dir() else _from_tarball(path)
        described = json.loads(files[PACKAGE])
        if not isinstance(described, dict) or described.get("name") != "onnxruntime-web":
            raise ValueError("its package.json names another package")
        return OnnxRuntimeWeb(str(described["version"]), files[SCRIPT], files[WASM])
    except KeyError as error:
        reason = f"it has no {error.args[0]}"
    except (OSError, ValueError, EOFError, tarfile.TarError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
    raise TinysightError(f"{path} is not the npm package onnxruntime-web: {reason}")


def _from_folder(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def _from_tarball(path: Path) -> dict[str, bytes]:
    """In one pass: to go back in a compressed archive is to begin again."""
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            if name in FILES and (stream := archive.extractfile(member)):
                files[name] = stream.read()
    return files
