"""Builds a bundle from a finished run: converts, checks every artifact, and writes what passed."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.converter import Candidate, Converter
from export.passes import ExportError
from export.recipes import FORMATS, RECIPES, Format, Recipe
from export.search import mixed_precision
from export.search.accuracy_budget import (
    CHEAPEST_FIRST,
    INTEGER,
    Trial,
    rank_layer_sensitivity,
    search_within_drop,
)
from export.validation.parity import Parity
from export.validation.provenance import LAYER_IMAGES, Layers, data_record, int16_saturation_record
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.device import info
from tinysight.engines.litert import LiteRTEngine
from tinysight.engines.ort import OnnxRuntimeEngine
from tinysight.engines.registry import Engine
from tinysight.files import new_folder
from tinysight.integrity import golden
from training.calibration import Confidence
from training.data import Dataset, Splits, split
from training.finalize import predict
from training.models.macs import multiply_accumulates
from training.progress import ProgressCallback
from training.recipes import Recipe as TrainingRecipe
from training.run_folder import Run
from training.tf_keras_setup import keras

CALIBRATION_IMAGES = 512
_BATCH = 100


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one artifact."""

    name: str
    size: int
    compressed: int
    """Bytes after gzip -9."""
    drop: float
    """Lost accuracy, as a fraction of the validation images; negative where it gained."""
    validation: Parity
    test: Parity | None
    """None for an artifact that a walk passed by: test images choose nothing."""
    settings: Mapping[str, Any]
    """Of the artifact: see `Candidate.settings`."""
    rejection_reason: str | None
    """Why it was not written; None where it was."""

    @property
    def float_layers(self) -> tuple[str, ...]:
        """The layers of a quantized artifact that were left in float32."""
        return tuple(self.settings.get("float_layers", ()))


