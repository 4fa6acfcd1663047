"""`pull` a version into a store, `rollback` to the one before.

The order is what makes a power cut harmless: a version is written beside the others, whole and
checked, before current.json names it, and no version that current.json names is ever removed.
"""

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from tinysight.bundle import (
    MAX_DESCRIPTION_BYTES,
    PROVENANCE,
    load_bundle,
    parse_description,
)
from tinysight.errors import BundleError, UpdateError
from tinysight.files import new_folder
from tinysight.integrity.isolated import verify_isolated
from tinysight.signing.keys import KeyPaths, trusted_key_paths
from tinysight.signing.signature import MAX_SIGNATURE_BYTES, SIGNATURE, check_signature
from tinysight.store.layout import (
    CURRENT,
    VERSION_ID,
    VERSIONS,
    Current,
    is_store,
    read_current,
    version_folder,
    version_id,
    write_current,
)
from tinysight.updates.source import Source, open_source

MAX_UPDATE_BYTES = 1 << 30
"""Of all files of a bundle."""
_LOCK = ".lock"
_OF_THE_SYSTEM = {"lost+found", ".DS_Store"}
"""What a file system or a desktop puts into a folder by itself."""

# The temporary names of `tinysight.files`: nothing else in a store is deleted as unfinished.
_UNFINISHED_CURRENT = re.compile(rf"\.{re.escape(CURRENT)}\.[a-z0-9_]{{8}}")
_UNFINISHED_VERSION = re.compile(rf"\.{VERSION_ID.pattern}\.(new-[a-z0-9_]{{8}}|old)")

Report = Callable[[str, int, int], None]
"""Told what is done, how much of it is done and how much there is."""


@dataclass(frozen=True, slots=True)
class Update:
    """What came of `pull` or `rollback`."""

    bundle: str
    """Its name."""
    version: str
    """The one that is current now."""
    previous: str | None
    """The one that `rollback` goes back to; None where there is none."""
    changed: bool
    """Whether another version was current before."""
    verdict: str
    """Of `tinysight verify`, or what else is to say; one line."""
    key: str | None = None
    """Id of the trusted key that signed it; None where no signature was required."""


def pull(
    source: str,
    store: Path,
    *,
    keys: KeyPaths | None = None,
    force: bool = False,
    report: Report | None = None,
) -> Update:
    """Fetches a bundle, checks it, and makes it the store's current version.

    Checked are the signature, where keys are trusted, before anything else is fetched; every
    file's size and SHA-256; and, in a process of its own, that this device gives the golden
    answers. Whatever fails, the store stays as it was.

    Args:
        source: a folder, or the address of one, with bundle.json in it.
        store: the store's folder, which need not exist; one that holds anything else is refused.
        keys: files and folders of public keys, one of which must have signed the bundle; None
            takes those that this device trusts, if any.
        force: take it also when it was rolled back from here.
        report: told of progress.

    Raises:
        UpdateError: it cannot be fetched, was rolled back from, or does not verify; the store is
            damaged or no store, or another process works on it.
        BundleError: it is damaged, or no trusted key has signed it (SignatureError).
        OSError: the store cannot be written.
        MissingExtraError: a signature is required, and cryptography is not installed.
    """
    origin = open_source(source)
    _refuse_other_folder(store)
    trusted = keys if keys is not None else trusted_key_paths()
    if trusted is None and not origin.private:
        raise UpdateError(
            f"{source}: anybody on the way can change what comes over http: use https, or sign the "
            "bundle and name the trusted keys"
        )
    description = origin.read("bundle.json", MAX_DESCRIPTION_BYTES)
    if description is None:
        raise UpdateError(f"{source}: there is no bundle.json")
    fetched = _Fetched(origin, description, origin.read(SIGNATURE, MAX_SIGNATURE_BYTES))
    with _locked(store):
        before = read_current(store) if is_store(store) else None
        if before is not None and before.rejected == fetched.version and not force:
            raise UpdateError(
                f"{source}: this version was rolled back from here: publish another, or --force it"
            )
        return _install(fetched, store, before, trusted, report)


def rollback(store: Path) -> Update:
    """Makes the previous version current again, and remembers not to pull the present one.

    Raises:
        UpdateError: there is no previous version, or another process works on the store.
        BundleError: the previous version is damaged, or no longer signed by a trusted key.
        OSError: the store cannot be written.
    """
    read_current(store)  # a folder that is no store is left alone
    with _locked(store):
        now = read_current(store)
        if now.previous is None:
            raise UpdateError(f"{store}: no version before the current one is kept")
        bundle = load_bundle(version_folder(store, now.previous))
        for artifact in bundle.artifacts:
            bundle.read(artifact)
        write_current(store, Current(now.previous, None, now.version))
    return Update(bundle.name, now.previous, None, True, f"{now.version} is not pulled again")


def _switched(before: Current | None, version: str) -> Current:
    """current.json after going over to a version."""
    if before is None:
        return Current(version)
    if before.version == version:
        return before
    rejected = None if before.rejected == version else before.rejected
    return Current(version, before.version, rejected)


class _Fetched(NamedTuple):
    """The beginning of an update: what decides whether the rest is fetched."""

    origin: Source
    description: bytes
    """bundle.json."""
    signature: bytes | None
    """signature.json."""

    @property
    def version(self) -> str:
        return version_id(self.description, self.signature)


