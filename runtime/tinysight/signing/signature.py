"""signature.json: who vouches for the bundle.json beside it, and so for every file it names.

What is signed is the SHA-256 of bundle.json's exact bytes, with the key's id and both dates:

    tinysight bundle signature 1
    <SHA-256 of bundle.json>
    <key id>
    <signed>
    <expires, or "never">

each line ended by a line feed. bundle.json holds the hash of each artifact and of provenance.json,
so no byte of the bundle can change without the signature failing. A bundle may be signed by several
keys, so that one key can take the place of another while devices still trust either.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tinysight.errors import SignatureError
from tinysight.files import read_regular, write_bytes
from tinysight.records import RecordError, from_json, parse_json, to_json
from tinysight.signing.keys import KeyPaths, PublicKey, read_private_key, read_public_keys

FORMAT: Final = 1
SIGNATURE = "signature.json"
MAX_SIGNATURE_BYTES = 1 << 14
MAX_SIGNATURES = 16
EXPIRES_SOON_DAYS = 30
"""Days before its end in which an expiry is told as a warning."""

_HEADER = b"tinysight bundle signature 1\n"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_ID = re.compile(r"[0-9a-f]{16}")
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class Signature:
    """One key's signature."""

    key: str
    """The id of the key: `PublicKey.id`."""
    signed: str
    """When, in UTC: 2026-11-24T22:00:00Z."""
    expires: str | None
    """When it ends, likewise; None for never."""
    signature: str
    """64 bytes in hexadecimal."""

    def __post_init__(self) -> None:
        if not _KEY_ID.fullmatch(self.key):
            raise ValueError("the key's id is not of 16 hexadecimal digits")
        if not _SIGNATURE.fullmatch(self.signature):
            raise ValueError("the signature is not of 128 hexadecimal digits")
        for time in (self.signed, self.expires):
            if time is not None:
                parse_time(time)

    def message(self, bundle_sha256: str) -> bytes:
        """What is signed, for the bundle.json of that hash."""
        parts = (bundle_sha256, self.key, self.signed, self.expires or "never")
        return _HEADER + "".join(f"{part}\n" for part in parts).encode()

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, negative afterwards; None where it never does."""
        return None if self.expires is None else (parse_time(self.expires) - now).days


@dataclass(frozen=True, slots=True)
class Signatures:
    """signature.json."""

    bundle_sha256: str
    """Of bundle.json."""
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.bundle_sha256):
            raise ValueError("bundle_sha256 is not a SHA-256 of 64 hexadecimal digits")
        if not 0 < len(self.signatures) <= MAX_SIGNATURES:
            raise ValueError(
                f"{len(self.signatures)} signatures, allowed are 1 to {MAX_SIGNATURES}"
            )
        if len({one.key for one in self.signatures}) != len(self.signatures):
            raise ValueError("two signatures by one key")

    def as_bytes(self) -> bytes:
        """The file's content: there is one way only to write it."""
        return (json.dumps({"format": FORMAT, **to_json(self)}, indent=1) + "\n").encode()


def parse_time(text: str) -> datetime:
    """A time in UTC as it is written in signature.json. Raises ValueError."""
    time = datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    if time.strftime(_TIME) != text:
        raise ValueError(f"{text!r:.40} is not a time like 2026-11-24T22:00:00Z")
    return time


def parse_signatures(content: bytes) -> Signatures:
    """Reads the content of signature.json. Raises RecordError, also if a space was added."""
    value = parse_json(content)
    if not isinstance(value, dict) or value.pop("format", None) != FORMAT:
        raise RecordError(f"not signatures of format {FORMAT}")
    signatures = from_json(Signatures, value)
    if signatures.as_bytes() != content:
        raise RecordError("changed since it was signed")
    return signatures


