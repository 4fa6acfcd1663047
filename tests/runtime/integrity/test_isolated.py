"""A bundle of unknown origin is verified in a process that may end in any way."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinysight import BundleError, load_bundle
from tinysight.cli.main import main
from tinysight.integrity.isolated import Limits, verify_isolated
from tinysight.integrity.verification import verify
from tinysight.signing.keys import TRUSTED_KEYS_VARIABLE, write_key_pair
from tinysight.signing.signature import sign_bundle

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits of a process are POSIX's")


def test_it_says_the_same_as_in_this_process(tiny: Path) -> None:
    assert verify_isolated(tiny) == verify(load_bundle(tiny))


def test_the_keys_that_are_named_count_and_not_those_of_the_device(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    folder = Path(shutil.copytree(tiny, tmp_path / "bundle"))
    private, public, _ = write_key_pair(tmp_path / "fleet")
    _, device, _ = write_key_pair(tmp_path / "device")
    sign_bundle(folder, private)
    monkeypatch.setenv(TRUSTED_KEYS_VARIABLE, str(device))
    for keys in (public, str(public), [device, public], False):
        assert verify_isolated(folder, require_signature=keys).ok
    for none in (None, device):
        with pytest.raises(BundleError, match="none of the trusted keys"):
            verify_isolated(folder, require_signature=none)
    words = ["verify", "--isolated", "--bundle", str(folder)]
    assert main([*words, "--key", str(public)]) == 0
    assert main(words) == 1


def test_a_wrong_answer_is_a_verdict(
    spoilt: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    golden = {"logits": [[1.0, 2.0, 3.0]], "tolerance": 1e-5}
    folder = spoilt({"golden": golden})
    result = verify_isolated(folder)
    assert not result.ok
    assert "must not be used" in result.verdict
    assert main(["verify", "--isolated", "--bundle", str(folder)]) == 1
    assert capsys.readouterr().out.startswith("FAIL  float32: golden answers differ by")


def test_what_cannot_be_read_is_one_line(tmp_path: Path, spoilt: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match="is not a bundle"):
        verify_isolated(tmp_path)
    with pytest.raises(BundleError, match="temperature must lie in"):
        verify_isolated(spoilt(temperature=0))


def test_memory_is_limited(tiny: Path) -> None:
    with pytest.raises(BundleError, match="do not use it") as error:
        verify_isolated(tiny, Limits(memory_mb=1))
    assert "\n" not in str(error.value)


def test_time_is_limited(tiny: Path, tmp_path: Path) -> None:
    """The process waits for ever, as a hanging engine would."""
    site = tmp_path / "sitecustomize.py"
    site.write_text("import signal\nsignal.pause()\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(BundleError, match="not verified within 1 s: do not use it"):
            verify_isolated(tiny, Limits(seconds=1))


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGFPE", "SIGXCPU"])
def test_a_crash_is_one_line(name: str, tiny: Path, tmp_path: Path) -> None:
    """The process ends by a signal, as a crashing engine's would."""
    site = tmp_path / "sitecustomize.py"
    site.write_text(f"import os, signal\nos.kill(os.getpid(), signal.{name})\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
        with pytest.raises(BundleError, match="do not use it") as error:
            verify_isolated(tiny)
    told = "CPU time" if name == "SIGXCPU" else f"crashed ({signal.Signals[name].name})"
    assert told in str(error.value)


def test_limits_are_checked() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Limits(memory_mb=0)


def test_a_fifo_or_an_endless_device_does_not_hang(tiny: Path, tmp_path: Path) -> None:
    for name in ("bundle.json", "float32.onnx"):
        for kind in ("fifo", "zero"):
            folder = tmp_path / f"{kind}_{name}"
            shutil.copytree(tiny, folder)
            (folder / name).unlink()
            if kind == "fifo":
                os.mkfifo(folder / name)
            else:
                (folder / name).symlink_to("/dev/zero")
            words = [sys.executable, "-m", "tinysight", "verify", "--bundle", str(folder)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1
            said = (done.stdout + done.stderr).splitlines()[0]
            assert "not a regular file" in said or "leads out of the bundle" in said


def test_a_link_out_of_the_bundle_is_not_followed(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(tiny, folder)
    (folder / "float32.onnx").rename(tmp_path / "elsewhere.onnx")
    (folder / "float32.onnx").symlink_to("../elsewhere.onnx")
    assert "leads out of the bundle" in verify(load_bundle(folder)).checks[0].detail
    (folder / "float32.onnx").unlink()
    (tmp_path / "elsewhere.onnx").rename(folder / "real.onnx")
    (folder / "float32.onnx").symlink_to("real.onnx")
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert verify(load_bundle(link)).ok


def test_swapped_labels_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(load_bundle("edge_s").folder or "", folder)
    file = folder / "bundle.json"
    good = json.loads(file.read_text())
    labels = good["labels"]
    for change in (
        {"labels": [labels[1], labels[0], *labels[2:]]},
        {"temperature": good["temperature"] * 1.01},
        {"resample": "nearest" if good["resample"] != "nearest" else "box"},
        {"abstention": None},
    ):
        file.write_text(json.dumps({**good, **change}))
        with pytest.raises(BundleError, match=r"damaged|unknown resampling"):
            load_bundle(folder)


def test_a_split_record_is_read_in_little_memory(tmp_path: Path) -> None:
    import base64
    import resource
    import zlib

    folder = tmp_path / "bundle"
    shutil.copytree(load_bundle("edge_s").folder or "", folder)
    content = json.loads((folder / "provenance.json").read_text())
    packed = zlib.compress(b"t" * 20_000_000, 9)
    content["data"]["splits"]["assignment"].update(
        images=20_000_000, zlib_base64=base64.b64encode(packed).decode()
    )
    text = json.dumps(content).encode()
    (folder / "provenance.json").write_bytes(text)
    described = json.loads((folder / "bundle.json").read_text())
    described["provenance"] = {"sha256": hashlib.sha256(text).hexdigest(), "bytes": len(text)}
    (folder / "bundle.json").write_text(json.dumps(described))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert verify(load_bundle(folder)).data.detail == (
        "the train images are not those whose hash is recorded"
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes
