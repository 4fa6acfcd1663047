"""Writes a bundle's int8 artifact as the C++ sources of a firmware."""

import contextlib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from export.mcu.integer_model import ALIGNMENT, IntegerModel, integer_model
from export.mcu.micro_engine import MicroEngine, find_arena_bytes
from export.target import check_target
from tinysight.bundle import Artifact, Bundle
from tinysight.files import new_folder
from tinysight.integrity import golden

_TEMPLATES = Path(__file__).with_name("templates")
_MODEL = "model.tflite"
_BYTES_A_LINE = 20
_EXAMPLE = 2
"""Which golden input is the example: one of large patches, on which models differ."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """What was written, for people and machines."""

    bundle: str
    artifact: str
    operators: tuple[str, ...]
    """As the TensorFlow Lite schema names them."""
    flash_bytes: int
    """Of the model's array alone."""
    arena_bytes: int
    """The smallest tensor arena in which the reference kernels run it."""
    cmsis_scratch_bytes: int
    """What CMSIS-NN's convolutions want beside it, at most."""
    golden: golden.Comparison | None
    """TensorFlow Lite Micro against the artifact in LiteRT, on the golden inputs; None where the
    bundle keeps no golden answers."""


def write_firmware(
    bundle: Bundle, artifact: Artifact, out: Path, *, overwrite: bool = False
) -> Firmware:
    """Writes the folder `out`, after the model has run in TensorFlow Lite Micro.

    Args:
        bundle: read from a folder.
        artifact: one of its .tflite artifacts, int8 throughout.
        out: what to write.
        overwrite: whether an existing firmware is replaced.

    Raises:
        ExportError: `out` exists, the artifact does not compute in int8, or its answers in
            TensorFlow Lite Micro are not the artifact's.
        BundleError: the artifact is damaged.
    """
    check_target(out, overwrite=overwrite, mark=_MODEL, kind="a firmware folder")
    try:
        model = integer_model(bundle.read(artifact))
    except ExportError as error:
        raise ExportError(f"{bundle.name}/{artifact.name}: {error}") from error
    arena_bytes = find_arena_bytes(model)
    engine = MicroEngine(model, arena_bytes)
    comparison = None
    if artifact.golden is not None:
        comparison = golden.compare(engine.run, artifact.golden, bundle)
        if not comparison.ok:
            raise ExportError(
                f"{bundle.name}/{artifact.name}: TensorFlow Lite Micro's logits are off by "
                f"{comparison.max_relative_error:.1%} of their spread; allowed are "
                f"{comparison.tolerance:.1%}"
            )
    firmware = Firmware(
        bundle=bundle.name,
        artifact=artifact.name,
        operators=model.operators,
        flash_bytes=len(model.content),
        arena_bytes=arena_bytes,
        cmsis_scratch_bytes=model.cmsis_scratch_bytes,
        golden=comparison,
    )
    texts = _texts(bundle, artifact, model, firmware, engine)
    with new_folder(out, overwrite=overwrite) as folder:
        (folder / _MODEL).write_bytes(model.content)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    return firmware


def integer_artifact(bundle: Bundle, name: str | None = None) -> Artifact:
    """The artifact of that name, or the one that computes in int8: of several, that of the
    default's recipe, or the smallest.

    Raises:
        BundleError: there is none of that name.
        ExportError: none computes in int8, or the named one is no .tflite.
    """
    if name is not None:
        artifact = bundle.artifact(name)
        if artifact.format != "tflite":
            raise ExportError(f"{bundle.name}/{name} is no .tflite artifact")
        return artifact
    recipe = bundle.artifact().recipe
    possible = [artifact for artifact in bundle.artifacts if artifact.format == "tflite"]
    for artifact in sorted(possible, key=lambda a: (a.recipe != recipe, a.bytes)):
        with contextlib.suppress(ExportError):
            integer_model(bundle.read(artifact))
            return artifact
    raise ExportError(
        f"{bundle.name} has no .tflite artifact that computes in int8: "
        "python -m export build --recipes static_w8a8 makes one"
    )


