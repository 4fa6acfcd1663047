"""Builds a bundle from a finished run: converts, checks every artifact, and writes what passed."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export import tflite
from export.keras_to_onnx import keras_to_onnx
from export.litert import LiteRT
from export.parity import Parity
from export.passes import ExportError, take_uint8
from export.quantize import static_w8a8
from export.recipes import FORMATS, RECIPES
from tinysight import golden
from tinysight.atomic import new_folder
from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.session import Session
from training.data import Dataset, Splits, hash_indices, split
from training.finish import predict
from training.keras import keras
from training.progress import Count
from training.recipes import Recipe
from training.run import Run

CALIBRATION_IMAGES = 512
_BATCH = 100


class Engine(Protocol):
    """What runs an artifact: `tinysight.Session` or `export.LiteRT`."""

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one artifact."""

    name: str
    size: int
    validation: Parity
    test: Parity
    objection: str | None
    """Why it was not written; None where it was."""


def build(
    run: Run,
    dataset: Dataset,
    out: Path,
    *,
    name: str,
    recipes: Sequence[str],
    formats: Sequence[str] = FORMATS,
    overwrite: bool = False,
    count: Count = lambda what, done, total: None,  # noqa: ARG005
) -> list[Report]:
    """Exports a run by every recipe in every format, and writes the bundle `out`.

    Each artifact is compared with the trained model on the validation images, which decide
    whether it is written, and on the test images, which are only reported.

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
    model = keras.models.load_model(run.model_file)
    trained = {
        part: predict(model, dataset.images, getattr(splits, part), count, f"answering {part}:")
        for part in ("val", "test")
    }

    reference = Parity.of(trained["val"], trained["val"], dataset.targets[splits.val])
    artifacts: list[tuple[Artifact, bytes]] = []
    reports: list[Report] = []
    for recipe, format_, convert in _conversions(model, dataset.images[calibration]):
        if recipe not in recipes or format_ not in formats:
            continue
        count(f"converting to {recipe}.{format_}:", 0, 0)
        content = convert()
        engine = _engine(format_, content, dataset)
        what = f"checking {recipe}.{format_}:"
        parity = {
            part: _parity(
                engine, dataset, getattr(splits, part), trained[part], partial(count, what)
            )
            for part in trained
        }
        artifact = _artifact(recipe, format_, content, parity, engine, dataset)
        objection = RECIPES[recipe].objection(parity["val"], reference)
        reports.append(
            Report(artifact.name, len(content), parity["val"], parity["test"], objection)
        )
        if objection is None:
            artifacts.append((artifact, content))
    onnx_artifacts = [artifact for artifact, _ in artifacts if artifact.format == "onnx"]
    if not onnx_artifacts:
        reasons = "; ".join(f"{r.name}: {r.objection}" for r in reports if r.objection)
        raise ExportError(f"no ONNX artifact is near enough to the trained model: {reasons}")
    bundle = Bundle(
        name=name,
        labels=dataset.labels,
        height=dataset.images.shape[1],
        width=dataset.images.shape[2],
        artifacts=tuple(artifact for artifact, _ in artifacts),
        # The smallest: who exports an int8 model next to the float32 one means to ship it.
        default=min(onnx_artifacts, key=lambda artifact: artifact.bytes).name,
        data=_data(dataset, splits, calibration),
        training=_training(run),
        export={
            "recipes": list(recipes),
            "formats": list(formats),
            "versions": {
                package: version(package)
                for package in ("tinysight", "tf2onnx", "onnx", "onnxruntime", "ai-edge-litert")
            },
        },
    )
    with new_folder(out, overwrite=overwrite) as folder:
        for artifact, content in artifacts:
            (folder / artifact.file).write_bytes(content)
        text = json.dumps(bundle.as_json(), indent=1, ensure_ascii=False) + "\n"
        (folder / "bundle.json").write_text(text, encoding="utf-8")
        load_bundle(folder)  # what takes its place must be what the runtime reads
    return reports


def calibration_indices(splits: Splits, seed: int) -> NDArray[np.int64]:
    """The training images that calibrate: a seeded sample, sorted; never any other image."""
    n = min(CALIBRATION_IMAGES, len(splits.train))
    return np.sort(np.random.default_rng(seed).choice(splits.train, n, replace=False))


def _conversions(
    model: Any, calibration: NDArray[np.uint8]
) -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """Every recipe and format with what makes it, the cheapest first."""
    graph = keras_to_onnx(model)
    yield "float32", "onnx", lambda: take_uint8(graph).SerializeToString()
    yield "static_w8a8", "onnx", lambda: static_w8a8(graph, calibration).SerializeToString()
    yield "float32", "tflite", lambda: tflite.float32(model)
    yield "static_w8a8", "tflite", lambda: tflite.static_w8a8(model, calibration)


def _same_splits(run: Run, dataset: Dataset) -> Splits:
    """The run's own splits, after it is certain that this is the data they were made for."""
    recipe, data = Recipe(**run.record["recipe"]), run.record["data"]
    if dataset.fingerprint != data["fingerprint"]:
        raise ExportError(
            f"{dataset.source} is not the data that {run.folder} was trained on "
            "(other pixels, classes or order)"
        )
    splits = split(dataset, recipe.seed, recipe.val_fraction)
    for part, digest in splits.hashes().items():
        if data["splits"][part]["sha256"] != digest:
            raise ExportError(
                f"the {part} images are not those of {run.folder}: was it made with another "
                "version of scikit-learn or numpy? run.json names the versions"
            )
    return splits


