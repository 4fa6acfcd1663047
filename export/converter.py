"""Makes artifacts of one run by recipe, and shares what several recipes have in common."""

import dataclasses
import gzip
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
from export.formats.onnx import keras_to_onnx, qat_to_onnx
from export.formats.onnx_float16 import float16
from export.passes import ExportError, uint8_input
from export.quantization import post_training
from export.quantization.finetune import finetune
from export.quantization.first_layer import fit_first_layer, quantizable
from export.recipes import Arithmetic, Calibration, Finetuning, Format, Recipe
from export.settings import ArtifactSettings, CalibrationRecord, FinetuningRecord
from export.source import ExportSource
from training.data import hash_indices
from training.progress import ProgressCallback
from training.tf_keras_setup import keras


@dataclass(frozen=True)
class Candidate:
    """An artifact that has been made, and not yet been evaluated."""

    recipe: Recipe
    format: Format
    content: bytes
    """The file."""
    settings: ArtifactSettings
    """All that is needed to make it again from the same run and data."""

    @property
    def name(self) -> str:
        """As `tinysight.bundle.Artifact.name`."""
        return self.recipe.name if self.format == "onnx" else f"{self.recipe.name}.{self.format}"

    @cached_property
    def compressed_bytes(self) -> int:
        """Its size after gzip -9: what an update sends to a device."""
        # Without a time stamp, so that the same artifact has the same size everywhere.
        return len(gzip.compress(self.content, 9, mtime=0))


class _FloatModel:
    """A Keras model that artifacts are made of, and what was computed from it once."""

    def __init__(
        self, model: Any, images: NDArray[np.uint8], finetuning: FinetuningRecord | None
    ) -> None:
        self.model = model
        self.images = images
        """uint8 (n, h, w, 3) to calibrate on."""
        self.finetuning = finetuning
        self._ranges: dict[Calibration, TensorsData] = {}

    @cached_property
    def graph(self) -> onnx.ModelProto:
        return keras_to_onnx(self.model)

    def ranges(self, recipe: Recipe) -> TensorsData:
        """Of the activations, by the recipe's calibration, which it must have."""
        calibration = recipe.calibration
        assert calibration is not None
        if calibration not in self._ranges:
            self._ranges[calibration] = post_training.find_ranges(
                self.graph, self.images, calibration
            )
        return self._ranges[calibration]


class Converter:
    """Makes the artifacts of one run."""

    def __init__(
        self,
        source: ExportSource,
        *,
        finetune_epochs: float | None = None,
        count: ProgressCallback = lambda what, done, total: None,  # noqa: ARG005
    ) -> None:
        """Makes nothing yet.

        Args:
            finetune_epochs: passes over the training images; None takes the recipes' own.
        """
        self._source, self._epochs, self._count = source, finetune_epochs, count
        self._models: dict[Finetuning | None, _FloatModel] = {}

    def layers(self) -> list[str]:
        """The names of the layers that can be left in float32, in the graph's order."""
        return quantizable(self._model(None).graph)

    def convert(
        self, recipe: Recipe, format_: Format, float_layers: Sequence[str] = ()
    ) -> Candidate:
        """Makes one artifact.

        Args:
            float_layers: layers that stay in float32, of a static_w8a8 ONNX graph alone; the
                candidate's recipe is then called `…_partial`.

        Raises:
            ExportError: the model cannot be converted by this recipe.
        """
        if float_layers and (recipe.arithmetic, format_) != ("static_w8a8", "onnx"):
            raise ExportError(f"no layer of {recipe.name}.{format_} can be left in float32")
        if self._epochs is not None and recipe.finetuning is not None:
            finetuning = dataclasses.replace(recipe.finetuning, epochs=self._epochs)
            recipe = dataclasses.replace(recipe, finetuning=finetuning)
        model = self._model(recipe.finetuning)
        self._count(f"converting to {recipe.name}.{format_}:", 0, 0)
        if float_layers:
            content = _w8a8_onnx(model, recipe, float_layers)
            recipe = dataclasses.replace(recipe, name=f"{recipe.name}_partial")
        else:
            content = _CONVERSIONS[recipe.arithmetic, format_](model, recipe)
        settings = ArtifactSettings(
            arithmetic=recipe.arithmetic,
            tolerance=recipe.tolerance,
            model_sha256=self._source.model_sha256,
            finetuning=model.finetuning,
            calibration=self._calibration(recipe),
            float_layers=tuple(float_layers),
        )
        return Candidate(recipe, format_, content, settings)

    def _model(self, finetuning: Finetuning | None) -> _FloatModel:
        if finetuning not in self._models:
            source = self._source
            images = source.images(source.calibration)
            if finetuning is None:
                model = _FloatModel(keras.models.load_model(source.run.model_file), images, None)
            else:
                tuned = finetune(finetuning, source, self._count)
                model = _FloatModel(tuned.model, images, tuned.record)
            self._models[finetuning] = model
        return self._models[finetuning]

    def _calibration(self, recipe: Recipe) -> CalibrationRecord | None:
        if recipe.calibration is None and recipe.arithmetic != "qat_w8a8":
            return None
        indices = self._source.calibration
        return CalibrationRecord(
            recipe.calibration or "minmax", len(indices), hash_indices(indices)
        )


def _qat_onnx(model: _FloatModel, recipe: Recipe) -> bytes:
    graph = fit_first_layer(qat_to_onnx(model.model), model.images)
    content: bytes = graph.SerializeToString()
    require_fused(content, recipe.name)
    return content


def _w8a8_onnx(model: _FloatModel, recipe: Recipe, float_layers: Sequence[str] = ()) -> bytes:
    ranges = model.ranges(recipe)
    graph = post_training.w8a8(model.graph, ranges, model.images, float_layers=float_layers)
    content: bytes = graph.SerializeToString()
    return content


_CONVERSIONS: Mapping[tuple[Arithmetic, Format], Callable[[_FloatModel, Recipe], bytes]] = {
    ("float32", "onnx"): lambda model, _: uint8_input(model.graph).SerializeToString(),
    ("float16", "onnx"): lambda model, _: float16(model.graph).SerializeToString(),
    ("dynamic_w8", "onnx"): lambda model, _: post_training.dynamic_w8(
        model.graph
    ).SerializeToString(),
    ("static_w8a8", "onnx"): _w8a8_onnx,
    ("static_w8a16", "onnx"): lambda model, recipe: post_training.w8a16(
        model.graph, model.ranges(recipe)
    ).SerializeToString(),
    ("qat_w8a8", "onnx"): _qat_onnx,
    ("float32", "tflite"): lambda model, _: tflite.float32(model.model),
    ("float16", "tflite"): lambda model, _: tflite.float16(model.model),
    ("dynamic_w8", "tflite"): lambda model, _: tflite.dynamic_w8(model.model),
    ("static_w8a8", "tflite"): lambda model, _: tflite.static_w8a8(model.model, model.images),
    ("static_w8a16", "tflite"): lambda model, _: tflite.static_w8a16(model.model, model.images),
    ("qat_w8a8", "tflite"): lambda model, _: tflite.qat_w8a8(model.model),
}
