"""Weights to start a training from: those in this repository, of a finished run, or of a bundle.

All three become the same thing: kernels and biases of the edge family's convolutions, with their
batch normalization folded in, and of the dense layer. The new model computes exactly what they do,
with batch normalization that fits the new images; for other classes it gets a new dense layer.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.bundle import load_bundle
from tinysight.console import require_extra
from tinysight.errors import TinysightError
from tinysight.files import write_bytes
from tinysight.provenance import require_provenance
from training.conv_stack import STACKS, Stack
from training.data import Dataset, Splits
from training.run_folder import RunRecord, load_run
from training.tf_keras_setup import keras

SHIPPED = {file.stem: file for file in (Path(__file__).parent / "weights").glob("*.npz")}
"""Files of weights in this repository, by model name, float16 (`python -m training pack`)."""
STATISTICS_IMAGES = 5_000
"""Training images by which batch normalization is fitted. Training replaces these statistics by
those of all images: where they differ, the model is another one after an epoch at any rate."""
_STATISTICS_BATCH = 500

HEAD_IMAGES = 10_000
"""Training images on which a new dense layer is fitted."""
_HEAD_PENALTY = 1.0
"""Inverse strength of the L2 penalty of the logistic regression, scikit-learn's default."""


class PretrainedError(TinysightError):
    """No weights to start from, or weights of another kind of model."""


@dataclass(frozen=True)
class Head:
    """The dense layer of a trained model."""

    labels: tuple[str, ...]
    """Its classes, in their order."""
    kernel: NDArray[np.float32]
    """(features, classes)."""
    bias: NDArray[np.float32]
    """(classes,)."""


@dataclass(frozen=True)
class TrainedOn:
    """What a model was trained on."""

    fingerprint: str
    """Of the data set."""
    train: str
    """SHA-256 of the indices of its training images (`training.data.hash_indices`)."""


@dataclass(frozen=True)
class Pretrained:
    """The layers of a trained model of the edge family."""

    model: str
    """Its name, or its stack."""
    kernels: tuple[NDArray[np.float32], ...]
    """(height, width, channels, filters) each, for pixels in [0, 1]."""
    biases: tuple[NDArray[np.float32], ...]
    """(filters,) each."""
    head: Head | None = None
    """None where only the convolutions are known."""
    trained_on: TrainedOn | None = None
    """None where it is not known."""

    def __post_init__(self) -> None:
        stack = _stack(self.model)
        found = [kernel.shape[3] for kernel in self.kernels if kernel.ndim == 4]
        if found != list(stack.filters) or [bias.shape for bias in self.biases] != [
            (filters,) for filters in stack.filters
        ]:
            raise PretrainedError(f"these are not the weights of {self.model}")
        if self.head is not None:
            classes = len(self.head.labels)
            shapes = (self.head.kernel.shape, self.head.bias.shape)
            if shapes != ((stack.filters[-1], classes), (classes,)):
                raise PretrainedError(f"this is not the dense layer of {self.model}")

    @cached_property
    def sha256(self) -> str:
        """Of the model, its classes and all values."""
        digest = hashlib.sha256(self.model.encode())
        arrays = [*self.kernels, *self.biases]
        if self.head is not None:
            digest.update(json.dumps(self.head.labels).encode())
            arrays += [self.head.kernel, self.head.bias]
        for array in arrays:
            digest.update(np.ascontiguousarray(array, "<f4").tobytes())
        return digest.hexdigest()

    def check(self, model: str) -> None:
        """Raises PretrainedError unless a model of this name can start from these weights."""
        if _stack(model) != _stack(self.model):
            raise PretrainedError(f"{model} cannot start from {self.model}: the layers differ")

    def check_splits(self, dataset: Dataset, splits: Splits) -> None:
        """Raises PretrainedError where these weights have seen images that would validate.

        On the data that they were trained on, a training can only go on with the same split: its
        validation accuracy, its temperature and its threshold of "unknown" would be too good.
        """
        if self.trained_on is None or self.trained_on.fingerprint != dataset.fingerprint:
            return
        if self.trained_on.train != splits.hashes()["train"]:
            raise PretrainedError(
                "the weights to start from were trained on images of this data that would validate "
                "here: take their run's --seed and --val-fraction, or --from none"
            )

    def packed(self) -> bytes:
        """As a compressed file of float16 arrays, the same bytes for the same weights."""
        arrays: dict[str, NDArray[Any]] = {"model": np.array(self.model)}
        for i, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True), start=1):
            arrays[f"kernel{i}"], arrays[f"bias{i}"] = kernel.astype("<f2"), bias.astype("<f2")
        if self.head is not None:
            arrays["labels"] = np.array(self.head.labels)
            arrays["head_kernel"] = self.head.kernel.astype("<f2")
            arrays["head_bias"] = self.head.bias.astype("<f2")
        if self.trained_on is not None:
            arrays["trained_on"] = np.array([self.trained_on.fingerprint, self.trained_on.train])
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        return content.getvalue()

    def initialize(self, model: Any, images: NDArray[np.uint8]) -> None:
        """Sets the convolutions of a new model of the same stack, of any number of classes.

        A batch normalization normalizes by the mean and variance of its inputs over `images`, as
        if it had been trained on them, and its scale and offset undo that.

        Args:
            model: from `training.models.edge.build`, without branches.
            images: uint8 (n, h, w, 3), training images.
        """
        convs = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
        for conv, kernel, bias in zip(convs, self.kernels, self.biases, strict=True):
            conv.set_weights([kernel])
            _normalize(model, conv, bias, np.zeros_like(bias), np.ones_like(bias))
        outputs = keras.Model(model.input, [conv.output for conv in convs])
        for conv, bias, moments in zip(convs, self.biases, _moments(outputs, images), strict=True):
            _normalize(model, conv, bias, *moments)

    def head_of(self, labels: Sequence[str]) -> Head | None:
        """The dense layer, if it is known and of exactly these classes."""
        same = self.head is not None and self.head.labels == tuple(labels)
        return self.head if same else None


