"""Hostile pictures, a deterministic one for each seed and index.

Small ones of every format and mode are damaged here. Those near the limits are written once, by
`write_large`: making one takes more memory than decoding it, and the decoder's is to be measured.
"""

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, TiffImagePlugin

Rng = np.random.Generator
ORIENTATION = 0x0112

ENCODINGS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    "jpeg": ("JPEG", ("L", "RGB", "CMYK"), {}),
    "progressive": ("JPEG", ("L", "RGB", "CMYK"), {"progressive": True, "subsampling": 0}),
    "png": ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"), {}),
    "webp": ("WEBP", ("RGB", "RGBA"), {}),
    "webp-lossless": ("WEBP", ("RGB", "RGBA"), {"lossless": True}),
    "gif": ("GIF", ("L", "P"), {}),
    "bmp": ("BMP", ("1", "L", "P", "RGB", "RGBA"), {}),
    "tiff": ("TIFF", ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"), {}),
    "tiff-lzw": ("TIFF", ("L", "P", "RGB", "RGBA"), {"compression": "tiff_lzw"}),
    "tiff-zip": ("TIFF", ("L", "RGB", "I;16"), {"compression": "tiff_adobe_deflate"}),
    "tiff-jpeg": ("TIFF", ("L", "RGB"), {"compression": "jpeg"}),
    "tiff-fax": ("TIFF", ("1",), {"compression": "group4"}),
    "ppm": ("PPM", ("1", "L", "RGB", "I;16"), {}),
    "avif": ("AVIF", ("RGB", "RGBA"), {"speed": 10}),
    # Not read: they must be refused, whatever Pillow makes of them.
    "tga": ("TGA", ("RGB", "RGBA"), {}),
    "ico": ("ICO", ("RGBA",), {}),
    "jpeg2000": ("JPEG2000", ("RGB",), {}),
    "dds": ("DDS", ("RGB", "RGBA"), {}),
    "pcx": ("PCX", ("RGB",), {}),
}


class Case(NamedTuple):
    kind: str
    source: Any
    """What `to_pixels` is given."""


def case(rng: Rng, folder: Path, large: list[Path]) -> Case:
    """One hostile source; files are written below `folder`."""
    makers: list[tuple[float, Callable[[], Case]]] = [
        (0.20, lambda: Case("whole", encoded(rng))),
        (0.14, lambda: Case("truncated", truncated(rng, encoded(rng)))),
        (0.26, lambda: Case("mutated", mutated(rng, encoded(rng)))),
        (0.12, lambda: Case("huge size", huge(rng))),
        (0.05, lambda: Case("rubbish", rubbish(rng))),
        (0.10, lambda: Case("PIL image", pil_image(rng))),
        (0.06, lambda: Case("array", array(rng))),
        (0.05, lambda: Case("path", path(rng, folder))),
        (0.02, lambda: Case("large", large[int(rng.integers(len(large)))] if large else b"")),
    ]
    chosen = int(rng.choice(len(makers), p=[weight for weight, _ in makers]))
    made = makers[chosen][1]()
    if isinstance(made.source, bytes) and rng.random() < 0.3:
        file = folder / f"picture{int(rng.integers(8))}{name_end(rng)}"
        file.write_bytes(made.source)
        return Case(made.kind, file)
    return made


def name_end(rng: Rng) -> str:
    return str(rng.choice([".jpg", ".png", "\x1b[31m.gif", "\n.tif", ".ico", "", "\u202egpj.exe"]))


def picture(rng: Rng, mode: str, side: int = 90) -> Image.Image:
    """Soft shapes of random size, in any of Pillow's modes."""
    width, height = (int(x) for x in rng.integers(1, side, 2))
    shape = (int(rng.integers(1, 6)), int(rng.integers(1, 6)), 4)
    shapes = Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8))
    image = shapes.resize((width, height), Image.Resampling.BICUBIC)
    if mode.startswith("I;16"):
        values = np.asarray(image.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(values if mode == "I;16" else values.astype(">u2"))
    if mode == "F":
        values32 = np.asarray(image.convert("L")) / np.float32(255)
        values32[0, 0] = rng.choice([np.nan, np.inf, 0.5, 1e30])
        return Image.fromarray(values32)
    if mode in ("La", "RGBa"):
        return image.convert("LA" if mode == "La" else "RGBA").convert(mode)
    if mode == "LAB":
        return Image.merge("LAB", image.convert("RGB").split())
    return image.convert(mode) if mode == "LA" else image.convert("RGB").convert(mode)


def encoded(rng: Rng) -> bytes:
    """A whole file, sometimes with EXIF data, an ICC profile or a transparency that are junk."""
    name, modes, options = ENCODINGS[str(rng.choice(list(ENCODINGS)))]
    image = picture(rng, str(rng.choice(modes)))
    options = dict(options)
    if name in ("JPEG", "PNG", "WEBP", "AVIF", "TIFF") and rng.random() < 0.4:
        exif = Image.Exif()
        values = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 65535]
        exif[ORIENTATION] = values[int(rng.integers(8 if name == "TIFF" else len(values)))]
        options["exif"] = exif
        if rng.random() < 0.4 and name in ("JPEG", "PNG"):
            options["exif"] = b"Exif\0\0" + mutated(rng, exif.tobytes()[6:])
    if name in ("JPEG", "PNG", "TIFF", "WEBP") and rng.random() < 0.2:
        options["icc_profile"] = rng.bytes(int(rng.integers(1, 500)))
    if name == "PNG" and image.mode in ("L", "P", "RGB") and rng.random() < 0.3:
        value = tuple(int(v) for v in rng.integers(0, 256, 3))
        options["transparency"] = value if image.mode == "RGB" else value[0]
    if name == "TIFF" and rng.random() < 0.3 and not {"exif", "compression"} & {*options}:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[281] = int(rng.choice([255, 1023, 4095, 65535, 77]))
        options["tiffinfo"] = tags
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def truncated(rng: Rng, content: bytes) -> bytes:
    return content[: int(rng.integers(0, len(content) + 1))]


