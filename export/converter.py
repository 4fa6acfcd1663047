"""Makes artifacts of one run by recipe, and shares what several recipes begin with."""

import dataclasses
import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import TensorsData

from export.formats import tflite
from export.formats.fusion_check import require_fused
from export.formats.onnx import aware_to_onnx, keras_to_onnx
from export.formats.onnx_float16 import float16
from export.passes import ExportError, uint8_input
from export.quantization import post_training
from export.quantization.finetune import finetune
from export.recipes import Arithmetic, Calibration, Finetuning, Format, Recipe
from training.data import Dataset, Splits, hash_indices
from training.progress import ProgressCallback
from training.run_folder import Run
from training.tf_keras_setup import keras


@dataclass(frozen=True)
class Candidate:
    """An artifact that has been made, and not yet been looked at."""

    recipe: Recipe
    format: Format
    content: bytes
    settings: Mapping[str, Any]
    """All that is needed to make it again from the same run and data, as JSON."""

    @property
    def name(self) -> str:
        """As `tinysight.bundle.Artifact.name`."""
        return self.recipe.name if self.format == "onnx" else f"{self.recipe.name}.{self.format}"

    @cached_property
    def compressed(self) -> int:
        """Bytes after gzip -9: what an update sends to a device."""
        # Without a time stamp, so that the same artifact has the same size everywhere.
        return len(gzip.compress(self.content, 9, mtime=0))


class _Source:
    """A model that artifacts are made of, and what was computed from it once."""

    def __init__(self, model: Any, images: NDArray[np.uint8], record: Mapping[str, Any]) -> None:
        self.model = model
        self.images = images
        """uint8 (n, h, w, 3) to calibrate on."""
        self.record = record
        """Of its fine-tuning; empty without one."""
        self._ranges: dict[Calibration, TensorsData] = {}

    @cached_property
    def graph(self) -> onnx.ModelProto:
        return keras_to_onnx(self.model)

    def ranges(self, calibration: Calibration) -> TensorsData:
        if calibration not in self._ranges:
            self._ranges[calibration] = post_training.find_ranges(
                self.graph, self.images, calibration
            )
        return self._ranges[calibration]


class Converter:
    """Makes the artifacts of one run."""

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        splits: Splits,
        calibration: NDArray[np.int64],
        *,
        finetune_epochs: float | None = None,
        count: ProgressCallback = lambda what, done, total: None,  # noqa: ARG005
    ) -> None:
        """Makes nothing yet.

        Args:
            calibration: indices of training images.
            finetune_epochs: instead of the recipes' own.
        """
        self._run, self._dataset, self._splits = run, dataset, splits
        self._calibration, self._epochs, self._count = calibration, finetune_epochs, count
        self._sources: dict[Finetuning | None, _Source] = {}

    def layers(self) -> list[str]:
        """The names of the layers that can be left in float32, in the graph's order."""
        return post_training.quantizable(self._source(None).graph)

    def convert(
        self, recipe: Recipe, format_: Format, float_layers: Sequence[str] = ()
    ) -> Candidate:
        """Makes one artifact.

        Args:
            in_float: layers that stay in float32, of a static_w8a8 ONNX graph alone; the
                candidate's recipe is then called `…_partial`.

        Raises:
            ExportError: the model cannot be converted so.
        """
        if float_layers and (recipe.arithmetic, format_) != ("static_w8a8", "onnx"):
            raise ExportError(f"no layer of {recipe.name}.{format_} can be left in float32")
        if self._epochs is not None and recipe.finetuning is not None:
            finetuning = dataclasses.replace(recipe.finetuning, epochs=self._epochs)
            recipe = dataclasses.replace(recipe, finetuning=finetuning)
        source = self._source(recipe.finetuning)
        self._count(f"converting to {recipe.name}.{format_}:", 0, 0)
        if float_layers:
            assert recipe.calibration is not None
            ranges = source.ranges(recipe.calibration)
            content = post_training.w8a8(
                source.graph, ranges, float_layers=float_layers
            ).SerializeToString()
            recipe = dataclasses.replace(recipe, name=f"{recipe.name}_partial")
        else:
            content = _CONVERSIONS[recipe.arithmetic, format_](source, recipe)
        return Candidate(recipe, format_, content, self._settings(recipe, source, float_layers))

    def _source(self, finetuning: Finetuning | None) -> _Source:
        if finetuning not in self._sources:
            images = np.asarray(self._dataset.images[self._calibration])
            if finetuning is None:
                source = _Source(keras.models.load_model(self._run.model_file), images, {})
            else:
                tuned = finetune(
                    finetuning,
                    self._run,
                    self._dataset,
                    self._splits,
                    self._calibration,
                    self._count,
                )
                source = _Source(tuned.model, images, tuned.record)
            self._sources[finetuning] = source
        return self._sources[finetuning]

    def _settings(
        self, recipe: Recipe, source: _Source, float_layers: Sequence[str]
    ) -> dict[str, Any]:
        settings = recipe.as_json()
        settings["finetuning"] = dict(source.record) or None
        if recipe.calibration is not None or recipe.arithmetic == "qat_w8a8":
            settings["calibration"] = {
                "method": recipe.calibration or "minmax",
                "n": len(self._calibration),
                "sha256": hash_indices(self._calibration),
            }
        if float_layers:
            settings["float_layers"] = list(float_layers)
        settings["model_sha256"] = hashlib.sha256(self._run.model_file.read_bytes()).hexdigest()
        return settings


def _qat_onnx(source: _Source, recipe: Recipe) -> bytes:
    content: bytes = post_training.reduce_first_layer_range(
        aware_to_onnx(source.model)
    ).SerializeToString()
    require_fused(content, recipe.name)
    return content


def _calibrated(
    convert: Callable[[onnx.ModelProto, TensorsData], onnx.ModelProto],
) -> Callable[[_Source, Recipe], bytes]:
    """A conversion of an ONNX graph that needs ranges."""

    def make(source: _Source, recipe: Recipe) -> bytes:
        assert recipe.calibration is not None
        ranges = source.ranges(recipe.calibration)
        content: bytes = convert(source.graph, ranges).SerializeToString()
        return content

    return make


_CONVERSIONS: Mapping[tuple[Arithmetic, Format], Callable[[_Source, Recipe], bytes]] = {
    ("float32", "onnx"): lambda source, _: uint8_input(source.graph).SerializeToString(),
    ("float16", "onnx"): lambda source, _: float16(source.graph).SerializeToString(),
    ("dynamic_w8", "onnx"): lambda source, _: post_training.dynamic_w8(
        source.graph
    ).SerializeToString(),
    ("static_w8a8", "onnx"): _calibrated(post_training.w8a8),
    ("static_w8a16", "onnx"): _calibrated(post_training.w8a16),
    ("qat_w8a8", "onnx"): _qat_onnx,
    ("float32", "tflite"): lambda source, _: tflite.float32(source.model),
    ("float16", "tflite"): lambda source, _: tflite.float16(source.model),
    ("dynamic_w8", "tflite"): lambda source, _: tflite.dynamic_w8(source.model),
    ("static_w8a8", "tflite"): lambda source, _: tflite.static_w8a8(source.model, source.images),
    ("static_w8a16", "tflite"): lambda source, _: tflite.static_w8a16(source.model, source.images),
    ("qat_w8a8", "tflite"): lambda source, _: tflite.qat_w8a8(source.model),
}
