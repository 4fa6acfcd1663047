"""The document that `tinysight bench --json` prints, read back.

A device has no JSON Schema library, so what is read is checked here: types one by one, and how the
parts fit together by the classes themselves.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinysight.benchmark.cold_start import ColdStart
from tinysight.benchmark.reference_ops import Peak
from tinysight.benchmark.results import (
    FORMAT,
    KIND,
    BenchmarkResult,
    ColdStarts,
    Energy,
    IdentityLatency,
    Measurement,
    ModelVariant,
    PreprocessingCost,
)
from tinysight.benchmark.timing import Latency
from tinysight.errors import TinysightError
from tinysight.stats import Accuracy

MAX_BYTES = 64 << 20
"""Of a document that is read: it may come from anywhere."""


def read(file: Path) -> BenchmarkResult:
    """Reads what `tinysight bench --json` printed. Raises TinysightError, in one line."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise TinysightError(f"{file}: more than {MAX_BYTES:,} bytes")
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_no_number)
        if not isinstance(content, dict) or content.get("kind") != KIND:
            raise ValueError("it is of another kind")
        if content.get("format") != FORMAT:
            raise ValueError(f"format {content.get('format')!r}, read here is {FORMAT}")
        return parse(content)
    except (ValueError, RecursionError) as error:
        message = f"{file}: not what `tinysight bench --json` prints here ({error!s:.120})"
        raise TinysightError(message) from None


def parse(content: Mapping[str, Any]) -> BenchmarkResult:
    """The inverse of `as_json`. Raises ValueError for whatever does not fit."""
    try:
        return BenchmarkResult(
            measured=_text(content["measured"]),
            command=_text(content["command"]),
            device=_device(content["device"]),
            versions={_text(name): _text(value) for name, value in content["versions"].items()},
            settings=dict(content["settings"]),
            before=dict(content["before"]),
            after=dict(content["after"]),
            warnings=tuple(_text(warning) for warning in content["warnings"]),
            peak=Peak(**content["peak"]),
            identity_latencies=tuple(
                IdentityLatency(
                    _whole(identity_latency["threads"]), _passes(identity_latency["passes_ns"])
                )
                for identity_latency in content["floors"]
            ),
            variants=tuple(_entry(variant) for variant in content["entries"]),
            measurements=tuple(
                Measurement(
                    _text(measurement["entry"]),
                    _whole(measurement["threads"]),
                    _whole(measurement["batch"]),
                    _passes(measurement["passes_ns"]),
                    tuple(_whole(taken) for taken in measurement["yardsticks_ns"]),
                )
                for measurement in content["cells"]
            ),
            starts=tuple(
                ColdStarts(
                    _text(one["entry"]),
                    _whole(one["threads"]),
                    tuple(ColdStart(**run) for run in one["runs"]),
                )
                for one in content["starts"]
            ),
            preprocessing=tuple(
                PreprocessingCost(
                    _text(one["model"]),
                    Latency(_samples(one["decode_ns"])),
                    Latency(_samples(one["resize_ns"])),
                )
                for one in content["preprocessing"]
            ),
            counter=_text(content["energy"]["counter"]),
            idle_watts=content["energy"]["idle_watts"],
            energies=tuple(Energy(**one) for one in content["energy"]["cells"]),
        )
    except KeyError as error:
        raise ValueError(f"{error.args[0]} is missing") from None
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(str(error)) from None


def _entry(content: Mapping[str, Any]) -> ModelVariant:
    accuracy = content["accuracy"]
    return ModelVariant(
        _text(content["model"]),
        _text(content["recipe"]),
        _text(content["artifact"]),
        _text(content["engine"]),
        _whole(content["bytes"]),
        _text(content["sha256"]),
        None if content["macs"] is None else _whole(content["macs"]),
        accuracy and Accuracy(_whole(accuracy["correct"]), _whole(accuracy["n"])),
        content["accuracy_from"],
    )


def _device(content: Mapping[str, Any]) -> dict[str, Any]:
    return {**content, "cpu": _text(content["cpu"]), "cores": _whole(content["cores"])}


def _passes(content: list[list[int]]) -> tuple[NDArray[np.int64], ...]:
    return tuple(_samples(samples) for samples in content)


def _samples(content: list[int]) -> NDArray[np.int64]:
    return np.array([_whole(value) for value in content], dtype=np.int64)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r:.40} is no whole number")
    return value


def _no_number(name: str) -> float:
    """Of NaN and Infinity, which Python reads though they are no JSON."""
    raise ValueError(f"{name} is no number")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no text")
    return value
