"""How every command prints an answer."""

from typing import Any

from tinysight.classifier import Prediction
from tinysight.errors import printable


def prediction_fields(prediction: Prediction) -> dict[str, Any]:
    """For a JSON object: label (null where unknown), index, probability and the ranked classes."""
    return {
        "label": prediction.label,
        "index": prediction.index,
        "probability": round(prediction.probability, 6),
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
