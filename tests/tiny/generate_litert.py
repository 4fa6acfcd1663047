"""Writes the tiny bundle with a .tflite beside the ONNX: `python -m tests.tiny.generate_litert`.

The same network as in `generate.py`, through TensorFlow's converter (which that one does without).
"""

import dataclasses
import hashlib
import sys
from pathlib import Path

import tensorflow as tf

from tests.tiny import generate
from tinysight import load_bundle
from tinysight.files import new_folder
from tinysight.integrity import golden


def model() -> bytes:
    """The .tflite file: uint8 (batch, 8, 8, 3) to float32 (batch, 3)."""

    @tf.function(  # type: ignore[untyped-decorator]
        input_signature=[tf.TensorSpec((None, generate.SIDE, generate.SIDE, 3), tf.uint8)]
    )
    def colours(image: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.cast(image, tf.float32), axis=(1, 2)) / 32

    concrete = colours.get_concrete_function()
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], colours).convert())


def main(folder: Path = Path(__file__).parent / "bundle_litert") -> None:
    here = Path(__file__).parent
    bundle = load_bundle(here / "bundle")
    content, onnx = model(), bundle.read(bundle.artifact())
    artifact = dataclasses.replace(
        bundle.artifact(),
        format="tflite",
        file="float32.tflite",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        golden=golden.record(
            generate.logits(golden.noise(generate.SIDE, generate.SIDE)), tolerance=1e-5
        ),
    )
    both = dataclasses.replace(
        bundle, name="tiny_litert", artifacts=(*bundle.artifacts, artifact), folder=None
    )
    with new_folder(folder, overwrite=True) as new:
        (new / "float32.onnx").write_bytes(onnx)
        (new / artifact.file).write_bytes(content)
        (new / "bundle.json").write_text(both.as_text(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
