"""How every command prints an answer."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from tinysight.classifier import Prediction
from tinysight.errors import printable


def prediction_fields(prediction: Prediction) -> dict[str, Any]:
    """For a JSON object: label (null where unknown), index, probability and energy score, and the
    ranked classes."""
    return {
        "label": prediction.label,
        "index": prediction.index,
        "probability": round(prediction.probability, 6),
        "energy_score": round(prediction.energy_score, 6),
        "top": [
            {"label": label, "probability": round(probability, 6)}
            for label, probability in prediction.top
        ],
    }


def prediction_text(prediction: Prediction) -> str:
    """The ranked classes with their probabilities, after "unknown" where no label is given."""
    ranked = (f"{printable(label)} {probability:6.1%}" for label, probability in prediction.top)
    unknown = "unknown  " if prediction.label is None else ""
    return unknown + "  ".join(ranked)


def csv_header(top_k: int) -> str:
    """The columns of `csv_row`."""
    ranked = [("label", "probability")]
    ranked += [(f"label_{rank}", f"probability_{rank}") for rank in range(2, top_k + 1)]
    return _csv_line(["path", *(name for pair in ranked for name in pair)])


def csv_row(path: str, prediction: Prediction) -> str:
    """A path with the ranked classes and their probabilities; an unknown label is empty."""
    cells: list[object] = [path]
    for label, probability in prediction.top:
        cells += [label, round(probability, 6)]
    if prediction.label is None:
        cells[1] = ""
    return _csv_line(cells)


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(cells)
    return line.getvalue()
