"""What a JPEG's header says of the way it will be decoded.

Pillow does not tell it: libjpeg decodes a JPEG of one scan line by line, but must hold the
coefficients of the whole picture for one of several, whatever the size that it is decoded to.
"""

from dataclasses import dataclass

from tinysight.errors import ImageError

_STANDALONE = {0x01, *range(0xD0, 0xD9)}  # TEM, RST0 to RST7, SOI: markers without a length
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SEQUENTIAL = {0xC0, 0xC1, 0xC9}  # baseline, extended, and with arithmetic coding
_START_OF_SCAN = 0xDA
COEFFICIENT_BYTES = 2
"""Of one of them in libjpeg; a component has as many as pixels, where it is not subsampled."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    components: int
    one_scan: bool
    """Whether its first scan is its last one, as in most photos; progressive ones have about ten.
    """


def read_header(content: bytes) -> JpegHeader:
    """Reads the markers to the first scan, as libjpeg does (ITU-T T.81, annex B).

    Raises ImageError where they end before it.
    """
    at, sequential, components = 2, False, 0
    while (at := content.find(b"\xff", at)) >= 0:
        while at < len(content) and content[at] == 0xFF:  # any number of them may precede a marker
            at += 1
        if at + 8 >= len(content):
            break
        marker = content[at]
        at += 1
        if marker == 0 or marker in _STANDALONE:
            continue
        if marker in _START_OF_FRAME:
            sequential, components = marker in _SEQUENTIAL, content[at + 7]
        elif marker == _START_OF_SCAN:
            return JpegHeader(components, sequential and content[at + 2] == components)
        at += max(2, int.from_bytes(content[at : at + 2], "big"))
    raise ImageError("a JPEG without a scan: truncated or damaged")