def _install(
    update: _Fetched,
    store: Path,
    before: Current | None,
    trusted: KeyPaths | None,
    report: Report | None,
) -> Update:
    """Puts a version into the locked store, checks it, and goes over to it."""
    _remove_unfinished(store)
    folder = version_folder(store, update.version)
    known = before is not None and update.version in (before.version, before.previous)
    if known and _is_whole(folder, trusted):
        verdict = _verify(folder, trusted)
    else:
        with new_folder(folder, overwrite=True) as new:
            _fetch(update, new, trusted, report)
            verdict = _verify(new, trusted)
    name = load_bundle(folder, require_signature=False).name
    key = None if trusted is None else check_signature(update.description, folder, trusted).key
    after = _switched(before, update.version)
    if after != before:
        write_current(store, after)
    _remove_others(store, after)
    return Update(name, after.version, after.previous, after != before, verdict, key)


def _fetch(update: _Fetched, folder: Path, trusted: KeyPaths | None, report: Report | None) -> None:
    """Writes a bundle into an empty folder: every file that bundle.json names, of exactly its size.

    The signature comes first: nothing that nobody vouches for is read any further.
    """
    (folder / "bundle.json").write_bytes(update.description)
    if update.signature is not None:
        (folder / SIGNATURE).write_bytes(update.signature)
    if trusted is not None:
        check_signature(update.description, folder, trusted)
    bundle = replace(parse_description(update.description, folder / "bundle.json"), folder=folder)
    sizes = {artifact.file: artifact.bytes for artifact in bundle.artifacts}
    if bundle.provenance is not None:
        sizes[PROVENANCE] = bundle.provenance.bytes
    total, done = sum(sizes.values()), 0
    if total > MAX_UPDATE_BYTES:
        raise UpdateError(f"{bundle.name}: {total:,} bytes, allowed are {MAX_UPDATE_BYTES:,}")
    free = shutil.disk_usage(folder).free
    if total > free:
        raise UpdateError(
            f"{bundle.name}: {total:,} bytes, and {free:,} are free at {folder.parent}"
        )
    for name, size in sizes.items():
        progress = (
            None if report is None else lambda n, before=done: report("pulling", before + n, total)
        )
        content = update.origin.read(name, size, progress)
        if content is None:
            raise UpdateError(f"{bundle.name}: the source has no {name}")
        (folder / name).write_bytes(content)
        done += size
    for artifact in bundle.artifacts:
        bundle.read(artifact)


def _verify(folder: Path, trusted: KeyPaths | None) -> str:
    """Whether a fetched version works here; in a process of its own, since an engine may crash."""
    required: KeyPaths | Literal[False] = False if trusted is None else trusted
    load_bundle(folder, require_signature=required)
    result = verify_isolated(folder, require_signature=required)
    if not result.ok:
        bad = [check.detail for check in result.checks if not check.ok]
        raise UpdateError(f"{result.verdict} ({(bad or [result.data.detail])[0]})")
    return result.verdict


def _is_whole(folder: Path, trusted: KeyPaths | None) -> bool:
    """Whether a version that is there already has all its bytes."""
    try:
        bundle = load_bundle(folder, require_signature=False if trusted is None else trusted)
        for artifact in bundle.artifacts:
            bundle.read(artifact)
    except BundleError:
        return False
    return True


def _refuse_other_folder(store: Path) -> None:
    """Raises UpdateError for a folder that is there and was not made by `pull`: nothing of it is
    touched. One whose first `pull` was killed is taken."""
    if is_store(store):
        read_current(store)  # another program may call a file current.json
        return
    if not store.is_dir():
        return
    versions = store / VERSIONS
    strange = [
        path
        for path in store.iterdir()
        if path.name not in {_LOCK, VERSIONS, *_OF_THE_SYSTEM}
        and not _UNFINISHED_CURRENT.fullmatch(path.name)
    ]
    if versions.is_dir():
        strange += [
            path
            for path in versions.iterdir()
            if not VERSION_ID.fullmatch(path.name) and not _UNFINISHED_VERSION.fullmatch(path.name)
        ]
    if strange:
        raise UpdateError(
            f"{store} is not a store of bundles: it holds {min(strange).relative_to(store)}; "
            "name an empty folder, or a new one"
        )


@contextlib.contextmanager
def _locked(store: Path) -> Iterator[None]:
    """One writer at a time; the lock ends with its process. Raises UpdateError."""
    store.mkdir(parents=True, exist_ok=True)
    handle = os.open(store / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UpdateError(f"{store}: another process is updating it") from None
        yield
    finally:
        os.close(handle)


def _remove_unfinished(store: Path) -> None:
    """Takes away what a process left that was killed. Others cannot be at work: see `_locked`."""
    for folder, names in ((store, _UNFINISHED_CURRENT), (store / VERSIONS, _UNFINISHED_VERSION)):
        for leftover in folder.glob(".*.*"):
            if not names.fullmatch(leftover.name):
                continue
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    leftover.unlink()


def _remove_others(store: Path, current: Current) -> None:
    """Keeps the current version and the previous one."""
    for folder in (store / VERSIONS).iterdir():
        kept = folder.name in (current.version, current.previous)
        if not kept and VERSION_ID.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
