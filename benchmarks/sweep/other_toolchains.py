"""The same weights by other toolchains' default conversions, as their tutorials show them.

Nothing of tinysight's goes into them: no graph pass, no folded scaling, no uint8 input. They show
what our export gains over them. Calibration images are those that our own export would take.

    onnxruntime  float32: tf2onnx; int8: then quantize_static (uint8 activations, int8 weights, per
                 channel, Q/DQ)
    litert       int8 in and out, by TensorFlow's converter
    openvino     float32: the ONNX file, converted; int8: then nncf.quantize
    ncnn         float32: the ONNX file, by pnnx; its int8 tools are in no package
"""

import hashlib
import importlib.util
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.sweep.targets import Target
from tinysight.benchmark.results import ModelVariant
from tinysight.benchmark.runner import Progress
from tinysight.benchmark.worker import Run
from tinysight.bundle import check_sha256
from tinysight.console import captured_native_stderr
from tinysight.engines.ort import make_session
from tinysight.errors import TinysightError
from tinysight.files import new_folder
from tinysight.preprocess import Pixels
from tinysight.records import RecordError, from_json, load_json, to_json

FORMAT: Final = 2
NAME = "conversions.json"
MAX_BYTES = 1 << 20
"""Of that file."""
OPSET = 18


@dataclass(frozen=True, slots=True)
class Conversion:
    """One model file, or one with its weights beside it."""

    recipe: str
    engine: str
    file: str
    """Its name; of several files, the one that the engine is given."""
    bytes: int
    """Of all its files."""
    sha256: str
    """Of their content, one after the other."""

    def __post_init__(self) -> None:
        if self.engine not in _OPENERS:
            raise ValueError(f"unknown engine {self.engine!r:.40}")
        if not self.recipe or self.bytes < 1 or Path(self.file).name != self.file:
            raise ValueError("a conversion needs a recipe, bytes and a plain file name")
        check_sha256(self.sha256)


@dataclass(frozen=True, slots=True)
class ConversionFolder:
    """What conversions.json says of the files beside it."""

    format: Literal[2]
    model: str
    labels: tuple[str, ...]
    """By class index."""
    shape: tuple[int, int]
    """Height and width of the input, in pixels."""
    conversions: tuple[Conversion, ...]


Prepare = Callable[[Pixels], NDArray[Any]]
Infer = Callable[[NDArray[Any]], NDArray[np.float32]]


class FloatInputRunner:
    """A loaded conversion, as a `Run`.

    Its input has to be scaled first, and for some quantized. That is excluded from its latency, in
    its favour: an array that it saw last is not prepared again.
    """

    def __init__(self, prepare: Prepare, infer: Infer) -> None:
        self._prepare, self._infer = prepare, infer
        self._seen: Pixels | None = None
        self._ready: NDArray[Any] = np.empty(0)

    def __call__(self, images: Pixels) -> NDArray[np.float32]:
        if images is not self._seen:
            self._seen, self._ready = images, self._prepare(images)
        return self._infer(self._ready)


def convert(
    run_folder: Path, data: str | None, out: Path, *, overwrite: bool, progress: Progress
) -> None:
    """Writes every toolchain's conversion of a finished run into the folder `out`.

    Args:
        run_folder: that `python -m training` wrote.
        data: where the run's data is now; None where the run says that it is.
        out: the folder to write.
        overwrite: whether it may replace earlier conversions.
        progress: called with how far it is.

    Raises:
        TinysightError: no such run, other data, or `out` exists.
    """
    from export.source import calibration_indices
    from training.data import load_dataset, split
    from training.run_folder import load_run
    from training.tf_keras_setup import keras

    if out.exists() and not (overwrite and (out / NAME).is_file()):
        raise TinysightError(f"{out} exists: --overwrite replaces a folder of conversions")
    run = load_run(run_folder)
    recipe, recorded = run.record.recipe, run.record.data
    size = recorded.shape[:2]
    dataset = load_dataset(data or recorded.source, size=size, skip_broken=True, progress=progress)
    if dataset.fingerprint != recorded.fingerprint:
        raise TinysightError(f"{dataset.source} is not the data that {run_folder} was trained on")
    splits = split(dataset, recipe.data_seed, recipe.val_fraction)
    calibration = _scaled(dataset.images[calibration_indices(splits, recipe.seed)])
    model = keras.models.load_model(run.model_file)
    conversions = []
    with new_folder(out, overwrite=overwrite) as folder:
        for name, engine, files in _conversions(model, calibration, progress):
            for suffix, content in files.items():
                (folder / f"{name}{suffix}").write_bytes(content)
            whole = b"".join(files.values())
            sha256 = hashlib.sha256(whole).hexdigest()
            file = f"{name}{next(iter(files))}"
            conversions.append(Conversion(name, engine, file, len(whole), sha256))
        record = ConversionFolder(
            FORMAT,
            recipe.model,
            recorded.labels,
            size,
            tuple(conversions),
        )
        text = json.dumps(to_json(record), indent=1) + "\n"
        (folder / NAME).write_text(text, encoding="utf-8")


