"""Shared by the tests of firmware: small int8 artifacts in a bundle."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tinysight.bundle import Artifact, Bundle, load_bundle
from tinysight.engines.litert import LiteRTEngine
from tinysight.integrity import golden

SHAPE, CLASSES = (32, 32), 10


@pytest.fixture(scope="session")
def artifacts(baseline: Any, images: NDArray[np.uint8]) -> dict[str, bytes]:
    """int8 .tflite files by model, random weights: a chain with paired columns, a plain stack, one
    with additions; and the baseline in float32."""
    pytest.importorskip("ai_edge_litert")
    from export.formats import tflite
    from training.models import edge, resnet
    from training.tf_keras_setup import keras

    keras.utils.set_random_seed(0)
    stack = edge.build("8s2-12-16s2", (*SHAPE, 3), CLASSES)
    small = images[:8]
    return {
        "baseline": tflite.static_w8a8(baseline, small),
        "stack": tflite.static_w8a8(stack, small),
        "resnet8": tflite.static_w8a8(resnet.build("resnet8", (*SHAPE, 3), CLASSES), small),
        "float32": tflite.float32(stack),
    }


@pytest.fixture(scope="session")
def bundle(artifacts: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with an int8 and a float32 .tflite artifact, and labels that C++ must escape."""
    source = load_bundle(Path(__file__).parents[2] / "tiny" / "bundle")
    folder = tmp_path_factory.mktemp("bundles") / "stack"
    folder.mkdir()
    onnx = source.artifact()
    (folder / onnx.file).write_bytes(source.read(onnx))
    labels = ('a "quote"', "back\\slash", "Übergröße", "what??/", "猫", *"vwxyz")
    bundle = dataclasses.replace(
        source,
        name="stack",
        labels=labels,
        height=SHAPE[0],
        width=SHAPE[1],
        artifacts=(
            dataclasses.replace(onnx, golden=None),
            _artifact(folder, "static_w8a8", artifacts["stack"]),
            _artifact(folder, "float32", artifacts["float32"]),
        ),
        temperature=2.0,
        provenance=None,
        folder=None,
    )
    (folder / "bundle.json").write_text(bundle.as_text(), encoding="utf-8")
    return load_bundle(folder)


def _artifact(folder: Path, recipe: str, content: bytes) -> Artifact:
    (folder / f"{recipe}.tflite").write_bytes(content)
    run = LiteRTEngine(content, SHAPE, CLASSES).run
    logits = np.concatenate([run(image[None]) for image in golden.noise(*SHAPE)])
    return Artifact(
        recipe=recipe,
        format="tflite",
        file=f"{recipe}.tflite",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        golden=golden.record(logits, 0.05),
    )