def build(
    run: Run,
    dataset: Dataset,
    out: Path,
    *,
    name: str,
    recipes: Sequence[str],
    formats: Sequence[Format] = FORMATS,
    finetune_epochs: float | None = None,
    max_drop: float | None = None,
    overwrite: bool = False,
    count: ProgressCallback = lambda what, done, total: None,  # noqa: ARG005
) -> list[Report]:
    """Exports a run by every recipe in every format that has it, and writes the bundle `out`.

    Each artifact is compared with the trained model on the validation images, which decide
    whether it is written, and on the test images, which are only reported.

    Args:
        finetune_epochs: passes over the training images for the recipes that fine-tune, instead of
            their own.
        max_drop: writes, of each format, only the cheapest artifact that loses no more accuracy
            than this, as a fraction of the validation images: see `export.search.accuracy_budget`.
            The named recipes are what it chooses from, and float32 in any case.

    Raises:
        ExportError: the data is not what the run was trained on, `out` exists, the model cannot
            be converted, or no ONNX artifact passed.
    """
    if out.exists() and not overwrite:
        raise ExportError(f"{out} exists: --overwrite replaces it")
    if overwrite and out.exists() and not (out / "bundle.json").is_file():
        raise ExportError(f"{out} is not a bundle; it is not replaced")
    splits = _same_splits(run, dataset)
    calibration = calibration_indices(splits, run.record["recipe"]["seed"])
    data = data_record(dataset, splits, calibration)  # first: what it refuses need not be made
    model = keras.models.load_model(run.model_file)
    parts = {"val": splits.val, "test": splits.test, "calibration": calibration}
    trained = {
        part: predict(model, dataset.images, indices, count, f"answering {part}:")
        for part, indices in parts.items()
    }
    converter = Converter(
        run, dataset, splits, calibration, finetune_epochs=finetune_epochs, count=count
    )
    looked_at = np.asarray(dataset.images[calibration[:LAYER_IMAGES]])
    layers = Layers(looked_at, lambda recipe, format_: converter.convert(recipe, format_).content)
    check = _Check(dataset, parts, trained, count)
    chosen = [RECIPES[recipe] for recipe in recipes]
    artifacts: list[tuple[Artifact, bytes]] = []
    reports: list[Report] = []
    for trial in _tried(chosen, formats, converter, check, max_drop):
        candidate, parity = trial.candidate, {"val": trial.validation}
        if trial.rejection_reason is None or max_drop is None:
            parity["test"] = check.parity(candidate, "test")
        reports.append(
            Report(
                name=candidate.name,
                size=len(candidate.content),
                compressed=candidate.compressed,
                drop=check.reference.accuracy.value - trial.validation.accuracy.value,
                validation=trial.validation,
                test=parity.get("test"),
                settings=candidate.settings,
                rejection_reason=trial.rejection_reason,
            )
        )
        if trial.rejection_reason is None:
            engine = check.engine(candidate)
            recipe, content = candidate.recipe, candidate.content
            inside = {
                "layers": layers.record(recipe, candidate.format, content),
                "int16_saturation_record": int16_saturation_record(
                    recipe, candidate.format, content, looked_at
                ),
            }
            artifact = _artifact(recipe, candidate.format, content, parity, inside, engine, dataset)
            settings = {**candidate.settings, "compressed_bytes": candidate.compressed}
            artifacts.append((dataclasses.replace(artifact, settings=settings), content))
    onnx_artifacts = [artifact for artifact, _ in artifacts if artifact.format == "onnx"]
    if not onnx_artifacts:
        reasons = "; ".join(
            f"{r.name}: {r.rejection_reason}" for r in reports if r.rejection_reason
        )
        reasons = reasons or "none was asked for"
        raise ExportError(f"no ONNX artifact is near enough to the trained model: {reasons}")
    default = _default(onnx_artifacts)
    confidence = _confidence(default, artifacts, check)
    seen = {
        artifact.name: confidence.evaluate(*check.answers(content, "test"))
        for artifact, content in artifacts
    }
    bundle = Bundle(
        name=name,
        labels=dataset.labels,
        height=dataset.images.shape[1],
        width=dataset.images.shape[2],
        artifacts=tuple(
            dataclasses.replace(
                artifact, accuracy={**(artifact.accuracy or {}), "confidence": seen[artifact.name]}
            )
            for artifact, _ in artifacts
        ),
        default=default,
        temperature=confidence.temperature,
        abstain=confidence.abstention.as_json() if confidence.abstention else {},
        data=data,
        training={**_training(run), "macs": multiply_accumulates(model)},
        export={
            "recipes": list(recipes),
            "formats": list(formats),
            "max_drop": max_drop,
            "versions": {
                package: version(package)
                for package in ("tinysight", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
            },
        },
    )
    with new_folder(out, overwrite=overwrite) as folder:
        for artifact, content in artifacts:
            (folder / artifact.file).write_bytes(content)
        (folder / "bundle.json").write_text(bundle.as_text(), encoding="utf-8")
        load_bundle(folder)  # what takes its place must be what the runtime reads
    return reports


def _tried(
    recipes: Sequence[Recipe],
    formats: Sequence[Format],
    converter: Converter,
    check: "_Check",
    max_drop: float | None,
) -> Iterator[Trial]:
    """Every candidate that is made, with what the validation images say of it."""
    if max_drop is None:
        for recipe in recipes:
            for format_ in (known for known in formats if known in recipe.formats):
                if recipe.arithmetic == "mixed_measured":
                    candidate = _mixed(recipe, converter, check)
                else:
                    candidate = converter.convert(recipe, format_)
                parity = check.parity(candidate, "val")
                yield Trial(
                    candidate, parity, recipe.tolerance.rejection_reason(parity, check.reference)
                )
        return

    def harm(recipe: Recipe) -> list[str]:
        return rank_layer_sensitivity(
            recipe,
            converter.layers(),
            convert=converter.convert,
            error=check.error,
            count=partial(check.count, "looking for harmful layers:"),
        )

    for format_ in formats:
        yield from search_within_drop(
            [
                one
                for one in dict.fromkeys((*recipes, RECIPES["float32"]))
                if format_ in one.formats and one.arithmetic in CHEAPEST_FIRST
            ],
            format_,
            max_drop,
            convert=converter.convert,
            measure=lambda candidate: check.parity(candidate, "val"),
            harm=harm,
            reference=check.reference,
        )


def _mixed(recipe: Recipe, converter: Converter, check: "_Check") -> Candidate:
    """The graph that is quickest here, of those which keep the recipe's accuracy."""
    static, float32 = RECIPES["static_w8a8"], RECIPES["float32"]
    layers = converter.layers()

    def candidate(float_layers: Sequence[str]) -> Candidate:
        if len(float_layers) == len(layers):
            return converter.convert(float32, "onnx")
        return converter.convert(static, "onnx", float_layers)

    def rejection_reason(float_layers: Sequence[str]) -> str | None:
        parity = check.parity(candidate(float_layers), "val")
        return recipe.tolerance.rejection_reason(parity, check.reference)

    choice = mixed_precision.search(
        layers,
        open_graph=lambda float_layers: check.engine(candidate(float_layers)).run,
        rejection_reason=rejection_reason,
        image=check.image,
        progress=check.count,
    )
    chosen = candidate(choice.float_layers)
    settings = {
        **chosen.settings,
        **recipe.as_json(),
        "calibration": chosen.settings.get("calibration"),
        "float_layers": list(choice.float_layers),
        "search": [trial.as_json() for trial in choice.trials],
        "device": info.describe(),
    }
    return Candidate(recipe, "onnx", chosen.content, settings)


class _Check:
    """Compares candidates with the trained model."""

    def __init__(
        self,
        dataset: Dataset,
        parts: Mapping[str, NDArray[np.int64]],
        trained: Mapping[str, NDArray[np.float32]],
        count: ProgressCallback,
    ) -> None:
        """`parts` are the indices of some sets of images, `trained` the model's logits on them."""
        self._dataset, self._parts, self._trained, self.count = dataset, parts, trained, count
        self._answers: dict[tuple[bytes, str], NDArray[np.float32]] = {}
        self.reference = Parity.of(trained["val"], trained["val"], dataset.targets[parts["val"]])

    @property
    def image(self) -> NDArray[np.uint8]:
        """One training image, uint8 (1, h, w, 3), to time graphs on."""
        return np.asarray(self._dataset.images[self._parts["calibration"][:1]])

    def engine(self, candidate: Candidate) -> Engine:
        return _engine(candidate.format, candidate.content, self._dataset)

    def parity(self, candidate: Candidate, part: Literal["val", "test", "calibration"]) -> Parity:
        indices = self._parts[part]
        logits = _logits(
            self.engine(candidate),
            self._dataset,
            indices,
            partial(self.count, f"checking {candidate.name}:"),
        )
        self._answers[candidate.content, part] = logits
        return Parity.of(logits, self._trained[part], self._dataset.targets[indices])

    def answers(
        self, content: bytes, part: Literal["val", "test"]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The logits that a checked artifact gave, and the classes they should name."""
        return self._answers[content, part], self._dataset.targets[self._parts[part]]

    def error(self, candidate: Candidate) -> float:
        """The mean difference of a logit on the calibration images."""
        return self.parity(candidate, "calibration").mean_difference


def _default(artifacts: Sequence[Artifact]) -> str:
    """The artifact that a device runs unless told otherwise: the quickest kind, most accurate.

    Who exports an int8 model next to the float32 one means to ship it.
    """

    def rank(artifact: Artifact) -> tuple[int, float]:
        arithmetic = artifact.settings["arithmetic"]
        if arithmetic == "mixed_measured":
            return -1, 0.0  # it was found to be the quickest
        kind = 0 if arithmetic in INTEGER else CHEAPEST_FIRST.index(arithmetic)
        return kind, -artifact.parity["validation"]["accuracy"]

    return min(artifacts, key=rank).name


def _confidence(
    default: str, artifacts: Sequence[tuple[Artifact, bytes]], check: _Check
) -> Confidence:
    """Fitted to what the default artifact itself answers, which is not quite what Keras does."""
    content = next(content for artifact, content in artifacts if artifact.name == default)
    return Confidence.fit(*check.answers(content, "val"))


def calibration_indices(splits: Splits, seed: int) -> NDArray[np.int64]:
    """The training images that calibrate: a seeded sample, sorted; never any other image."""
    n = min(CALIBRATION_IMAGES, len(splits.train))
    return np.sort(np.random.default_rng(seed).choice(splits.train, n, replace=False))


def _same_splits(run: Run, dataset: Dataset) -> Splits:
    """The run's own splits, after it is certain that this is the data they were made for."""
    recipe, data = TrainingRecipe(**run.record["recipe"]), run.record["data"]
    if dataset.fingerprint != data["fingerprint"]:
        raise ExportError(
            f"{dataset.source} is not the data that {run.folder} was trained on "
            "(other pixels, classes or order)"
        )
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    for part, digest in splits.hashes().items():
        if data["splits"][part]["sha256"] != digest:
            raise ExportError(
                f"the {part} images are not those of {run.folder}: was it made with another "
                "version of scikit-learn or numpy? run.json names the versions"
            )
    return splits


def _engine(format_: str, content: bytes, dataset: Dataset) -> Engine:
    engine = LiteRTEngine if format_ == "tflite" else OnnxRuntimeEngine
    height, width = dataset.images.shape[1:3]
    return engine(content, (height, width), len(dataset.labels))


def _logits(
    engine: Engine,
    dataset: Dataset,
    indices: NDArray[np.int64],
    count: Callable[[int, int], None],
) -> NDArray[np.float32]:
    logits = []
    for start in range(0, len(indices), _BATCH):
        count(start, len(indices))
        logits.append(engine.run(np.asarray(dataset.images[indices[start : start + _BATCH]])))
    return np.concatenate(logits)


def _artifact(
    recipe: Recipe,
    format_: Format,
    content: bytes,
    parity: Mapping[str, Parity],
    inside: Mapping[str, Any],
    engine: Engine,
    dataset: Dataset,
) -> Artifact:
    images = golden.inputs(*dataset.images.shape[1:3])
    answers = np.concatenate([engine.run(image[None]) for image in images])
    return Artifact(
        recipe=recipe.name,
        format=format_,
        file=f"{recipe.name}.{format_}",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        parity={
            "validation": parity["val"].as_json(),
            "test": parity["test"].as_json(),
            **inside,
        },
        accuracy={"split": "test", **parity["test"].accuracy.as_json()},
        golden=golden.record(answers, recipe.tolerance.golden),
    )


def _training(run: Run) -> dict[str, Any]:
    record = run.record
    kept = ("recipe", "parameters", "seconds", "device", "versions", "validation", "test")
    teachers = {"teachers": record["teachers"]} if "teachers" in record else {}
    return {"model": record["recipe"]["model"], **{key: record[key] for key in kept}, **teachers}
