"""`tinysight keygen`: a key pair to sign bundles with."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.signing.keys import write_key_pair


def add(commands: Any) -> None:
    command = commands.add_parser(
        "keygen",
        description="Makes an Ed25519 key pair in PEM files: NAME.key, which signs and stays on "
        "the workstation (it is not encrypted; its owner alone can read it), and NAME.pub, which "
        "goes to the devices. No file is overwritten.",
        epilog="needs cryptography: pip install 'tinysight[sign]'",
    )
    command.add_argument("name", metavar="NAME", help="path of the files, without their ending")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    private, public, key = write_key_pair(Path(args.name))
    print(f"key {key.id}: {private} signs, keep it secret; {public} goes to the devices")
    return 0
