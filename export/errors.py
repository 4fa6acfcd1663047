"""The error of this stage. It imports nothing heavy: the page is written without onnx."""

from tinysight.errors import TinysightError


class ExportError(TinysightError):
    """A model that cannot be exported as asked."""
