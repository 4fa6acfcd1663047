"""Builds a bundle from a finished run: evaluates candidates, makes artifacts, and writes them."""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from export.candidates import Plan, evaluate_candidates
from export.converter import Candidate, Converter
from export.evaluator import Evaluator
from export.passes import ExportError
from export.recipes import FORMATS, Arithmetic, Format
from export.run_records import abstention_record, confidence_record, training_record
from export.search.accuracy_budget import CHEAPEST_FIRST, INTEGER, Trial
from export.settings import ArtifactSettings
from export.source import ExportSource, open_source
from export.validation.artifact_checks import LAYER_IMAGES, ArtifactChecker
from export.validation.provenance import data_record
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.bundle_records import DataRecord, ExportRecord, Parity
from tinysight.engines.registry import Engine
from tinysight.files import new_folder
from tinysight.integrity import golden
from tinysight.records import to_json
from training.calibration import Confidence
from training.data import Dataset
from training.models.macs import multiply_accumulates
from training.progress import ProgressCallback
from training.run_folder import Run
from training.tf_keras_setup import keras

_PACKAGES = ("tinysight", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is to be exported, and how."""

    name: str
    """Of the bundle."""
    recipes: tuple[str, ...]
    """Names in `export.recipes.RECIPES`."""
    formats: tuple[Format, ...] = FORMATS
    finetune_epochs: float | None = None
    """Passes over the training images for the recipes that fine-tune; None takes their own."""
    max_accuracy_drop: float | None = None
    """Writes, of each format, only the cheapest artifact that loses no more accuracy than this, as
    a fraction of the validation images: see `export.search.accuracy_budget`. The named recipes are
    what it chooses from, and float32 in any case. None writes every recipe within its tolerance."""
    overwrite: bool = False
    """Whether a bundle that exists is replaced."""


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """What became of one candidate."""

    name: str
    bytes: int
    compressed_bytes: int
    """After gzip -9."""
    accuracy_drop: float
    """Lost accuracy, as a fraction of the validation images; negative where it gained."""
    validation: Parity
    test: Parity | None
    """None for a candidate that a search rejected: test images choose nothing."""
    settings: ArtifactSettings
    rejection_reason: str | None
    """Why it was not written; None where it was."""


@dataclass(frozen=True, slots=True)
class _Made:
    """An accepted candidate and its description."""

    candidate: Candidate
    artifact: Artifact


def build(
    run: Run,
    dataset: Dataset,
    out: Path,
    options: ExportOptions,
    count: ProgressCallback = lambda what, done, total: None,  # noqa: ARG005
) -> list[CandidateReport]:
    """Exports a run by every recipe in every format that has it, and writes the bundle `out`.

    Each artifact is compared with the trained model on the validation images, which decide
    whether it is written, and on the test images, which are only reported.

    Raises:
        ExportError: the data is not what the run was trained on, `out` exists, the model cannot
            be converted, or no ONNX artifact was accepted.
    """
    _check_target(out, options)
    source = open_source(run, dataset)
    data = data_record(dataset, source.splits, source.calibration)  # first: it refuses leaks
    model = keras.models.load_model(run.model_file)
    converter = Converter(source, finetune_epochs=options.finetune_epochs, count=count)
    evaluator = Evaluator(source, model, count)

    plan = Plan(options.recipes, options.formats, options.max_accuracy_drop)
    trials = list(evaluate_candidates(plan, converter, evaluator))
    reports = [_report(trial, options, evaluator) for trial in trials]
    _require_onnx(reports, trials)

    images = source.images(source.calibration[:LAYER_IMAGES])
    checker = ArtifactChecker(images, converter.convert)
    made = [
        _Made(trial.candidate, make_artifact(trial, source, checker, evaluator))
        for trial in trials
        if trial.rejection_reason is None
    ]

    bundle = _bundle(source, options, data, made, evaluator, multiply_accumulates(model))
    _write(bundle, made, out, overwrite=options.overwrite)
    return reports


def _check_target(out: Path, options: ExportOptions) -> None:
    if out.exists() and not options.overwrite:
        raise ExportError(f"{out} exists: --overwrite replaces it")
    if out.exists() and not (out / "bundle.json").is_file():
        raise ExportError(f"{out} is not a bundle; it is not replaced")


def _report(trial: Trial, options: ExportOptions, evaluator: Evaluator) -> CandidateReport:
    candidate = trial.candidate
    tested = trial.rejection_reason is None or options.max_accuracy_drop is None
    return CandidateReport(
        name=candidate.name,
        bytes=len(candidate.content),
        compressed_bytes=candidate.compressed_bytes,
        accuracy_drop=evaluator.reference.accuracy.value - trial.validation.accuracy.value,
        validation=trial.validation,
        test=evaluator.parity(candidate, "test") if tested else None,
        settings=candidate.settings,
        rejection_reason=trial.rejection_reason,
    )


def _require_onnx(reports: Sequence[CandidateReport], trials: Sequence[Trial]) -> None:
    """The default artifact is an ONNX one. Raises ExportError where none was accepted."""
    if any(t.candidate.format == "onnx" and t.rejection_reason is None for t in trials):
        return
    reasons = [f"{r.name}: {r.rejection_reason}" for r in reports if r.rejection_reason]
    raise ExportError(
        "no ONNX artifact is near enough to the trained model: "
        + ("; ".join(reasons) or "none was asked for")
    )


def make_artifact(
    trial: Trial, source: ExportSource, checker: ArtifactChecker, evaluator: Evaluator
) -> Artifact:
    """The description of an accepted candidate, without its confidence."""
    candidate = trial.candidate
    recipe, content = candidate.recipe, candidate.content
    test = evaluator.parity(candidate, "test")
    settings = to_json(candidate.settings)
    return Artifact(
        recipe=recipe.name,
        format=candidate.format,
        file=f"{recipe.name}.{candidate.format}",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        accuracy=test.accuracy,
        checks=checker.check(candidate, trial.validation, test),
        golden=golden.record(
            _golden_logits(evaluator.open_engine(candidate), source.shape), recipe.tolerance.golden
        ),
        settings={**settings, "compressed_bytes": candidate.compressed_bytes},
    )


def _golden_logits(engine: Engine, shape: tuple[int, int]) -> np.ndarray:
    """One input at a time, as a device checks them: kernels may differ between batch sizes."""
    return np.concatenate([engine.run(image[None]) for image in golden.inputs(*shape)])


def default_artifact(accuracies: Sequence[tuple[str, Arithmetic, float]]) -> str:
    """The ONNX artifact that a device runs unless told otherwise: the fastest kind's most accurate.

    Who exports an int8 model next to the float32 one means to ship it.

    Args:
        accuracies: name, arithmetic and validation accuracy of each ONNX artifact.
    """

    def rank(entry: tuple[str, Arithmetic, float]) -> tuple[int, float]:
        _, arithmetic, accuracy = entry
        if arithmetic == "mixed_measured":
            return -1, 0.0  # it was measured to be the fastest
        kind = 0 if arithmetic in INTEGER else CHEAPEST_FIRST.index(arithmetic)
        return kind, -accuracy

    return min(accuracies, key=rank)[0]


def _bundle(
    source: ExportSource,
    options: ExportOptions,
    data: DataRecord,
    made: Sequence[_Made],
    evaluator: Evaluator,
    macs: int,
) -> Bundle:
    """The description of all artifacts, with the confidence of the default one."""
    by_name = {one.artifact.name: one.candidate for one in made}
    default = default_artifact(
        [
            (name, one.recipe.arithmetic, evaluator.parity(one, "val").accuracy.value)
            for name, one in by_name.items()
            if one.format == "onnx"
        ]
    )
    # Fitted to the logits of the default artifact itself, which are not quite those of Keras.
    confidence = Confidence.fit(evaluator.logits(by_name[default], "val"), evaluator.targets("val"))
    artifacts = [
        dataclasses.replace(
            one.artifact,
            confidence=confidence_record(
                confidence, evaluator.logits(one.candidate, "test"), evaluator.targets("test")
            ),
        )
        for one in made
    ]
    height, width = source.shape
    return Bundle(
        name=options.name,
        labels=source.dataset.labels,
        height=height,
        width=width,
        artifacts=tuple(artifacts),
        default=default,
        temperature=confidence.temperature,
        abstention=abstention_record(confidence),
        data=data,
        training=training_record(source.run, macs),
        export=ExportRecord(
            recipes=options.recipes,
            formats=options.formats,
            max_accuracy_drop=options.max_accuracy_drop,
            versions={package: version(package) for package in _PACKAGES},
        ),
    )


def _write(bundle: Bundle, made: Sequence[_Made], out: Path, *, overwrite: bool) -> None:
    with new_folder(out, overwrite=overwrite) as folder:
        for one in made:
            (folder / one.artifact.file).write_bytes(one.candidate.content)
        (folder / "bundle.json").write_text(bundle.as_text(), encoding="utf-8")
        load_bundle(folder)  # what takes its place must be what the runtime reads
