"""TensorFlow Lite Micro itself: its answers and the arena."""

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("ai_edge_litert")
pytest.importorskip("tflite_micro", reason="tflite-micro is not installed (extra mcu)")

from export.mcu.integer_model import ALIGNMENT, integer_model
from export.mcu.memory import measure_memory
from export.mcu.micro_engine import MicroEngine, find_arena_bytes, to_int8
from export.passes import ExportError
from tinysight.engines.litert import LiteRTEngine


def test_pixels_become_int8() -> None:
    pixels = np.arange(256, dtype=np.uint8)
    assert to_int8(pixels).tolist() == list(range(-128, 128))


@pytest.mark.parametrize("name", ["baseline", "stack", "resnet8"])
def test_it_answers_as_litert_does(
    name: str, artifacts: dict[str, bytes], images: NDArray[np.uint8]
) -> None:
    model = integer_model(artifacts[name])
    logits = MicroEngine(model, 1 << 20).run(images[:16])
    expected = LiteRTEngine(artifacts[name], (32, 32), 10).run(images[:16])
    # XNNPACK rounds each layer's results otherwise: some steps of the last layer's scale.
    assert np.abs(logits - expected).max() <= 4 * model.output_scale


@pytest.mark.parametrize("name", ["baseline", "stack", "resnet8"])
def test_the_arena_is_the_smallest(name: str, artifacts: dict[str, bytes]) -> None:
    model = integer_model(artifacts[name])
    arena = find_arena_bytes(model)
    assert arena % ALIGNMENT == 0
    MicroEngine(model, arena)
    with pytest.raises(ExportError, match="cannot run it in"):
        MicroEngine(model, arena - ALIGNMENT)


def test_undoing_the_pairs_saves_memory(artifacts: dict[str, bytes]) -> None:
    # conv1's 28 x 28 x 32 and the pool's 14 x 14 x 32 live together; copies would add the former.
    arena = find_arena_bytes(integer_model(artifacts["baseline"]))
    assert 28 * 28 * 32 + 14 * 14 * 32 < arena < 2 * 28 * 28 * 32


def test_memory_of_an_artifact(artifacts: dict[str, bytes]) -> None:
    memory = measure_memory(artifacts["stack"])
    assert memory is not None
    assert memory.flash_bytes == len(integer_model(artifacts["stack"]).content)
    assert measure_memory(artifacts["float32"]) is None