def read_signatures(folder: Path) -> Signatures | None:
    """A bundle's signatures, none of them checked; None where it has no signature.json.

    Raises SignatureError where the file is damaged.
    """
    file = folder / SIGNATURE
    try:
        return parse_signatures(read_regular(file, MAX_SIGNATURE_BYTES))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SignatureError(f"{file}: {error.strerror or error}") from None
    except ValueError as error:
        raise SignatureError(f"{file}: {error}") from None


def check_signature(description: bytes, folder: Path, paths: KeyPaths) -> Signature:
    """The signature of a trusted key over a bundle.json; where there are several, the one that
    lasts longest.

    Args:
        description: the bytes of bundle.json that were or will be read.
        folder: the bundle's.
        paths: files and folders of the public keys that are trusted.

    Raises:
        SignatureError: none of the keys has signed it, a signature of one of them is not valid for
            these bytes, or all have expired; or no key can be read.
        MissingExtraError: cryptography is not installed.
    """
    keys = read_public_keys(paths)
    signatures = read_signatures(folder)
    if signatures is None:
        raise SignatureError(f"{folder} is not signed, and a signature is required")
    if hashlib.sha256(description).hexdigest() != signatures.bundle_sha256:
        raise SignatureError(f"{folder}: bundle.json was changed after it was signed")
    trusted = [one for one in signatures.signatures if one.key in keys]
    if not trusted:
        signers = ", ".join(one.key for one in signatures.signatures)
        raise SignatureError(f"{folder}: signed by {signers}, which is none of the trusted keys")
    for one in trusted:
        _check_one(one, signatures.bundle_sha256, keys[one.key], folder)
    best = max(trusted, key=lambda one: (one.expires is None, one.expires or ""))
    if best.expires is not None and parse_time(best.expires) <= datetime.now(UTC):
        raise SignatureError(
            f"{folder}: the signature by {best.key} expired on {best.expires}: sign it anew"
        )
    return best


def _check_one(one: Signature, bundle_sha256: str, key: PublicKey, folder: Path) -> None:
    if not key.accepts(bytes.fromhex(one.signature), one.message(bundle_sha256)):
        raise SignatureError(f"{folder}: the signature by {one.key} is not valid")


def sign_bundle(folder: Path, key_file: Path, expires: datetime | None = None) -> Signature:
    """Signs the bundle.json of a folder, and writes signature.json beside it.

    Signatures of other keys over the same bundle.json are kept; an earlier one of this key is
    replaced.

    Args:
        folder: a bundle's, whose files the caller has verified.
        key_file: the private key.
        expires: when the signature ends, in UTC; None is never.

    Raises SignatureError, MissingExtraError, and OSError where it cannot be written.
    """
    private = read_private_key(key_file)
    key = PublicKey(private.public_key().public_bytes_raw())
    digest = hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()
    unsigned = Signature(
        key=key.id,
        signed=datetime.now(UTC).strftime(_TIME),
        expires=None if expires is None else expires.strftime(_TIME),
        signature="0" * 128,
    )
    signature = Signature(
        unsigned.key,
        unsigned.signed,
        unsigned.expires,
        private.sign(unsigned.message(digest)).hex(),
    )
    before = read_signatures(folder)
    others = () if before is None or before.bundle_sha256 != digest else before.signatures
    kept = tuple(one for one in others if one.key != key.id)
    try:
        signatures = Signatures(digest, (*kept, signature))
    except ValueError as error:
        raise SignatureError(f"{folder}: {error}") from None
    write_bytes(folder / SIGNATURE, signatures.as_bytes())
    return signature


def describe(signature: Signature) -> str:
    """For people: who signed, when, and how long it lasts."""
    text = f"signed by key {signature.key} on {signature.signed}"
    left = signature.days_left(datetime.now(UTC))
    if left is None:
        return f"{text}; never expires"
    soon = " SOON" if left < EXPIRES_SOON_DAYS else ""
    return f"{text}; expires{soon} on {signature.expires}, in {left} days"
