"""`tinysight sign`: vouch for a bundle."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tinysight.bundle import load_bundle
from tinysight.console import fail, positive
from tinysight.integrity.verification import verify
from tinysight.signing.signature import SIGNATURE, describe, sign_bundle

MAX_DAYS = 36_500


def add(commands: Any) -> None:
    command = commands.add_parser(
        "sign",
        description="Verifies a bundle as `tinysight verify` does, and writes signature.json into "
        "its folder: an Ed25519 signature over bundle.json, which holds the SHA-256 of every other "
        "file. Signatures of other keys over the same bundle.json stay.",
        epilog="needs cryptography: pip install 'tinysight[sign]'",
    )
    command.add_argument("--bundle", required=True, metavar="FOLDER", help="bundle folder")
    command.add_argument(
        "--key",
        required=True,
        metavar="PRIVATE",
        help="private key file: the NAME.key of `tinysight keygen`",
    )
    command.add_argument(
        "--expires-days",
        type=_days,
        metavar="DAYS",
        help=f"days from now until the signature expires, 1 to {MAX_DAYS}; devices that require "
        "signatures refuse the bundle from then on (default: never)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle, require_signature=False)
    result = verify(bundle)
    if not result.ok:
        return fail("tinysight", f"not signed: {result.verdict}")
    assert bundle.folder is not None
    days = args.expires_days
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    signature = sign_bundle(bundle.folder, Path(args.key), expires)
    print(f"{bundle.folder / SIGNATURE}: {bundle.name} {describe(signature)}")
    return 0


def _days(text: str) -> int:
    value = positive(text)
    if value > MAX_DAYS:
        raise argparse.ArgumentTypeError(f"must be at most {MAX_DAYS}")
    return value
