"""Ed25519 keys: files of them, their ids, and those that this device trusts.

Keys are PEM files that other tools read too: `openssl pkey -in fleet.key -pubout` gives fleet.pub.
A folder of trusted keys holds a file a key, `*.pub`; to trust one no longer, delete its file.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from tinysight.errors import SignatureError
from tinysight.files import read_regular, write_bytes

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KeyPaths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
"""Files with public keys, and folders of such files."""

TRUSTED_KEYS_VARIABLE = "TINYSIGHT_TRUSTED_KEYS"
"""Names a file or folder of public keys; several are separated as in $PATH."""
SYSTEM_KEYS = "/etc/tinysight/trusted_keys"
"""The folder that is read where the variable is not set. It need not exist."""

MAX_KEY_BYTES = 1 << 16
"""Of a file with keys."""
MAX_KEYS = 64

_PUBLIC_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    raw: bytes
    """32 bytes, as in RFC 8032."""

    def __post_init__(self) -> None:
        if len(self.raw) != 32:
            raise ValueError("an Ed25519 public key has 32 bytes")

    @property
    def id(self) -> str:
        """The first 64 bits of the SHA-256 of the key: 16 hexadecimal digits."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature, 64 bytes, is this key's over the message."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def trusted_key_paths() -> list[Path] | None:
    """Where this device keeps the keys it trusts; None where nobody has named any.

    A variable that is set to nothing, or names what is not there, is no reason to trust everybody:
    `read_public_keys` then raises.
    """
    named = os.environ.get(TRUSTED_KEYS_VARIABLE)
    if named is not None:
        return [Path(part) for part in named.split(os.pathsep) if part]
    return [Path(SYSTEM_KEYS)] if os.path.isdir(SYSTEM_KEYS) else None  # noqa: PTH112  # quicker


def read_public_keys(paths: KeyPaths) -> Mapping[str, PublicKey]:
    """The keys in files and folders, by id.

    Raises:
        SignatureError: one cannot be read or holds no Ed25519 public key; or there is none at all.
        MissingExtraError: cryptography is not installed.
    """
    _require_cryptography()
    named = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    keys: dict[str, PublicKey] = {}
    for file in _key_files([Path(path) for path in named]):
        for key in _public_keys(file):
            keys[key.id] = key
    if not keys:
        places = ", ".join(map(str, named)) or f"${TRUSTED_KEYS_VARIABLE}"
        raise SignatureError(f"no public key in {places}: no signature can be checked")
    if len(keys) > MAX_KEYS:
        raise SignatureError(f"{len(keys)} trusted keys, allowed are {MAX_KEYS}")
    return keys


def _require_cryptography() -> None:
    from tinysight.console import require_extra  # late: every load imports this module

    require_extra("sign", "cryptography")


def _key_files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.pub")) if path.is_dir() else [path]
    return files


def _public_keys(file: Path) -> list[PublicKey]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    keys = []
    for pem in _PUBLIC_PEM.findall(_read(file)):
        try:
            key = serialization.load_pem_public_key(pem)
        except Exception:  # ValueError, UnsupportedAlgorithm and others: all mean the same here
            raise SignatureError(f"{file}: not a public key in PEM format") from None
        if not isinstance(key, Ed25519PublicKey):
            raise SignatureError(f"{file}: not an Ed25519 key")
        keys.append(PublicKey(key.public_bytes_raw()))
    if not keys:
        raise SignatureError(f"{file}: no public key in PEM format in it")
    return keys


def write_key_pair(name: Path) -> tuple[Path, Path, PublicKey]:
    """Makes a key pair: NAME.key, which its owner alone can read, and NAME.pub.

    Raises:
        SignatureError: one of the files exists already: no key is ever overwritten.
        OSError: one cannot be written.
        MissingExtraError: cryptography is not installed.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private, public = name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub")
    for file in (private, public):
        if os.path.lexists(file):
            raise SignatureError(f"{file} exists already: name another, keys are not overwritten")
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # O_EXCL: nobody slips a file or link of his own in between. 0600 from its first moment.
    handle = os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(secret)
            stream.flush()
            os.fsync(stream.fileno())
        write_bytes(
            public,
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )
    except BaseException:
        private.unlink(missing_ok=True)
        raise
    return private, public, PublicKey(key.public_key().public_bytes_raw())


def read_private_key(file: Path) -> "Ed25519PrivateKey":
    """The key in a PEM file.

    Raises:
        SignatureError: it cannot be read, is encrypted, or is no Ed25519 private key.
        MissingExtraError: cryptography is not installed.
    """
    _require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    content = _read(file)
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise SignatureError(
            f"{file}: encrypted; `openssl pkey -in {file} -out PLAIN` decrypts it"
        ) from None
    except Exception:  # ValueError, UnsupportedAlgorithm and others: all mean the same here
        raise SignatureError(f"{file}: not a private key in PEM format") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SignatureError(f"{file}: not an Ed25519 key")
    return key


def _read(file: Path) -> bytes:
    try:
        return read_regular(file, MAX_KEY_BYTES)
    except ValueError as error:
        raise SignatureError(f"{file}: {error}") from None
    except OSError as error:
        raise SignatureError(f"{file}: {error.strerror or error}") from None
