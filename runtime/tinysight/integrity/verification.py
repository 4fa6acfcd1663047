"""Whether a bundle is whole, and whether this device answers as the workstation did."""

from dataclasses import dataclass

from tinysight.bundle import Artifact, Bundle
from tinysight.engines.registry import engine_of, installed, open_engine
from tinysight.errors import BundleError, MissingExtraError
from tinysight.integrity import data_split, golden
from tinysight.provenance import read_provenance


@dataclass(frozen=True, slots=True)
class Check:
    """The verdict on one artifact."""

    artifact: str
    ok: bool
    detail: str
    inputs: int = 0
    """Golden inputs that were run here; 0 where no engine here runs the artifact."""
    same_top1: int = 0
    """Of them, those on which this device and the workstation name the same class first."""


@dataclass(frozen=True, slots=True)
class DataCheck:
    """The verdict on what a bundle says of the data."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """All verdicts on a bundle: what `tinysight verify --json` prints."""

    bundle: str
    """Its name."""
    ok: bool
    verdict: str
    """One line for people."""
    checks: tuple[Check, ...]
    """By artifact."""
    data: DataCheck


def verify(bundle: Bundle) -> Verification:
    """Checks every artifact of a bundle, and its record of the data.

    Raises BundleError where provenance.json is damaged.
    """
    data = _check_data(bundle)
    checks = tuple(_check_artifact(bundle, artifact) for artifact in bundle.artifacts)
    good = data.ok and all(check.ok for check in checks)
    return Verification(bundle.name, good, _verdict(bundle, checks, good=good), checks, data)


def _check_artifact(bundle: Bundle, artifact: Artifact) -> Check:
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
        found = golden.compare(run, artifact.golden, bundle)
    except (BundleError, MissingExtraError) as error:
        return Check(artifact.name, False, str(error))
    detail = (
        f"golden answers differ by {found.max_relative_error:.2g} of the logits' spread, allowed "
        f"{found.tolerance:.2g}; same top-1 on {found.same_top1} of {found.inputs}"
    )
    if found.clear_top1_changes:
        detail += f", {found.clear_top1_changes} of the others with a clear lead"
    return Check(artifact.name, found.ok, detail, found.inputs, found.same_top1)


def _check_data(bundle: Bundle) -> DataCheck:
    """Whether the bundle proves that training, validation and test images are different ones."""
    provenance = read_provenance(bundle)
    splits = None if provenance is None else provenance.data.splits
    if splits is None:
        return DataCheck(True, "no record of which images served for what")
    try:
        data_split.verify_split(splits)
    except data_split.SplitError as error:
        return DataCheck(False, str(error))
    return DataCheck(
        True,
        f"{splits.train.n:,} training, {splits.val.n:,} validation and {splits.test.n:,} test "
        f"images are different ones, and all {splits.calibration.n:,} for calibration are training "
        "images",
    )


def _verdict(bundle: Bundle, checks: tuple[Check, ...], *, good: bool) -> str:
    if not good:
        return f"{bundle.name} must not be used on this device: copy or export it anew"
    asked = [check for check in checks if check.inputs]
    if not asked:
        return f"{bundle.name} is whole; no golden answers were kept to compare this device with"
    same, inputs = sum(check.same_top1 for check in asked), sum(check.inputs for check in asked)
    return (
        f"{bundle.name} is whole, and this device answers as the workstation did: within "
        f"tolerance on all {inputs} golden answers, the same class first on {same}"
    )
