"""Writes the tiny bundle that the tests run on: `python -m tests.tiny.generate`.

Its network says which colour an image has most of: the mean of every channel over 32. All of its
arithmetic is exact in float32, so every machine and every engine gives the same bits.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from tinysight.bundle import Artifact, Bundle
from tinysight.files import new_folder
from tinysight.integrity import golden

SIDE = 8
LABELS = ("red", "green", "blue")
# Fixed, so that a newer onnx does not change the file.
OPSET, IR_VERSION = 13, 8


def model() -> bytes:
    """The ONNX file: uint8 (batch, 8, 8, 3) to float32 (batch, 3)."""
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0),
        helper.make_node("Mul", ["means", "scale"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dominating_colour",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 32])],
    )
    opset = helper.make_opsetid("", OPSET)
    content: bytes = helper.make_model(
        graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="tinysight tests"
    ).SerializeToString()
    return content


def logits(images: np.ndarray) -> np.ndarray:
    """What the network gives, in numpy: float32 (n, 3)."""
    means = images.sum(axis=(1, 2), dtype=np.int64) / (SIDE * SIDE * 32)
    return np.asarray(means, dtype=np.float32)


def main(folder: Path = Path(__file__).parent / "bundle") -> None:
    content = model()
    artifact = Artifact(
        recipe="float32",
        format="onnx",
        file="float32.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        golden=golden.record(logits(golden.noise(SIDE, SIDE)), tolerance=1e-5),
    )
    bundle = Bundle(
        name="tiny",
        labels=LABELS,
        height=SIDE,
        width=SIDE,
        artifacts=(artifact,),
        default="float32",
    )
    with new_folder(folder, overwrite=True) as new:
        (new / artifact.file).write_bytes(content)
        (new / "bundle.json").write_text(bundle.as_text(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
