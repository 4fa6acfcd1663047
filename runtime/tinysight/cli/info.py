"""`tinysight info`: what a bundle is, where it comes from, and what it achieved."""

import argparse
import json
from typing import Any

from tinysight.bundle import Artifact, load_bundle
from tinysight.console import table
from tinysight.errors import BundleError

_CARD = "card.md"
"""What `python -m benchmarks card` writes beside the artifacts."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "info", help="describe a bundle", description="Describes a bundle and its artifacts."
    )
    command.add_argument(
        "bundle", nargs="?", help="its folder, or edge_m (default) or edge_s, which are shipped"
    )
    command.add_argument("--json", action="store_true", help="all of it, as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    if args.json:
        print(json.dumps({**bundle.as_json(), "folder": str(bundle.folder)}, indent=2))
        return 0
    labels = ", ".join(bundle.labels[:12]) + (", …" if len(bundle.labels) > 12 else "")
    facts = [
        ("bundle", f"{bundle.name}  ({bundle.folder})"),
        ("labels", f"{len(bundle.labels)}: {labels}"),
        ("input", f"uint8 RGB, {bundle.height} x {bundle.width}, resized {bundle.resample}"),
        ("model", bundle.training.get("model", "unknown")),
        ("data", f"{bundle.data.get('title', 'unknown')}; {bundle.data.get('attribution', '')}"),
    ]
    if bundle.folder is not None and (bundle.folder / _CARD).is_file():
        facts.append(("card", f"{bundle.folder / _CARD}  (where it fails, how to make it again)"))
    for name, value in facts:
        print(f"{name:<7} {value}")
    header = ("artifact", "KB", "test accuracy (95 % interval)", "same top-1 as trained")
    try:
        rows = [_row(artifact, artifact.name == bundle.default) for artifact in bundle.artifacts]
    except (AttributeError, LookupError, TypeError, ValueError):
        raise BundleError(f"{bundle.folder}: its accuracy or parity is malformed") from None
    print("\n" + table(header, rows))
    print("\n* the default")
    return 0


def _row(artifact: Artifact, default: bool) -> tuple[str, str, str, str]:
    accuracy, agreement = artifact.accuracy, artifact.parity.get("test", {}).get("top1_agreement")
    return (
        artifact.name + (" *" if default else ""),
        f"{artifact.bytes / 1000:.1f}",
        "not measured"
        if accuracy is None
        else "{:.2%} ({:.2%} to {:.2%}), n = {:,}".format(
            accuracy["value"], *accuracy["interval"], accuracy["n"]
        ),
        "not measured" if agreement is None else f"{agreement:.2%}",
    )
