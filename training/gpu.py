"""Whether TensorFlow can use this machine's GPUs, and what to do where it cannot."""

import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from training.tf_keras_setup import tf

_DRIVER = Path("/proc/driver/nvidia/version")
"""Is there where NVIDIA's kernel driver is loaded."""
_CUDA_WHEEL = "nvidia-cuda-runtime-cu12"
"""One of the packages of tensorflow[and-cuda]."""
_ON_CPU = "training on the CPU"


@dataclass(frozen=True, slots=True)
class GpuReport:
    """What TensorFlow and the system say about GPUs."""

    names: tuple[str, ...]
    """Of those that TensorFlow can use."""
    driver: bool
    """Whether NVIDIA's driver is loaded."""
    visible: str | None
    """CUDA_VISIBLE_DEVICES."""
    cuda_wheels: bool
    """Whether the CUDA libraries are installed from PyPI."""

    @classmethod
    def of_this_machine(cls) -> "GpuReport":
        return cls(
            names=tuple(map(name, tf.config.list_physical_devices("GPU"))),
            driver=_DRIVER.exists(),
            visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
            cuda_wheels=_installed(_CUDA_WHEEL),
        )

    def line(self) -> str | None:
        """One line for the user, with the cure where a GPU stays unused; None without a GPU."""
        if self.names:
            count = "1 GPU" if len(self.names) == 1 else f"{len(self.names)} GPUs"
            return f"{count}: {', '.join(self.names)}"
        if not self.driver:
            return None
        if self.visible is not None and self.visible.split(",")[0].strip() in ("", "-1"):
            return (
                f"The GPU is hidden by CUDA_VISIBLE_DEVICES={self.visible!r}: {_ON_CPU} "
                "(unset it to use the GPU)."
            )
        if not self.cuda_wheels:
            return (
                f"TensorFlow has no CUDA libraries for this machine's GPU: {_ON_CPU} "
                "(pip install -c constraints.txt -e '.[train-gpu]' adds them)."
            )
        return (
            f"TensorFlow cannot use this machine's GPU: {_ON_CPU} (CUDA 12 needs an NVIDIA driver "
            "of version 525 or newer; nvidia-smi shows yours)."
        )


def name(gpu: Any) -> str:
    """The product name of a physical GPU of TensorFlow."""
    details = tf.config.experimental.get_device_details(gpu)
    return str(details.get("device_name", gpu.name))


def _installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