def of_folder(folder: Path, model: str | None = None) -> Iterator[Target]:
    """The conversions in a folder as targets of a sweep.

    Args:
        folder: what `convert` wrote.
        model: the name of the bundle that they are compared with.

    Raises:
        TinysightError: it holds no conversions, or of another format.
    """
    try:
        record = from_json(ConversionFolder, load_json(folder / NAME, MAX_BYTES))
    except (OSError, RecordError) as error:
        raise TinysightError(f"{folder} holds no conversions ({error!s:.200})") from None
    for one in record.conversions:
        yield Target(
            ModelVariant(
                model=model or record.model,
                recipe=one.recipe,
                artifact=one.file,
                engine=one.engine,
                bytes=one.bytes,
                sha256=one.sha256,
                macs=None,
                accuracy=None,
                accuracy_source=None,
            ),
            record.labels,
            record.shape,
            partial(_open, one.engine, folder.absolute() / one.file),
        )


def _conversions(
    model: Any, calibration: NDArray[np.float32], progress: Progress
) -> Iterator[tuple[str, str, dict[str, bytes]]]:
    """Name, engine, and the files by suffix, the main one first."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        progress("converting by tf2onnx", 0, 0)
        source = folder / "float32.onnx"
        source.write_bytes(_tf2onnx(model))
        yield "default_float32", "onnxruntime", {".onnx": source.read_bytes()}
        progress("quantizing by onnxruntime", 0, 0)
        target = folder / "int8.onnx"
        _quantize_static(source, target, calibration)
        yield "default_int8", "onnxruntime", {".onnx": target.read_bytes()}
        progress("converting by TensorFlow Lite", 0, 0)
        yield "default_int8", "litert", {".tflite": _tflite(model, calibration)}
        progress("converting by OpenVINO", 0, 0)
        for recipe, files in _openvino(source, calibration, folder):
            yield recipe, "openvino", files
        progress("converting by pnnx", 0, 0)
        yield "default_float32", "ncnn", _pnnx(source, model.input_shape[1:], folder)


def _tf2onnx(model: Any) -> bytes:
    from training.tf_keras_setup import tf  # before tf2onnx, which imports TensorFlow itself

    import tf2onnx  # isort: skip

    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")]
    with captured_native_stderr():
        proto, _ = tf2onnx.convert.from_keras(model, input_signature=signature, opset=OPSET)
    return bytes(proto.SerializeToString())


def _quantize_static(source: Path, target: Path, calibration: NDArray[np.float32]) -> None:
    from onnxruntime import quantization as q

    class Images(q.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
        def __init__(self) -> None:
            self._feeds = iter([{"image": image[None]} for image in calibration])

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self._feeds, None)

    with captured_native_stderr():
        q.quantize_static(
            source,
            target,
            Images(),
            quant_format=q.QuantFormat.QDQ,
            per_channel=True,
            activation_type=q.QuantType.QUInt8,
            weight_type=q.QuantType.QInt8,
        )


def _tflite(model: Any, calibration: NDArray[np.float32]) -> bytes:
    from training.tf_keras_setup import tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    with captured_native_stderr():
        return bytes(converter.convert())


def _openvino(
    source: Path, calibration: NDArray[np.float32], folder: Path
) -> Iterator[tuple[str, dict[str, bytes]]]:
    import nncf
    import openvino

    model = openvino.convert_model(source)
    quantized = nncf.quantize(
        model, nncf.Dataset([image[None] for image in calibration]), subset_size=len(calibration)
    )
    for recipe, one in (("default_float32", model), ("default_int8", quantized)):
        path = folder / f"{recipe}.xml"
        openvino.save_model(one, path, compress_to_fp16=False)
        yield recipe, {".xml": path.read_bytes(), ".bin": path.with_suffix(".bin").read_bytes()}


def _pnnx(source: Path, shape: tuple[int, int, int], folder: Path) -> dict[str, bytes]:
    """By the program that the package brings: the package itself imports only beside PyTorch."""
    package = importlib.util.find_spec("pnnx")
    assert package is not None
    assert package.origin is not None
    copy = folder / "ncnn.onnx"  # it writes beside what it reads
    copy.write_bytes(source.read_bytes())
    done = subprocess.run(
        [Path(package.origin).with_name("pnnx"), copy.name,
         f"inputshape=[1,{','.join(map(str, shape))}]", "fp16=0"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    made = folder / "ncnn.ncnn.param"
    if done.returncode != 0 or not made.is_file():
        raise TinysightError(f"pnnx failed: {(done.stderr or done.stdout).strip()[-200:]}")
    return {".param": made.read_bytes(), ".ncnn.bin": made.with_suffix(".bin").read_bytes()}


def _open(engine: str, path: Path, threads: int) -> Run:
    return _OPENERS[engine](path, threads)


def _scaled(images: Pixels) -> NDArray[np.float32]:
    return images.astype(np.float32) / np.float32(255)


def _open_onnxruntime(path: Path, threads: int) -> Run:
    session = make_session(path.read_bytes(), threads)
    image, logits = session.get_inputs()[0].name, session.get_outputs()[0].name
    return FloatInputRunner(_scaled, lambda ready: session.run([logits], {image: ready})[0])


def _open_litert(path: Path, threads: int) -> Run:
    from ai_edge_litert.interpreter import Interpreter

    with captured_native_stderr():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (unit, origin) = image["quantization"], logits["quantization"]

    def prepare(images: Pixels) -> NDArray[np.int8]:
        if images.shape != tuple(interpreter.get_input_details()[0]["shape"]):
            interpreter.resize_tensor_input(image["index"], images.shape)
            interpreter.allocate_tensors()
        steps = np.round(_scaled(images) / np.float32(scale)) + zero
        ready: NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
        return ready

    def infer(ready: NDArray[Any]) -> NDArray[np.float32]:
        interpreter.set_tensor(image["index"], ready)
        interpreter.invoke()
        steps: NDArray[np.int8] = interpreter.get_tensor(logits["index"])
        values: NDArray[np.float32] = (steps.astype(np.float32) - origin) * np.float32(unit)
        return values

    return FloatInputRunner(prepare, infer)


def _open_openvino(path: Path, threads: int) -> Run:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    return FloatInputRunner(_scaled, lambda ready: request.infer([ready], share_inputs=True)[0])


def _open_ncnn(path: Path, threads: int) -> Run:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    for name in ("storage", "packed", "arithmetic"):  # float32, as the name says
        setattr(net.opt, f"use_fp16_{name}", False)
    if net.load_param(str(path)) != 0 or net.load_model(str(path.with_suffix(".ncnn.bin"))) != 0:
        raise TinysightError(f"{path} cannot be loaded by ncnn")
    held: list[Any] = []  # ncnn's views of the images

    def prepare(images: Pixels) -> NDArray[np.float32]:
        ready = _scaled(images)
        held[:] = [ncnn.Mat(image).clone() for image in ready]
        return ready

    def infer(ready: NDArray[Any]) -> NDArray[np.float32]:  # noqa: ARG001  # held has them
        logits = []
        for image in held:  # ncnn has no batches
            extractor = net.create_extractor()
            extractor.input("in0", image)
            logits.append(np.array(extractor.extract("out0")[1]))
        return np.stack(logits)

    return FloatInputRunner(prepare, infer)


_OPENERS: dict[str, Callable[[Path, int], Run]] = {
    "onnxruntime": _open_onnxruntime,
    "litert": _open_litert,
    "openvino": _open_openvino,
    "ncnn": _open_ncnn,
}
"""By engine, what loads a conversion's main file to run on so many threads."""