def read_pretrained(source: str) -> Pretrained:
    """Weights by the name of a model in `SHIPPED`, or by the path of a run folder or a bundle.

    Raises:
        PretrainedError: there is neither, or the model is not of the edge family.
        RunError, BundleError: the run or the bundle is damaged.
    """
    if source in SHIPPED:
        return _unpack(SHIPPED[source])
    folder = Path(source)
    if (folder / "run.json").is_file():
        run = load_run(folder)
        return _of_keras(run.record, keras.models.load_model(run.model_file))
    if (folder / "bundle.json").is_file():
        return _of_bundle(folder)
    raise PretrainedError(
        f"{source} is neither a run folder nor a bundle, nor one of {', '.join(sorted(SHIPPED))}"
    )


def fit_head(model: Any, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> None:
    """Fits the dense layer to the features as they are, by logistic regression.

    Random weights would send large gradients through the convolutions, and spoil what they know,
    before the layer has learned anything (Kumar et al. 2022, arXiv 2202.10054).

    Args:
        model: with the layers `pool` and `logits`.
        images: uint8 (n, h, w, 3), training images.
        targets: (n,), class indices; a class without an image keeps its random weights.
    """
    seen = np.unique(targets)
    if len(seen) < 2:
        return
    regression = logistic_regression(pooled_features(model, images), targets)
    kernel, bias = model.get_layer("logits").get_weights()
    weights, offset = regression.coef_, regression.intercept_
    if len(seen) == 2:  # scikit-learn has one row then, of the second class
        weights = np.concatenate([-weights, weights]) / 2
        offset = np.concatenate([-offset, offset]) / 2
    kernel[:, seen], bias[seen] = weights.T, offset
    model.get_layer("logits").set_weights([kernel, bias])


def pooled_features(model: Any, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the dense layer of a model of the edge family takes, float32 (n, features).

    Args:
        model: with the layer `pool`.
        images: uint8 (n, h, w, 3).
    """
    features = keras.Model(model.input, model.get_layer("pool").output)
    values = features.predict(images / np.float32(255), verbose=0, batch_size=100)
    return np.asarray(values, np.float32)


def logistic_regression(features: NDArray[np.float32], targets: NDArray[np.int64]) -> Any:
    """A fitted scikit-learn classifier of features (n, features) into classes, two or more."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=_HEAD_PENALTY, max_iter=500).fit(features, targets)


def pack(source: str, file: Path) -> None:
    """Writes the weights of a run or a bundle as a file for `training/weights`."""
    write_bytes(file, read_pretrained(source).packed())


def _unpack(file: Path) -> Pretrained:
    with np.load(file, allow_pickle=False) as arrays:
        count = sum(name.startswith("kernel") for name in arrays)
        head = None
        if "labels" in arrays:
            labels = tuple(map(str, arrays["labels"]))
            kernel, bias = arrays["head_kernel"], arrays["head_bias"]
            head = Head(labels, kernel.astype(np.float32), bias.astype(np.float32))
        return Pretrained(
            str(arrays["model"]),
            tuple(arrays[f"kernel{i}"].astype(np.float32) for i in range(1, count + 1)),
            tuple(arrays[f"bias{i}"].astype(np.float32) for i in range(1, count + 1)),
            head,
            TrainedOn(*map(str, arrays["trained_on"])) if "trained_on" in arrays else None,
        )


def _of_keras(record: RunRecord, model: Any) -> Pretrained:
    name = record.recipe.model
    _stack(name)
    kernels, biases = [], []
    for conv in model.layers:
        if isinstance(conv, keras.layers.Conv2D):
            normalization = model.get_layer(f"{conv.name}_bn")
            gamma, beta, mean, variance = normalization.get_weights()
            scale = gamma / np.sqrt(variance + normalization.epsilon)
            kernels.append(conv.get_weights()[0] * scale)
            biases.append(beta - mean * scale)
    head = Head(record.data.labels, *model.get_layer("logits").get_weights())
    trained_on = TrainedOn(record.data.fingerprint, record.data.splits.train.sha256)
    return Pretrained(name, tuple(kernels), tuple(biases), head, trained_on)


def _of_bundle(folder: Path) -> Pretrained:
    """Of its first ONNX artifact; int8 weights are a start as good as any."""
    require_extra("export", "onnx")
    import onnx

    bundle = load_bundle(folder)
    provenance = require_provenance(bundle)
    name, data = provenance.training.recipe["model"], provenance.data
    trained_on = (
        None if data.splits is None else TrainedOn(data.fingerprint, data.splits.train.sha256)
    )
    artifact = next((one for one in bundle.artifacts if one.format == "onnx"), None)
    if artifact is None:
        raise PretrainedError(f"{folder} has no ONNX artifact to start from")
    graph = onnx.load_from_string(bundle.read(artifact)).graph
    values = _constants(graph)
    convs = [node for node in graph.node if node.op_type == "Conv"]
    kernels = [values[node.input[1]].transpose(2, 3, 1, 0) for node in convs]
    kernels[0] = kernels[0] * np.float32(255)  # the artifact takes pixels as they are
    biases = [values[node.input[2]] for node in convs]
    head = _head_of_graph(graph, values, bundle.labels, features=kernels[-1].shape[3])
    return Pretrained(str(name), tuple(kernels), tuple(biases), head, trained_on)


def _head_of_graph(
    graph: Any, values: dict[str, NDArray[np.float32]], labels: tuple[str, ...], features: int
) -> Head | None:
    """Of a Gemm that ends the graph; the average may be in it, as repeated rows."""
    last = graph.node[-1]
    if last.op_type != "Gemm":
        return None
    kernel, bias = (values[name] for name in last.input[1:])
    if any(entry.name == "transB" and entry.i for entry in last.attribute):
        kernel = kernel.T
    by_pixel = kernel.reshape(-1, features, len(labels))
    return Head(labels, by_pixel.sum(axis=0, dtype=np.float32), bias)


def _constants(graph: Any) -> dict[str, NDArray[np.float32]]:
    """The float32 constants of an ONNX graph, those that are stored as integers included."""
    from onnx import numpy_helper

    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    values = {name: array.astype(np.float32) for name, array in stored.items()}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            quantized, scale = (stored[name] for name in node.input[:2])
            zero = stored[node.input[2]] if len(node.input) > 2 else np.zeros_like(scale)
            axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 1)
            shape = [-1 if i == axis else 1 for i in range(quantized.ndim)] if scale.ndim else ()
            steps = quantized.astype(np.float32) - zero.astype(np.float32).reshape(shape)
            values[node.output[0]] = (steps * scale.reshape(shape)).astype(np.float32)
    return values


def _moments(
    outputs: Any, images: NDArray[np.uint8]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Mean and variance of each channel of each output, over all pixels of all images."""
    means: list[Any] = [0.0] * len(outputs.outputs)  # of values and squares, (2, channels)
    for start in range(0, len(images), _STATISTICS_BATCH):
        batch = images[start : start + _STATISTICS_BATCH] / np.float32(255)
        for i, maps in enumerate(outputs.predict(batch, verbose=0, batch_size=100)):
            values = maps.astype(np.float64)
            of_batch = [values.mean(axis=(0, 1, 2)), np.square(values).mean(axis=(0, 1, 2))]
            means[i] += np.stack(of_batch) * len(batch) / len(images)
    return [
        (mean.astype(np.float32), np.maximum(squares - mean**2, 0).astype(np.float32))
        for mean, squares in means
    ]


def _normalize(
    model: Any,
    conv: Any,
    bias: NDArray[np.float32],
    mean: NDArray[np.float32],
    variance: NDArray[np.float32],
) -> None:
    """Gives the batch normalization behind `conv` these statistics; it adds the bias, no more."""
    normalization = model.get_layer(f"{conv.name}_bn")
    scale = np.sqrt(variance + normalization.epsilon)
    normalization.set_weights([scale, bias + mean, mean, variance])


def _stack(model: str) -> Stack:
    try:
        return STACKS[model] if model in STACKS else Stack.parse(model)
    except ValueError:
        raise PretrainedError(
            f"{model} is not of the edge family: only its weights can be started from"
        ) from None
