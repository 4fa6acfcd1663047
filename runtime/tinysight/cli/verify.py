"""`tinysight verify`: is the bundle whole, and does this device answer as the workstation did?"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinysight.bundle import load_bundle
from tinysight.cli.arguments import add_bundle, add_keys
from tinysight.integrity.isolated import verify_isolated
from tinysight.integrity.verification import verify
from tinysight.records import to_json
from tinysight.signing.keys import trusted_key_paths
from tinysight.signing.signature import check_signature, describe, read_signatures


def add(commands: Any) -> None:
    command = commands.add_parser(
        "verify",
        description="Checks every file's size and SHA-256, that each artifact is a model of known "
        "operators which loads in its engine and takes and gives what it should, that this device "
        "gives the golden answers which the workstation recorded, and that no image was trained on "
        "and tested on. Exit code 1 when anything is wrong.",
    )
    add_bundle(command)
    add_keys(command)
    command.add_argument(
        "--isolated",
        action="store_true",
        help="verify in a process of its own, with limits on memory and time: for a bundle of "
        "unknown origin (default: in this process)",
    )
    command.add_argument(
        "--json",
        action="store_true",
        help="print the verdicts as one JSON object",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle, require_signature=args.key)  # reads no model
    assert bundle.folder is not None
    signature = _signature(bundle.folder, args.key)
    if args.isolated:
        result = verify_isolated(bundle.folder, require_signature=args.key)
    else:
        result = verify(bundle)
    if args.json:
        print(json.dumps({**to_json(result), "signature": to_json(signature)}))
        return 0 if result.ok else 1
    lines = [(check.ok, check.artifact, check.detail) for check in result.checks]
    lines.append((result.data.ok, "data", result.data.detail))
    lines.append((True, "signature", signature.detail))
    for ok, name, detail in lines:
        print(f"{'ok  ' if ok else 'FAIL'}  {name}: {detail}")
    print(result.verdict)
    return 0 if result.ok else 1


@dataclass(frozen=True, slots=True)
class SignatureCheck:
    """What is known of who made a bundle. One that is required and not valid ends the command."""

    required: bool
    """Whether keys are trusted here."""
    keys: tuple[str, ...]
    """Ids: of the trusted key that signed it; where none is required, of all that claim to have."""
    expires: str | None
    """When the trusted key's signature ends, in UTC; None for never."""
    detail: str


def _signature(folder: Path, named: Sequence[str] | None) -> SignatureCheck:
    trusted = named or trusted_key_paths()
    if trusted is not None:
        valid = check_signature((folder / "bundle.json").read_bytes(), folder, trusted)
        return SignatureCheck(True, (valid.key,), valid.expires, describe(valid))
    claimed = read_signatures(folder)
    if claimed is None:
        return SignatureCheck(False, (), None, "not signed, and none is required here")
    keys = tuple(one.key for one in claimed.signatures)
    detail = f"signed by {', '.join(keys)}; not checked: no key is trusted here, see --key"
    return SignatureCheck(False, keys, None, detail)
