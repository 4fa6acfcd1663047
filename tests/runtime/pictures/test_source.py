"""What is read, and what is refused before it is: pipes, devices, folders, names, sizes."""

import io
import os
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinysight import ImageError
from tinysight.pictures import source
from tinysight.preprocess import to_pixels


def png() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (9, 9), (200, 10, 10)).save(stream, "PNG")
    return stream.getvalue()


def refused(what: object, *words: str) -> None:
    with pytest.raises(ImageError) as caught:
        to_pixels(what, 8, 8)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.isprintable()
    for word in words:
        assert word in message


def test_a_pipe_with_a_picture_gives_its_pixels() -> None:
    """Bash's `<(command)`: a name that is a pipe, and whose writer may be gone already."""
    reading, writing = os.pipe()
    os.write(writing, png())
    os.close(writing)
    try:
        pixels = to_pixels(f"/dev/fd/{reading}", 8, 8)
    finally:
        os.close(reading)
    np.testing.assert_array_equal(pixels, to_pixels(png(), 8, 8))


def test_a_pipe_that_is_written_in_parts_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = png() + bytes(300_000)  # more than a pipe holds at once

    def write() -> None:
        with pipe.open("wb") as stream:
            stream.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    np.testing.assert_array_equal(to_pixels(pipe, 8, 8), to_pixels(content, 8, 8))
    writer.join()


@pytest.mark.parametrize("written", [b"", b"\x89PNG"], ids=["nothing", "a beginning"])
def test_a_pipe_without_an_end_is_refused(
    written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PIPE_SECONDS", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)  # a writer that stays
    os.write(held, written)
    refused(pipe, str(pipe), "a pipe without an end", "standard input")
    os.close(held)
    refused(pipe, str(pipe))  # and one that never comes


def test_folders_devices_and_sockets_are_refused_unopened(tmp_path: Path) -> None:
    refused(tmp_path, "a folder")
    refused("/dev/zero", "a device")
    refused("/dev/null", "a device")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket"))
        refused(tmp_path / "socket", "a socket")


def test_what_is_too_large_is_refused_wherever_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = png()
    file, pipe = tmp_path / "picture.png", tmp_path / "pipe"
    file.write_bytes(content)
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    os.write(held, content)
    monkeypatch.setattr(source, "MAX_FILE_BYTES", len(content))
    assert to_pixels(file, 8, 8).shape == (8, 8, 3)
    monkeypatch.setattr(source, "MAX_FILE_BYTES", len(content) - 1)
    for what in (file, content, bytearray(content), memoryview(content), pipe):
        refused(what, "more than")
    os.close(held)


@pytest.mark.parametrize(
    "name", ["a" * 300, "a/" * 4000, "\0", "", "\x1b[31m.png", "a\nb", "\u202egpj.exe", "\udc9b"]
)
def test_any_name_is_refused_in_one_line_that_a_terminal_only_shows(name: str) -> None:
    with pytest.raises(ImageError) as caught:
        to_pixels(name, 8, 8)
    message = str(caught.value)
    assert not any(character in message for character in "\0\n\x1b\u202e")


def test_a_path_that_is_none_is_an_image_error() -> None:
    class Broken(os.PathLike[str]):
        def __fspath__(self) -> str:
            raise RuntimeError("no path")

    refused(Broken(), "no path")
    refused(memoryview(bytes(16))[::2], "8 bytes")
