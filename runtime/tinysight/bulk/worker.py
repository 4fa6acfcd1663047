"""The classifier in Daft's workers, made once in each: an engine's session does not pickle."""

from typing import Any

import daft
from daft import DataType

from tinysight.bulk.sources import Reader, Reference, escape_surrogates
from tinysight.classifier import Classifier, Confidence, Prediction
from tinysight.errors import ImageError

BATCH = 1000
"""Images that a worker is given at a time: all that it holds of them."""

ANSWER = DataType.struct(
    {
        "label": DataType.string(),
        "probability": DataType.float64(),
        "top": DataType.list(
            DataType.struct({"label": DataType.string(), "probability": DataType.float64()})
        ),
        "error": DataType.string(),
    }
)
"""Of what `tinysight classify --json` has: an error, or the others; an unknown label is null."""


class BulkClassifier:
    """Answers for references (`tinysight.bulk.sources`)."""

    def __init__(
        self,
        bundle: str | None,
        artifact: str | None,
        engine: str | None,
        top_k: int,
        min_confidence: Confidence,
    ) -> None:
        self._classifier = Classifier.load(bundle, artifact=artifact, engine=engine, threads=1)
        self._top_k, self._min_confidence = top_k, min_confidence
        self._reader = Reader()

    @daft.method.batch(return_dtype=ANSWER, batch_size=BATCH)  # type: ignore[untyped-decorator]
    def answer(self, path: Any, file: Any, offset: Any, size: Any, row: Any) -> list[Any]:
        """A struct `ANSWER` for each reference, whose fields come as columns."""
        files = [name.decode(errors="surrogatepass") for name in file.to_pylist()]
        paths, *places = (column.to_pylist() for column in (path, offset, size, row))
        found = [Reference(*fields) for fields in zip(paths, files, *places, strict=True)]
        sources = [self._reader.read(one) for one in found]
        answers = self._classifier.classify_many(
            [source for source in sources if not isinstance(source, ImageError)],
            top_k=self._top_k,
            min_confidence=self._min_confidence,
            on_error="yield",
        )
        return [
            _struct(source if isinstance(source, ImageError) else next(answers))
            for source in sources
        ]


def _struct(answer: Prediction | ImageError) -> dict[str, Any]:
    if isinstance(answer, ImageError):
        error = escape_surrogates(str(answer))
        return {"label": None, "probability": None, "top": None, "error": error}
    top = [
        {"label": label, "probability": round(probability, 6)} for label, probability in answer.top
    ]
    probability = round(answer.probability, 6)
    return {"label": answer.label, "probability": probability, "top": top, "error": None}
