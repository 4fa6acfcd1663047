"""Writes the page: its own files, the bundle, onnxruntime-web, and what to keep offline.

index.html, app.js, …      the files of export/web/page, as they are
bundle/                    the bundle, as it is
onnxruntime-web/           the script, the WebAssembly module (gzipped), the licences
site.json                  where the page finds these
service-worker.js          with the files that work offline, and a version of all of them
"""

import gzip
import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from export.target import check_target
from export.web.onnxruntime_web import OnnxRuntimeWeb
from tinysight.bundle import PROVENANCE, Bundle
from tinysight.errors import TinysightError
from tinysight.files import new_folder

PAGE = Path(__file__).parent / "page"
BUNDLE = "bundle"
RUNTIME = "onnxruntime-web"
# Named .js, since some servers do not know that .mjs is JavaScript, and browsers insist.
SCRIPT = f"{RUNTIME}/ort.wasm.bundle.min.js"
# Gzipped here, since few servers compress it; the page unzips it.
WASM = f"{RUNTIME}/ort-wasm-simd-threaded.wasm.gz"
SERVICE_WORKER = "service-worker.js"

_DESCRIPTION = "site.json"
_CARD = "card.md"
_LICENCES = ("LICENSE", "ThirdPartyNotices.txt")
_PLACEHOLDER = 'const SITE = { version: "", files: [] };'


@dataclass(frozen=True, slots=True)
class Site:
    """What was written."""

    files: int
    bytes: int
    """Of all files."""
    first_load_bytes: int
    """What a browser downloads, once."""


def write_site(bundle: Bundle, runtime: OnnxRuntimeWeb, out: Path, *, overwrite: bool) -> Site:
    """Writes the page of a bundle into a new folder.

    Args:
        bundle: as `load_bundle` read it; all its artifacts are copied, the page runs the default.
        runtime: onnxruntime-web.
        out: the folder, which must not exist unless `overwrite` is given.
        overwrite: whether an older site is replaced; no other folder is.

    Raises:
        BundleError: a file of the bundle is damaged.
        ExportError: `out` exists, or is no site.
        TinysightError: onnxruntime came without its licence.
    """
    check_target(out, overwrite=overwrite, mark=_DESCRIPTION, kind="a site that export web wrote")
    default = bundle.artifact()
    content = _page() | _runtime(runtime) | _bundle(bundle)
    described = {
        "bundle": BUNDLE,
        "card": f"{BUNDLE}/{_CARD}" if f"{BUNDLE}/{_CARD}" in content else None,
        "onnxruntime_web": {
            "version": runtime.version,
            "wasm": WASM,
            "bytes": len(content[WASM]),
        },
    }
    content[_DESCRIPTION] = f"{json.dumps(described, indent=1)}\n".encode()
    unused = {f"{BUNDLE}/{artifact.file}" for artifact in bundle.artifacts} - {
        f"{BUNDLE}/{default.file}"
    }
    offline = sorted(set(content) - unused - {SERVICE_WORKER, f"{RUNTIME}/{_LICENCES[1]}"})
    content[SERVICE_WORKER] = _service_worker(content, offline)
    with new_folder(out, overwrite=overwrite) as folder:
        for name, data in content.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
    return Site(
        files=len(content),
        bytes=sum(map(len, content.values())),
        first_load_bytes=sum(len(content[name]) for name in offline),
    )


def _page() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(PAGE.iterdir()) if path.is_file()}


def _runtime(runtime: OnnxRuntimeWeb) -> dict[str, bytes]:
    spec = importlib.util.find_spec("onnxruntime")
    folder = Path(str(spec.origin)).parent if spec else Path()
    missing = [name for name in _LICENCES if not (folder / name).is_file()]
    if missing:
        raise TinysightError(f"onnxruntime came without its {missing[0]}: install it by pip")
    return {
        # The same project, and the same licence, as of its wheel for Python.
        **{f"{RUNTIME}/{name}": (folder / name).read_bytes() for name in _LICENCES},
        SCRIPT: runtime.script,
        WASM: gzip.compress(runtime.wasm, mtime=0),  # no time: equal sites have equal bytes
    }


def _bundle(bundle: Bundle) -> dict[str, bytes]:
    """The files that bundle.json describes, checked, and the model card where there is one."""
    if bundle.folder is None:
        raise TinysightError(f"{bundle.name} was not read from a folder")
    files = {"bundle.json": (bundle.folder / "bundle.json").read_bytes()}
    files |= {artifact.file: bundle.read(artifact) for artifact in bundle.artifacts}
    if bundle.provenance is not None:
        files[PROVENANCE] = bundle.read_checked(PROVENANCE, bundle.provenance)
    if (bundle.folder / _CARD).is_file():
        files[_CARD] = (bundle.folder / _CARD).read_bytes()
    return {f"{BUNDLE}/{name}": data for name, data in files.items()}


def _service_worker(content: dict[str, bytes], offline: list[str]) -> bytes:
    """The service worker with the files that it keeps, and a version that changes with them."""
    source = content[SERVICE_WORKER].decode()
    digest = hashlib.sha256(source.encode())
    for name in offline:
        digest.update(f"\n{name} {hashlib.sha256(content[name]).hexdigest()}".encode())
    site = json.dumps({"version": digest.hexdigest()[:16], "files": offline})
    assert _PLACEHOLDER in source
    return source.replace(_PLACEHOLDER, f"const SITE = {site};").encode()