def mutated(rng: Rng, content: bytes) -> bytes:
    """Bytes changed, swapped for others that decoders act upon, cut out or doubled."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 9))):
        if not changed:
            break
        at = int(rng.integers(len(changed)))
        if rng.random() < 0.5:  # headers are where it hurts
            at = int(rng.integers(min(len(changed), 64)))
        what = rng.random()
        if what < 0.5:
            changed[at] = int(rng.integers(256))
        elif what < 0.75:
            width = int(rng.choice([1, 2, 4]))
            value = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
            changed[at : at + width] = bytes([value]) * width
        elif what < 0.9:
            del changed[at : at + int(rng.integers(1, 20))]
        else:
            changed[at:at] = changed[at : at + int(rng.integers(1, 2000))]
    return bytes(changed)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def huge(rng: Rng) -> bytes:
    """A small file that claims a huge picture, in the header of any format."""
    width = int(rng.choice([1, 3999, 4001, 9999, 16383, 32767, 65535, 2**20, 2**31 - 1]))
    height = int(rng.choice([1, 3999, 4001, 9999, 16383, 32767, 65535, 2**20, 2**31 - 1]))
    kind = str(rng.choice(["png", "gif", "bmp", "ppm", "tiff", "jpeg", "webp", "avif"]))
    low = (min(width, 65535), min(height, 65535))
    if kind == "png":
        bits, colour = [(8, 2), (8, 6), (16, 0), (1, 0), (8, 3), (16, 6)][int(rng.integers(6))]
        header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(rng.integers(2)))
        packer = zlib.compressobj()
        data = packer.compress(bytes(100_000)) + packer.flush()
        palette = png_chunk(b"PLTE", bytes(3)) if colour == 3 else b""
        return (
            b"\x89PNG\r\n\x1a\n"
            + png_chunk(b"IHDR", header)
            + palette
            + png_chunk(b"IDAT", data)
            + png_chunk(b"IEND", b"")
        )
    if kind == "ppm":
        magic, maximum = str(rng.choice(["P4", "P5", "P6"])), int(rng.choice([1, 255, 1023, 65535]))
        rest = f" {maximum}" if magic != "P4" else ""
        return f"{magic} {width} {height}{rest}\n".encode() + rng.bytes(2000)
    name = {"gif": "GIF", "bmp": "BMP", "tiff": "TIFF", "jpeg": "JPEG", "webp": "WEBP"}.get(kind)
    stream = io.BytesIO()
    extra = {"exif": b"Exif\0\0II*\0"} if kind == "webp" else {}
    options = {"progressive": bool(rng.integers(2))} if kind == "jpeg" else extra
    Image.new("RGB", (77, 55), (9, 99, 199)).save(stream, name or "AVIF", **options)
    content = stream.getvalue()
    if kind == "gif":
        content = content[:6] + struct.pack("<HH", *low) + content[10:]
        return content.replace(struct.pack("<HH", 77, 55), struct.pack("<HH", *low))
    if kind == "bmp":
        return content[:18] + struct.pack("<ii", width, height) + content[26:]
    if kind == "jpeg":
        return content.replace(struct.pack(">HH", 55, 77), struct.pack(">HH", low[1], low[0]), 1)
    if kind == "webp":
        wide = struct.pack("<I", min(width, 1 << 14) - 1)[:3]
        high = struct.pack("<I", min(height, 1 << 14) - 1)[:3]
        old = struct.pack("<I", 76)[:3] + struct.pack("<I", 54)[:3]
        content = content.replace(old, wide + high)
        size = struct.pack("<HH", min(low[0], 16383), min(low[1], 16383))
        return content.replace(struct.pack("<HH", 77, 55), size)
    number = ">I" if kind == "avif" else "<I"
    for old_value, new_value in ((77, width), (55, height)):
        content = content.replace(struct.pack(number, old_value), struct.pack(number, new_value))
    if kind == "tiff":
        for old_value, new_value in ((77, low[0]), (55, low[1])):
            old_field = struct.pack("<H", old_value) + b"\0\0"
            content = content.replace(old_field, struct.pack("<H", new_value) + b"\0\0")
    return content


def rubbish(rng: Rng) -> bytes:
    """Random bytes, after the beginning of a format or none."""
    beginnings = [
        b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*", b"II+\0",
        b"RIFF\xff\xff\0\0WEBP", b"P4\n", b"P6 9 9 255\n", b"\0\0\0\x20ftypavif", b"DDS ", b"%!PS",
    ]  # fmt: skip
    return beginnings[int(rng.integers(len(beginnings)))] + rng.bytes(int(rng.integers(0, 3000)))


def pil_image(rng: Rng) -> Any:
    """An image of any mode, closed ones, and such as `Image.open` has only looked at."""
    what = rng.random()
    modes = ("1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "LA", "PA",
             "RGBX", "RGBa", "La", "I;16", "I;16B")  # fmt: skip
    if what < 0.5:
        image = picture(rng, str(rng.choice(modes)))
        if rng.random() < 0.3:
            exif = Image.Exif()
            exif[ORIENTATION] = int(rng.integers(0, 10))
            image.info["exif"] = exif.tobytes()
        return image
    if what < 0.6:
        size = [(0, 0), (0, 9), (5000, 4000), (1, 20_000_000)][int(rng.integers(4))]
        return Image.new("L", size)
    content = encoded(rng)
    if what < 0.9:
        content = mutated(rng, content)
    try:
        image = Image.open(io.BytesIO(content))
    except Exception:  # the caller's business, not ours
        return Image.new("RGB", (3, 3))
    if rng.random() < 0.1:
        image.close()
    return image


def array(rng: Rng) -> Any:
    """Arrays of other types, shapes, strides and sizes."""
    kind = str(rng.choice(["uint8", "float32", "int64", "bool", "object", "complex64", "<U3"]))
    shapes = [(32, 32, 3), (5, 9, 3), (0, 3, 3), (3, 3), (3, 3, 4), (1, 1, 3), (2, 2, 2, 3), ()]
    shape = shapes[int(rng.integers(len(shapes)))]
    what = rng.random()
    if what < 0.4:
        return np.zeros(shape, dtype=kind)
    if what < 0.6:  # without any memory of its own
        return np.broadcast_to(np.uint8(7), (int(rng.choice([300, 5000, 10**6])), 4001, 3))
    values = rng.integers(0, 256, (50, 40, 3), dtype=np.uint8)
    return [values[::-1], values[::2, ::3], values.transpose(1, 0, 2), values[..., ::-1]][
        int(rng.integers(4))
    ]


class _NoPath(os.PathLike[str]):
    def __fspath__(self) -> str:
        raise RuntimeError("no path")


def path(rng: Rng, folder: Path) -> Any:
    """Names that are no files, too long, or act on terminals; and what is no regular file."""
    pipe, sock = folder / "pipe", folder / "socket"
    if not pipe.exists():
        os.mkfifo(pipe)
    if not sock.exists():
        socket.socket(socket.AF_UNIX).bind(str(sock))
    sources = [
        folder, pipe if rng.random() < 0.1 else folder, sock, "/dev/zero", "/dev/null", "/dev/full",
        "a" * 300, "a/" * 3000, "", "\0", "\x1b[31m", "\udc9b31m", "\u202e", "absent\n.png",
        "/proc/self/mem", "/proc/self/environ", b"", bytearray(b"GIF89a"), memoryview(b"BM")[::-1],
        None, 7, 1.5, [], {}, object(), _NoPath(), np.uint8(3), memoryview(bytes(16))[::2],
    ]  # fmt: skip
    return sources[int(rng.integers(len(sources)))]


def write_large(folder: Path) -> list[Path]:
    """Pictures just within and just beyond the limits, of every format, flat and so of few bytes.

    They are written by a process of its own, as encoding takes more memory than decoding.
    """
    sizes = {"12": (4000, 3000), "16": (4000, 4000), "17": (4100, 4100)}
    jpegs = {"98": (14000, 7000), "101": (14000, 7300)}
    for name, size in {**sizes, **jpegs}.items():
        shades = Image.linear_gradient("L").resize((64, 64))
        image = Image.merge("RGB", (shades, shades.rotate(90), shades.rotate(180))).resize(size)
        turned = Image.Exif()
        turned[ORIENTATION] = 6
        image.save(folder / f"{name}.jpg", quality=30)
        if name in jpegs:
            continue
        alpha = image.copy()
        alpha.putalpha(image.getchannel(0))
        grey16 = Image.fromarray(np.asarray(image.getchannel(0)).astype(np.uint16) * 257)
        image.save(folder / f"{name}-progressive.jpg", progressive=True, subsampling=0, quality=30)
        image.convert("CMYK").save(folder / f"{name}-cmyk.jpg", progressive=True, quality=30)
        image.save(folder / f"{name}-turned.jpg", exif=turned, quality=30)
        alpha.save(folder / f"{name}.png", compress_level=1, exif=turned)
        grey16.save(folder / f"{name}-16.png", compress_level=1)
        image.quantize(8).save(folder / f"{name}.gif")
        alpha.save(folder / f"{name}.webp", lossless=True, method=0, quality=0)
        image.save(folder / f"{name}-lossy.webp", method=0, quality=20)
        alpha.save(folder / f"{name}.avif", speed=10, quality=10, subsampling="4:4:4")
        options: dict[str, Any] = {"compression": "tiff_lzw", "strip_size": 1 << 30}
        alpha.save(folder / f"{name}.tif", exif=turned, **options)
        grey16.save(folder / f"{name}-16.tif", **options)
        image.save(folder / f"{name}.bmp")
        image.save(folder / f"{name}.ppm")
    return sorted(folder.iterdir())
