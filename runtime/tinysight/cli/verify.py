"""`tinysight verify`: is the bundle whole, and does this device answer as the workstation did?"""

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.cli.arguments import add_bundle
from tinysight.engines.registry import engine_of, installed, open_engine
from tinysight.errors import BundleError, MissingExtraError
from tinysight.integrity import data_split, golden
from tinysight.provenance import read_provenance


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on one artifact, or on what bundle.json says of the data."""

    artifact: str
    ok: bool
    detail: str
    inputs: int = 0
    """Golden inputs that were run here; 0 where no engine here runs the artifact."""
    same_top1: int = 0
    """Of them, those on which this device and the workstation name the same class first."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "verify",
        description="Checks every file's size and SHA-256, that each artifact loads in its engine "
        "and takes and gives what it should, that this device gives the golden answers which the "
        "workstation recorded, and that no image was trained on and tested on. Exit code 1 when "
        "anything is wrong.",
    )
    add_bundle(command)
    command.add_argument(
        "--json",
        action="store_true",
        help="print the verdicts as one JSON object",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    checks = [check(bundle, artifact) for artifact in bundle.artifacts]
    data = check_data(bundle)
    good = all(verdict.ok for verdict in [*checks, data])
    verdict = _verdict(bundle, checks, good)
    if args.json:
        content = {
            "bundle": bundle.name,
            "ok": good,
            "verdict": verdict,
            "checks": [asdict(c) for c in checks],
            "data": {"ok": data.ok, "detail": data.detail},
        }
        print(json.dumps(content))
        return 0 if good else 1
    for line in [*checks, data]:
        print(f"{'ok  ' if line.ok else 'FAIL'}  {line.artifact}: {line.detail}")
    print(verdict)
    return 0 if good else 1


def check(bundle: Bundle, artifact: Artifact) -> Check:
    """Whether one artifact is whole and answers here as it did where it was made."""
    try:
        bundle.read(artifact)
        engine = engine_of(artifact)
        if not installed(engine):
            return Check(artifact.name, True, f"size and SHA-256 agree; {engine} is not installed")
        run = open_engine(bundle, artifact).run
        if artifact.golden is None:
            return Check(
                artifact.name, True, "size, SHA-256 and shapes agree; no golden answers kept"
            )
        found = golden.compare(run, artifact.golden, bundle.shape)
    except (BundleError, MissingExtraError) as error:
        return Check(artifact.name, False, str(error))
    detail = (
        f"golden answers differ by {found.max_relative_error:.2g} of the logits' spread, allowed "
        f"{found.tolerance:.2g}; same top-1 on {found.same_top1} of {found.inputs}"
    )
    return Check(artifact.name, found.ok, detail, found.inputs, found.same_top1)


def check_data(bundle: Bundle) -> Check:
    """Whether bundle.json proves that training, validation and test images are different ones."""
    provenance = read_provenance(bundle)
    splits = None if provenance is None else provenance.data.splits
    if splits is None:
        return Check("data", True, "no record of which images served for what")
    try:
        data_split.verify_split(splits)
    except data_split.SplitError as error:
        return Check("data", False, str(error))
    return Check(
        "data",
        True,
        f"{splits.train.n:,} training, {splits.val.n:,} validation and {splits.test.n:,} test "
        f"images are different ones, and all {splits.calibration.n:,} for calibration are training "
        "images",
    )


def _verdict(bundle: Bundle, checks: list[Check], good: bool) -> str:
    if not good:
        return f"{bundle.name} must not be used on this device: copy or export it anew"
    asked = [verdict for verdict in checks if verdict.inputs]
    if not asked:
        return f"{bundle.name} is whole; no golden answers were kept to compare this device with"
    same, inputs = sum(c.same_top1 for c in asked), sum(c.inputs for c in asked)
    return (
        f"{bundle.name} is whole, and this device answers as the workstation did: within "
        f"tolerance on all {inputs} golden answers, the same class first on {same}"
    )
