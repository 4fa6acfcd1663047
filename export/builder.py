"""Builds a bundle from a finished run: evaluates candidates, makes artifacts, and writes them."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.candidates import Plan, evaluate_candidates
from export.converter import Candidate, Converter
from export.errors import ExportError
from export.evaluator import Evaluator
from export.golden_rectangles import paint_for
from export.mcu.memory import measure_memory
from export.recipes import FORMATS, RECIPES, Arithmetic, Format
from export.search.accuracy_budget import CHEAPEST_FIRST, INTEGER, Trial
from export.settings import ArtifactSettings
from export.source import open_source
from export.target import check_target
from export.validation.artifact_checks import LAYER_IMAGES, ArtifactChecker
from export.validation.provenance import data_record, training_record
from tinysight.bundle import MAX_DESCRIPTION_BYTES, Artifact, Bundle, load_bundle
from tinysight.files import new_folder, sole_writer_beside
from tinysight.integrity import golden
from tinysight.preprocess import Pixels
from tinysight.provenance import (
    ArtifactChecks,
    ExportRecord,
    Parity,
    Provenance,
    read_provenance,
    write_description,
)
from tinysight.records import to_json
from training.calibration import Confidence, fit_confidence
from training.data import Dataset
from training.disk_errors import clear_disk_errors
from training.models.macs import multiply_accumulates
from training.progress import ProgressCallback
from training.run_folder import Run
from training.tf_keras_setup import keras

_BATCH = 64
"""Images of which the trained model computes the logits at once."""
_LOGIT_BYTES = len("-1.234567e-05, ")
"""Of one golden logit in bundle.json, at most: `tinysight.integrity.golden.record` rounds it."""
_DESCRIPTION_BYTES = 1 << 16
"""Of bundle.json without labels and golden logits: 29 KB of rectangles, 1 KB an artifact."""
_PACKAGES = ("tinysight", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What is to be exported, and how."""

    name: str = ""
    """Of the bundle; empty takes that of its folder."""
    recipes: tuple[str, ...] = ()
    """Names in `export.recipes.RECIPES`; none takes the default ones."""
    formats: tuple[Format, ...] = FORMATS
    finetune_epochs: float | None = None
    """Passes over the training images for the recipes that fine-tune; None takes their own."""
    max_accuracy_drop: float | None = None
    """Writes, of each format, only the cheapest artifact that loses no more accuracy than this, as
    a fraction of the validation images: see `export.search.accuracy_budget`. The named recipes are
    what it chooses from, and float32 in any case. None writes every recipe within its tolerance."""
    overwrite: bool = False
    """Whether a bundle that exists is replaced."""

    def __post_init__(self) -> None:
        if "onnx" not in self.formats:
            raise ValueError("a bundle needs an ONNX artifact, its default: name onnx too")
        if self.max_accuracy_drop is not None and "mixed_measured" in self.recipes:
            raise ValueError(
                "mixed_measured is chosen by its speed, and cannot be bound by a largest loss of "
                "accuracy: leave out one of them"
            )


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
    """An accepted candidate and what the bundle says of it."""

    candidate: Candidate
    artifact: Artifact
    checks: ArtifactChecks
    """Without its confidence, which needs the default artifact's temperature."""


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
        BusyError: another process is exporting to `out`.
        ExportError: the data is not what the run was trained on, `out` exists, the model cannot
            be converted, a device would refuse it, no bundle can have that name or so many
            classes, or no ONNX artifact was accepted.
        TinysightError: the disk is full.
    """
    with (
        sole_writer_beside(out),
        clear_disk_errors(out, "nothing was changed; free some and try again"),
    ):
        check_target(out, overwrite=options.overwrite, mark="bundle.json", kind="a bundle")
        return _build(run, dataset, out, options, count)


def _build(
    run: Run, dataset: Dataset, out: Path, options: ExportOptions, count: ProgressCallback
) -> list[CandidateReport]:
    source = open_source(run, dataset)
    golden_inputs = golden_count(options, dataset.labels, source.shape)
    data = data_record(dataset, source.splits, source.calibration)  # first: it refuses leaks
    model = keras.models.load_model(run.model_file)
    converter = Converter(source, finetune_epochs=options.finetune_epochs, count=count)
    evaluator = Evaluator(source, model, count)

    plan = Plan(options.recipes, options.formats, options.max_accuracy_drop)
    trials = list(evaluate_candidates(plan, converter, evaluator))
    reports = [_report(trial, options, evaluator) for trial in trials]
    _require_onnx(reports, trials)

    checker = ArtifactChecker(source.images(source.calibration[:LAYER_IMAGES]), converter.convert)
    accepted = [trial for trial in trials if trial.rejection_reason is None]
    rectangles = paint_for(_logits_of(model), source.shape, len(dataset.labels), count)
    inputs = golden.painted(golden.noise(*source.shape, golden_inputs), rectangles)
    made = [_make(trial, inputs, checker, evaluator) for trial in accepted]

    default = _default(made, evaluator)
    # Fitted to the logits of the default artifact itself, which are not quite those of Keras.
    confidence = fit_confidence(evaluator.logits(default, "val"), evaluator.targets("val"))
    bundle = Bundle(
        name=options.name,
        labels=dataset.labels,
        height=source.shape[0],
        width=source.shape[1],
        artifacts=tuple(one.artifact for one in made),
        default=default.name,
        temperature=confidence.temperature,
        abstention=confidence.abstention,
        golden_rectangles=rectangles,
    )
    provenance = Provenance(
        data=data,
        training=training_record(run, multiply_accumulates(model)),
        export=_export_record(options),
        artifacts={one.artifact.name: _with_confidence(one, confidence, evaluator) for one in made},
        curve=confidence.curve,
    )
    _write(bundle, provenance, made, out, overwrite=options.overwrite)
    return reports


def golden_count(options: ExportOptions, labels: tuple[str, ...], shape: tuple[int, int]) -> int:
    """How many golden inputs the artifacts answer: fewer where bundle.json could not hold all.

    Before anything is converted, for what no bundle may say would else be found out at its end.

    Raises ExportError.
    """
    blank = Artifact("float32", "onnx", "float32.onnx", sha256="0" * 64, bytes=1)
    try:
        empty = Bundle(options.name, labels, *shape, artifacts=(blank,), default=blank.name)
    except ValueError as error:
        raise ExportError(f"no bundle can be made of this run: {error}") from None
    artifacts = len(options.formats)  # within a bound on the loss: one of each
    if options.max_accuracy_drop is None:
        wanted = set(options.formats)
        artifacts = sum(len(wanted.intersection(RECIPES[name].formats)) for name in options.recipes)
    room = MAX_DESCRIPTION_BYTES - len(empty.as_text().encode()) - _DESCRIPTION_BYTES
    count = room // (max(artifacts, 1) * len(labels) * _LOGIT_BYTES)
    if count < 1:
        raise ExportError(
            f"bundle.json cannot hold {len(labels):,} classes and what {artifacts} artifacts "
            "answer: name fewer --recipes or --formats"
        )
    return min(golden.COUNT, count)


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


def _make(
    trial: Trial, golden_inputs: Pixels, checker: ArtifactChecker, evaluator: Evaluator
) -> _Made:
    artifact = make_artifact(trial.candidate, golden_inputs, evaluator)
    return _Made(trial.candidate, artifact, _checks(trial, checker, evaluator))


def make_artifact(candidate: Candidate, golden_inputs: Pixels, evaluator: Evaluator) -> Artifact:
    """What a device must know of an accepted candidate."""
    recipe, content = candidate.recipe, candidate.content
    engine = evaluator.open_engine(candidate)
    # One input at a time, as a device checks them: kernels may differ between batch sizes.
    logits = np.concatenate([engine.run(image[None]) for image in golden_inputs])
    return Artifact(
        recipe=recipe.name,
        format=candidate.format,
        file=f"{recipe.name}.{candidate.format}",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        accuracy=evaluator.parity(candidate, "test").accuracy,
        golden=golden.record(logits, recipe.tolerance.golden),
        microcontroller=measure_memory(content) if candidate.format == "tflite" else None,
    )


def _checks(trial: Trial, checker: ArtifactChecker, evaluator: Evaluator) -> ArtifactChecks:
    candidate = trial.candidate
    settings = to_json(candidate.settings)
    return ArtifactChecks(
        validation=trial.validation,
        test=evaluator.parity(candidate, "test"),
        layers=checker.compare_layers(candidate),
        int16_saturation=checker.emulate_saturation(candidate),
        settings={**settings, "compressed_bytes": candidate.compressed_bytes},
    )


def _with_confidence(made: _Made, confidence: Confidence, evaluator: Evaluator) -> ArtifactChecks:
    logits, targets = evaluator.logits(made.candidate, "test"), evaluator.targets("test")
    return dataclasses.replace(made.checks, confidence=confidence.evaluate(logits, targets))


def _logits_of(model: Any) -> Callable[[Pixels], NDArray[np.float32]]:
    """A Keras model as a function of uint8 images."""

    def logits(images: Pixels) -> NDArray[np.float32]:
        # In parts, since the activations of hundreds of large images would fill the memory.
        starts = range(0, len(images), _BATCH)
        parts = [images[start : start + _BATCH].astype(np.float32) / 255 for start in starts]
        return np.concatenate([model.predict_on_batch(part) for part in parts])

    return logits


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


def _default(made: Sequence[_Made], evaluator: Evaluator) -> Candidate:
    possible = {one.candidate.name: one.candidate for one in made if one.artifact.format == "onnx"}
    name = default_artifact(
        [
            (name, one.recipe.arithmetic, evaluator.parity(one, "val").accuracy.value)
            for name, one in possible.items()
        ]
    )
    return possible[name]


def _export_record(options: ExportOptions) -> ExportRecord:
    return ExportRecord(
        recipes=options.recipes,
        formats=options.formats,
        max_accuracy_drop=options.max_accuracy_drop,
        versions={package: version(package) for package in _PACKAGES},
    )


def _write(
    bundle: Bundle, provenance: Provenance, made: Sequence[_Made], out: Path, *, overwrite: bool
) -> None:
    with new_folder(out, overwrite=overwrite) as folder:
        for one in made:
            (folder / one.artifact.file).write_bytes(one.candidate.content)
        write_description(folder, bundle, provenance)
        read_provenance(
            load_bundle(folder, require_signature=False)
        )  # what takes its place must be what others read