def _engine(format_: str, content: bytes, dataset: Dataset) -> Engine:
    if format_ == "tflite":
        return LiteRT(content)
    height, width = dataset.images.shape[1:3]
    return Session(content, (height, width), len(dataset.labels))


def _parity(
    engine: Engine,
    dataset: Dataset,
    indices: NDArray[np.int64],
    trained: NDArray[np.float32],
    count: Callable[[int, int], None],
) -> Parity:
    logits = []
    for start in range(0, len(indices), _BATCH):
        count(start, len(indices))
        logits.append(engine.run(np.asarray(dataset.images[indices[start : start + _BATCH]])))
    return Parity.of(np.concatenate(logits), trained, dataset.targets[indices])


def _artifact(
    recipe: str,
    format_: Any,
    content: bytes,
    parity: dict[str, Parity],
    engine: Engine,
    dataset: Dataset,
) -> Artifact:
    images = golden.inputs(*dataset.images.shape[1:3])
    answers = np.concatenate([engine.run(image[None]) for image in images])
    return Artifact(
        recipe=recipe,
        format=format_,
        file=f"{recipe}.{format_}",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        parity={"validation": parity["val"].as_json(), "test": parity["test"].as_json()},
        accuracy={"split": "test", **parity["test"].accuracy.as_json()},
        golden=golden.record(answers, RECIPES[recipe].golden),
    )


def _data(dataset: Dataset, splits: Splits, calibration: NDArray[np.int64]) -> dict[str, Any]:
    """What the bundle says of the data, with the hashes that prove which image served for what."""
    if not np.isin(calibration, splits.train).all():
        raise ExportError("a calibration image is not a training image")
    sets = {**dict(splits.items()), "calibration": calibration}
    return {
        "name": dataset.name,
        "title": dataset.title,
        "attribution": dataset.attribution,
        "notes": list(dataset.notes),
        "fingerprint": dataset.fingerprint,
        "splits": {
            part: {"n": len(indices), "sha256": hash_indices(indices)}
            for part, indices in sets.items()
        },
        # `Splits` refuses to exist otherwise, and calibration was just found within train.
        "disjoint": ["train", "val", "test"],
    }


def _training(run: Run) -> dict[str, Any]:
    record = run.record
    kept = ("recipe", "parameters", "seconds", "device", "versions", "validation", "test")
    return {"model": record["recipe"]["model"], **{key: record[key] for key in kept}}
