"""`tinysight info`: what a bundle is, where it comes from, and what it achieved."""

import argparse
import json
from typing import Any

from tinysight.bundle import Artifact, load_bundle
from tinysight.cli.arguments import add_bundle
from tinysight.console import table
from tinysight.errors import printable
from tinysight.provenance import ArtifactChecks, read_provenance
from tinysight.records import to_json

_CARD = "card.md"
"""What `python -m benchmarks model-card` writes beside the artifacts."""


def add(commands: Any) -> None:
    command = commands.add_parser("info", description="Describes a bundle and its artifacts.")
    add_bundle(command)
    command.add_argument(
        "--json",
        action="store_true",
        help="print all of it, provenance included, as one JSON object",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    provenance = read_provenance(bundle)
    if args.json:
        content = {
            **to_json(bundle),
            "folder": str(bundle.folder),
            "provenance": to_json(provenance),
        }
        print(json.dumps(content, indent=2))
        return 0
    labels = ", ".join(bundle.labels[:12]) + (", …" if len(bundle.labels) > 12 else "")
    model, data = "unknown", "unknown"
    if provenance is not None:
        model = provenance.training.model
        data = f"{provenance.data.title}; {provenance.data.attribution}"
    facts = [
        ("bundle", f"{bundle.name}  ({bundle.folder})"),
        ("labels", f"{len(bundle.labels)}: {labels}"),
        ("input", f"uint8 RGB, {bundle.height} x {bundle.width}, resized by {bundle.resample}"),
        ("model", model),
        ("data", data),
    ]
    if bundle.folder is not None and (bundle.folder / _CARD).is_file():
        facts.append(("card", f"{bundle.folder / _CARD}  (where it fails, how to make it again)"))
    for name, value in facts:
        print(f"{name:<7} {printable(value)}")
    header = ("artifact", "KB", "test accuracy (95 % interval)", "same top-1 as trained")
    checks = {} if provenance is None else provenance.artifacts
    rows = [
        _row(artifact, checks.get(artifact.name), artifact.name == bundle.default)
        for artifact in bundle.artifacts
    ]
    print("\n" + table(header, rows))
    print("\n* the default")
    return 0


def _row(
    artifact: Artifact, checks: ArtifactChecks | None, default: bool
) -> tuple[str, str, str, str]:
    return (
        artifact.name + (" *" if default else ""),
        f"{artifact.bytes / 1000:.1f}",
        "not measured" if artifact.accuracy is None else str(artifact.accuracy),
        "not measured" if checks is None else f"{checks.test.top1_agreement:.2%}",
    )
