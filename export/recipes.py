"""What can be made of a trained model, by name.

A recipe's name says what is done to the model, in the order in which it is done:

    float32         nothing: weights and activations stay as they were trained
    static_w8a8     static quantization: 8-bit weights (w8) and 8-bit activations (a8), whose ranges
                    are found beforehand on calibration images

Each is made for ONNX and for TFLite; `<recipe>.onnx` and `<recipe>.tflite` are the files.
"""

from dataclasses import dataclass

from export.parity import Parity


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far an artifact may be from the trained model on the validation images."""

    max_relative: float
    """Largest logit difference over the logits' spread."""
    max_drop: float
    """Loss of accuracy, as a fraction of all images."""
    golden: float
    """For `tinysight verify` on another device: as `max_relative`."""

    def objection(self, parity: Parity, reference: Parity) -> str | None:
        """What is wrong with an artifact, in words; None where nothing is."""
        if not parity.max_relative <= self.max_relative:  # so that NaN, too, is objected to
            return (
                f"its logits differ by up to {parity.max_relative:.2g} of their spread, "
                f"allowed are {self.max_relative:.2g}"
            )
        drop = reference.accuracy.value - parity.accuracy.value
        if drop > self.max_drop:
            return f"it loses {drop:.2%} of validation accuracy, allowed are {self.max_drop:.2%}"
        return None


RECIPES = {
    # Float arithmetic in another order: some units in the last place of the largest logit.
    "float32": Tolerance(max_relative=1e-4, max_drop=0.001, golden=1e-3),
    # One logit may be far off where the answer is not, so accuracy is what bounds it. A CPU
    # without the same 8-bit instructions rounds elsewhere; golden answers allow for that.
    "static_w8a8": Tolerance(max_relative=1.0, max_drop=0.01, golden=0.05),
}
FORMATS = ("onnx", "tflite")
