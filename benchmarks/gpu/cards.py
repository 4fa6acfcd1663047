"""Peak throughput of known cards, to tell which share of it a training uses."""

import re
from collections.abc import Sequence

PEAKS = {
    # NVIDIA Ampere Architecture In-Depth (developer.nvidia.com/blog), table 1: Peak FP16 Tensor
    # TFLOPS with FP32 Accumulate.
    "V100-SXM2": 125.0,
    # V100 data sheet (volta-v100-datasheet-update-us-1165301-r5): Deep Learning.
    "V100-PCIE": 112.0,
    # T4 data sheet (t4-tensor-core-datasheet-951643): Mixed-Precision (FP16/FP32).
    "T4": 65.0,
    # A10 data sheet: BFLOAT16 Tensor Core 125 TF | 250 TF with sparsity.
    "A10": 125.0,
    # A40 data sheet: Peak BF16 Tensor TFLOPS with FP32 Accumulate 149.7 | 299.4 with sparsity.
    "A40": 149.7,
    # A100 data sheet (nvidia-a100-datasheet-nvidia-us-2188504-web), PCIe and SXM: BFLOAT16 Tensor
    # Core 312 TFLOPS | 624 TFLOPS with sparsity.
    "A100": 312.0,
    # nvidia.com/data-center/l4: BFLOAT16 Tensor Core 242 teraFLOPS with sparsity, halved.
    "L4": 121.0,
    # L40S data sheet (l40s-datasheet-28413): BFLOAT16 Tensor Core 362.05 | 733 with sparsity.
    "L40S": 362.05,
    # H100 data sheet (nvidia-tensor-core-gpu-datasheet): BFLOAT16 Tensor Core 1,979 (SXM) and 1,513
    # teraFLOPS (PCIe) with sparsity, here halved.
    "H100 80GB": 989.5,
    "H100 PCIe": 756.5,
    # NVIDIA Ada GPU Architecture, appendix A: Peak BF16 Tensor TFLOPS with FP32 Accumulate
    # 165.2 / 330.4 with sparsity.
    "RTX 4090": 165.2,
}
"""TFLOP/s by a part of the card's name: half precision in the tensor cores, accumulated in float32,
without sparsity. Only cards whose figure was found as NVIDIA prints it."""


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
        # As a word: an A10G is no A10, and an RTX 4090 D or laptop no RTX 4090.
        if re.search(rf"(?<!\w){re.escape(part)}(?![\w]| Ti| Laptop| D\b)", card):
            return peak
    return None
