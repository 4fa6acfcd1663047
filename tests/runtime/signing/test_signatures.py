"""Who made a bundle: keys, signatures, expiry, rotation, and where they are required."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cryptography")

from tests.fuzz.updates import change_signed_bundles
from tinysight import Classifier, SignatureError, load_bundle
from tinysight.cli.main import main
from tinysight.signing.keys import TRUSTED_KEYS_VARIABLE, read_public_keys, write_key_pair
from tinysight.signing.signature import SIGNATURE, read_signatures, sign_bundle


@pytest.fixture(autouse=True)
def nothing_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUSTED_KEYS_VARIABLE, raising=False)


@pytest.fixture
def bundle(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "bundle"))


def keys(folder: Path, name: str = "fleet") -> tuple[Path, Path, str]:
    """A private key, a public one, and their id."""
    private, public, key = write_key_pair(folder / name)
    return private, public, key.id


def test_the_command_line_from_key_to_verdict(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["keygen", str(tmp_path / "fleet")]) == 0
    assert main(["sign", "--bundle", str(bundle), "--key", str(tmp_path / "fleet.key")]) == 0
    capsys.readouterr()
    assert (
        main(["verify", "--bundle", str(bundle), "--json", "--key", str(tmp_path / "fleet.pub")])
        == 0
    )
    verdict = json.loads(capsys.readouterr().out)
    (key,) = read_public_keys(tmp_path / "fleet.pub")
    assert verdict["ok"]
    assert verdict["signature"]["required"]
    assert (verdict["signature"]["keys"], verdict["signature"]["expires"]) == ([key], None)


def test_a_private_key_is_its_owners_and_no_key_is_overwritten(tmp_path: Path) -> None:
    private, _, _ = keys(tmp_path)
    assert private.stat().st_mode & 0o777 == 0o600
    content = private.read_bytes()
    with pytest.raises(SignatureError, match="exists already"):
        keys(tmp_path)
    assert private.read_bytes() == content


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_openssl_reads_the_keys(tmp_path: Path) -> None:
    private, public, _ = keys(tmp_path)
    words = ["openssl", "pkey", "-in", str(private), "-pubout"]
    assert subprocess.run(words, capture_output=True, check=True).stdout == public.read_bytes()


def test_nothing_that_was_changed_is_accepted(tmp_path: Path) -> None:
    """`python -m tests.fuzz.updates signatures` makes 2,000."""
    assert change_signed_bundles(60, 7, tmp_path) == []


def test_another_key_an_unsigned_bundle_and_no_key_are_refused(
    bundle: Path, tmp_path: Path
) -> None:
    private, public, _ = keys(tmp_path)
    _, other, _ = keys(tmp_path, "other")
    with pytest.raises(SignatureError, match="is not signed"):
        Classifier.load(bundle, require_signature=public)
    sign_bundle(bundle, private)
    assert Classifier.load(bundle, require_signature=public).labels
    with pytest.raises(SignatureError, match="none of the trusted keys"):
        Classifier.load(bundle, require_signature=other)
    with pytest.raises(SignatureError, match="no public key"):
        Classifier.load(bundle, require_signature=[])


def test_a_bundle_under_another_bundles_signature_is_refused(
    bundle: Path, tiny: Path, tmp_path: Path
) -> None:
    private, public, _ = keys(tmp_path)
    sign_bundle(bundle, private)
    changed = json.loads((tiny / "bundle.json").read_text())
    changed["temperature"] = 2.0
    changed.pop("answers_sha256", None)
    (bundle / "bundle.json").write_text(json.dumps(changed))
    with pytest.raises(SignatureError, match="changed after it was signed"):
        load_bundle(bundle, require_signature=public)


def test_keys_are_rotated_by_signing_with_both(bundle: Path, tmp_path: Path) -> None:
    old, old_public, old_id = keys(tmp_path, "old")
    new, new_public, new_id = keys(tmp_path, "new")
    sign_bundle(bundle, old)
    sign_bundle(bundle, new)
    sign_bundle(bundle, new)  # anew: it replaces its own
    signatures = read_signatures(bundle)
    assert signatures is not None
    assert [one.key for one in signatures.signatures] == [old_id, new_id]
    for trusted in (old_public, new_public, [old_public, new_public], tmp_path):
        load_bundle(bundle, require_signature=trusted)


def test_a_signature_of_a_trusted_key_must_be_valid_though_another_is(
    bundle: Path, tmp_path: Path
) -> None:
    sign_bundle(bundle, keys(tmp_path, "old")[0])
    sign_bundle(bundle, keys(tmp_path, "new")[0])
    content = json.loads((bundle / SIGNATURE).read_text())
    content["signatures"][0]["signature"] = content["signatures"][1]["signature"]
    (bundle / SIGNATURE).write_text(json.dumps(content, indent=1) + "\n")
    with pytest.raises(SignatureError, match="is not valid"):
        load_bundle(bundle, require_signature=tmp_path)


def test_an_expiry_is_told_and_kept(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public, key = keys(tmp_path)
    words = ["sign", "--bundle", str(bundle), "--key", str(private), "--expires-days", "20"]
    assert main(words) == 0
    assert main(["verify", "--bundle", str(bundle), "--key", str(public)]) == 0
    assert "expires SOON" in capsys.readouterr().out
    sign_bundle(bundle, private, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(SignatureError, match=f"the signature by {key} expired"):
        load_bundle(bundle, require_signature=public)


def test_a_moved_expiry_is_not_valid(bundle: Path, tmp_path: Path) -> None:
    private, public, _ = keys(tmp_path)
    sign_bundle(bundle, private, datetime.now(UTC) + timedelta(days=1))
    content = json.loads((bundle / SIGNATURE).read_text())
    content["signatures"][0]["expires"] = None
    (bundle / SIGNATURE).write_text(json.dumps(content, indent=1) + "\n")
    with pytest.raises(SignatureError, match="is not valid"):
        load_bundle(bundle, require_signature=public)


def test_a_device_that_trusts_keys_requires_a_signature_everywhere(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    private, public, _ = keys(tmp_path)
    folder = tmp_path / "trusted"
    folder.mkdir()
    shutil.copy(public, folder)
    monkeypatch.setenv(TRUSTED_KEYS_VARIABLE, str(folder))
    for command in (
        ["info", "--bundle", str(bundle)],
        ["verify", "--bundle", str(bundle)],
        ["bench", "--bundle", str(bundle)],
    ):
        assert main(command) == 1
        assert "is not signed" in capsys.readouterr().err
    sign_bundle(bundle, private)
    assert main(["info", "--bundle", str(bundle)]) == 0
    assert main(["verify", "--bundle", str(bundle), "--isolated"]) == 0
    shipped = load_bundle("edge_s").folder  # as did the code that would check it
    assert load_bundle(shipped).folder == shipped
    monkeypatch.setenv(TRUSTED_KEYS_VARIABLE, "")  # named, but none: not a way to switch it off
    with pytest.raises(SignatureError, match="no public key"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    "content", ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
)
def test_what_is_no_key_is_one_line(
    content: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.pub"
    file.write_text(content)
    sign = ["sign", "--bundle", str(bundle), "--key", str(file)]
    for words in (["verify", "--bundle", str(bundle), "--key", str(file)], sign):
        assert main(words) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "bad.pub" in line


def test_a_damaged_bundle_is_not_signed(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, _, _ = keys(tmp_path)
    (bundle / "float32.onnx").write_bytes(b"x")
    assert main(["sign", "--bundle", str(bundle), "--key", str(private)]) == 1
    assert "not signed" in capsys.readouterr().err
    assert not (bundle / SIGNATURE).exists()


def test_without_cryptography_it_is_one_line(bundle: Path, tmp_path: Path) -> None:
    """And only where a signature is asked for; where it is, nothing is accepted."""
    private, public, _ = keys(tmp_path)
    sign_bundle(bundle, private)
    code = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'cryptography' else find(name, *a)\n"
        "from tinysight.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )

    def run(*words: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert run("info", "--bundle", bundle).returncode == 0
    refused = run("verify", "--bundle", bundle, "--key", public)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "[sign]" in refused.stderr