def _texts(
    bundle: Bundle, artifact: Artifact, model: IntegerModel, firmware: Firmware, engine: MicroEngine
) -> dict[str, str]:
    """The text of every file, by name."""
    pixels = golden.inputs(bundle, _EXAMPLE + 1)[_EXAMPLE]
    outputs = engine.outputs(pixels[None])[0]
    height, width, channels = model.input_shape
    values = {
        "name": bundle.name,
        "artifact": artifact.file,
        "sha256": artifact.sha256,
        "height": height,
        "width": width,
        "channels": channels,
        "classes": model.classes,
        "output_scale": _float(model.output_scale),
        "output_zero_point": model.output_zero_point,
        "temperature": _float(bundle.temperature),
        "flash_bytes": firmware.flash_bytes,
        "arena_bytes": firmware.arena_bytes,
        "cmsis_scratch_bytes": firmware.cmsis_scratch_bytes,
        "flash_kb": f"{firmware.flash_bytes / 1000:.1f}",
        "arena_kb": f"{firmware.arena_bytes / 1000:.1f}",
        "cmsis_scratch_kb": f"{firmware.cmsis_scratch_bytes / 1000:.1f}",
        "accuracy": "not recorded" if artifact.accuracy is None else str(artifact.accuracy),
        "tflite_micro": version("tflite-micro"),
        "project": "".join(c if c.isalnum() else "_" for c in bundle.name),
        "labels": "\n".join(f"    {_c_string(label)}," for label in bundle.labels),
        "label": _c_string(bundle.labels[int(outputs.argmax())]),
        "alignment": ALIGNMENT,
        "bytes": _numbers(np.frombuffer(model.content, np.uint8)),
        "outputs": _numbers(outputs),
        "pixels": _numbers(pixels.ravel()),
        "pixel_bytes": pixels.size,
    }
    additions = "\n".join(
        f"  if (resolver.{resolver_method(operator)}() != kTfLiteOk) return kTfLiteError;"
        for operator in model.operators
    )
    operators = {"operators": len(model.operators), "additions": additions}
    return {
        "model.h": _fill("model.h", values),
        "model.cc": _fill("model.cc", values),
        "operators.h": _fill("operators.h", operators),
        "example.h": _fill("example.h", values),
        "main.cc": (_TEMPLATES / "main.cc").read_text(encoding="utf-8"),
        "README.md": _fill("README.md", {**values, "operators": ", ".join(model.operators)}),
    }


def _fill(name: str, values: dict[str, object]) -> str:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8")).substitute(values)


def resolver_method(operator: str) -> str:
    """The method of `MicroMutableOpResolver` that registers an operator: CONV_2D, AddConv2D."""
    return "Add" + "".join(
        part if part[0].isdigit() else part.capitalize() for part in operator.split("_")
    )


def _float(value: float) -> str:
    """A float as C++ reads it: the shortest text that is this float32, always with a point."""
    text = str(np.float32(value))
    return text if set(text) & set(".e") else f"{text}.0"


def _c_string(text: str) -> str:
    """A string literal: a label may hold quotes, backslashes and letters beyond ASCII.

    Octal escapes have three digits at most, so the next character is never taken for one of them.
    """
    plain = {ord(c) for c in " !#$%&'()*+,-./:;<=>@[]^_`{|}~"}  # no ?, for trigraphs
    return (
        '"'
        + "".join(
            chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in plain else f"\\{byte:03o}"
            for byte in text.encode()
        )
        + '"'
    )


def _numbers(values: NDArray[np.uint8] | NDArray[np.int8]) -> str:
    """An array's values, some to a line."""
    lines = [values[i : i + _BYTES_A_LINE] for i in range(0, len(values), _BYTES_A_LINE)]
    return "\n".join("    " + ", ".join(map(str, line.tolist())) + "," for line in lines)
