"""Unpickles a batch of CIFAR-10, and nothing else, in memory that the file's size bounds.

A pickle is a program. Seven bytes of one make Python's unpickler allocate gigabytes, since it
believes a stated size or memo index before it has read anything.
"""

import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_OPCODES = 1_000_000
"""Each may cost some 100 bytes. A batch of 10,000 images has 40,000 to 90,000."""
_MAX_ARRAYS = 4
_MAX_DTYPE = 8
"""Characters of a dtype's name, as in "u1"."""


def load_batch(content: bytes) -> Any:
    """What a pickle of Python 2 or 3 holds: builtin types, bytes and arrays.

    Raises whatever the unpickler raises: UnpicklingError for what is not admitted, and any other
    exception for what is malformed.
    """
    _check_opcodes(content)
    return _BatchUnpickler(content).load()


def _check_opcodes(content: bytes) -> None:
    """Refuses what would allocate more than it brings. Runs nothing of it."""
    # pickletools reads an argument before it believes its size, and raises where it is not there.
    for count, (opcode, argument, _) in enumerate(pickletools.genops(content), start=1):
        if count > MAX_OPCODES:
            raise pickle.UnpicklingError(f"more than {MAX_OPCODES:,} opcodes")
        # A pickler counts its memo up; the unpickler's table has the size of the largest index.
        if opcode.name in _PUTS and (argument or 0) > count:
            raise pickle.UnpicklingError(f"a memo index of {argument:,}")
        if opcode.name == "FRAME" and (argument or 0) > len(content):
            raise pickle.UnpicklingError(f"a frame of {argument:,} bytes")


_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")


class _BatchUnpickler(pickle.Unpickler):
    """Knows stand-ins for the five names that numpy's and Python's picklers write, and no other."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self._arrays = 0
        self._encodable = len(content)
        self._admitted: dict[tuple[str, str], Callable[..., Any] | str] = {
            ("numpy", "ndarray"): "ndarray",  # only ever the first argument of _reconstruct
            ("numpy", "dtype"): _dtype,
            # numpy.core is gone from newer numpy, but the archive of 2009 names it.
            ("numpy.core.multiarray", "_reconstruct"): self._reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): self._reconstruct,
            ("_codecs", "encode"): self._encode,  # how Python 3 pickles bytes for Python 2
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._admitted:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return self._admitted[module, name]

    def _reconstruct(self, kind: object, shape: object, code: object) -> NDArray[Any]:  # noqa: ARG002
        """An empty array, which the pickle then fills with bytes that it brings."""
        self._arrays += 1
        if self._arrays > _MAX_ARRAYS:
            raise pickle.UnpicklingError(f"more than {_MAX_ARRAYS} arrays")
        return np.empty(0, np.uint8)

    def _encode(self, text: str, encoding: str) -> bytes:
        """A text may be repeated by its memo index: all must not be more than the file."""
        self._encodable -= len(text)
        if self._encodable < 0 or encoding != "latin1":
            raise pickle.UnpicklingError("encoded texts that are no pickled bytes")
        return text.encode("latin1")


def _dtype(code: str | bytes, *_: object) -> np.dtype[Any]:
    if not isinstance(code, str | bytes) or len(code) > _MAX_DTYPE:
        raise pickle.UnpicklingError("a dtype that is no name")
    return np.dtype(code if isinstance(code, str) else code.decode("ascii"))
