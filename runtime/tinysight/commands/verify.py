"""`tinysight verify`: is the bundle whole, and does this device answer as the workstation did?"""

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.errors import BundleError
from tinysight.measure import golden_difference
from tinysight.session import Session


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on one artifact."""

    artifact: str
    ok: bool
    detail: str


def add(commands: Any) -> None:
    command = commands.add_parser(
        "verify",
        help="check a bundle on this device",
        description="Checks every file's size and SHA-256, that each ONNX artifact loads and takes "
        "and gives what it should, and that this device gives the golden answers that the "
        "workstation recorded. Exit code 1 when anything is wrong.",
    )
    command.add_argument("bundle", nargs="?", help="its folder (default: CIFAR-10, shipped)")
    command.add_argument("--json", action="store_true", help="the verdicts as JSON")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    checks = [check(bundle, artifact) for artifact in bundle.artifacts]
    good = all(verdict.ok for verdict in checks)
    if args.json:
        print(
            json.dumps({"bundle": bundle.name, "ok": good, "checks": [asdict(c) for c in checks]})
        )
        return 0 if good else 1
    for verdict in checks:
        print(f"{'ok  ' if verdict.ok else 'FAIL'}  {verdict.artifact}: {verdict.detail}")
    if good:
        print(f"{bundle.name} is whole, and this device answers as the workstation did")
    else:
        print(f"{bundle.name} must not be used on this device: copy or export it anew")
    return 0 if good else 1


def check(bundle: Bundle, artifact: Artifact) -> Check:
    """Whether one artifact is whole and answers here as it did where it was made."""
    try:
        if artifact.format != "onnx":
            bundle.read(artifact)
            return Check(
                artifact.name, True, "size and SHA-256 agree (this runtime does not run it)"
            )
        distance = golden_difference(bundle, artifact, Session.open(bundle, artifact))
        if distance is None or artifact.golden is None:
            return Check(
                artifact.name, True, "size, SHA-256 and shapes agree; no golden answers kept"
            )
        allowed = float(artifact.golden["tolerance"])
    except BundleError as error:
        return Check(artifact.name, False, str(error))
    except (KeyError, TypeError, ValueError, OverflowError):
        return Check(artifact.name, False, "its golden answers in bundle.json are malformed")
    detail = f"golden answers differ by {distance:.2g} of the logits' spread, allowed {allowed:.2g}"
    return Check(artifact.name, distance <= allowed, detail)
