"""Peak throughput of known cards, to tell which share of it a training uses."""

import re
from collections.abc import Sequence

PEAKS = {
    "V100-SXM2": 125.0,
    "V100-PCIE": 112.0,
    "T4": 65.0,
    "A10": 125.0,
    "A30": 165.0,
    "A40": 149.7,
    "A100": 312.0,
    "L4": 121.0,
    "L40S": 362.0,
    "H100 80GB": 989.5,
    "H100 PCIe": 756.5,
    "RTX 3090": 71.0,
    "RTX 4090": 165.2,
}
"""TFLOP/s by a part of the card's name: half precision in the tensor cores, accumulated in float32,
without sparsity. From NVIDIA's data sheets of the cards (half of the figure where the sheet counts
sparsity: L4, H100) and, of the GeForce cards, the whitepapers of GA102 and AD102."""


def peak_flops(cards: Sequence[str]) -> float | None:
    """FLOP/s of all cards together in half precision; None where one is not known.

    Args:
        cards: product names, as TensorFlow gives them.
    """
    each = [_peak(card) for card in cards]
    known = [one for one in each if one is not None]
    return 1e12 * sum(known) if known and len(known) == len(each) else None


def _peak(card: str) -> float | None:
    for part, peak in PEAKS.items():
        # As a word: an A10G is no A10, and an RTX 3090 Ti no RTX 3090.
        if re.search(rf"(?<!\w){re.escape(part)}(?![\w]| Ti| Laptop| D\b)", card):
            return peak
    return None
