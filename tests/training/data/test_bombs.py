"""Small files that state large sizes: refused in one line, in little memory."""

import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAX_MB = 150
"""Above a child that only imports."""

READ = """
import resource, sys
from pathlib import Path
from training.data import DataError
from training.data.batch_pickle import load_batch
from training.data.cifar10 import parse_python
from training.data.tar import tar_members
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
def members(path):
    for _ in tar_members(path, lambda member: member.name.startswith("train"), 1 << 20):
        pass
start = peak()
path = Path(sys.argv[1])
try:
    parse_python(path.read_bytes(), "batch") if path.suffix == ".pickle" else members(path)
except DataError as error:
    print(error)
print(peak() - start)
"""


def read(path: Path) -> tuple[str, float]:
    """The error, or "", and by how many MB the child's peak memory grew."""
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "runtime"), str(ROOT)))},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *error, grown = done.stdout.splitlines()
    assert len(error) <= 1
    return "".join(error), float(grown)


_REPEATED = b"\x80\x02(" + b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20) + b"q\x00"
_ENCODE = b"c_codecs\nencode\nq\x01"
_CALL = b"h\x01h\x00X\x06\x00\x00\x00latin1\x86R"

PICKLES = {
    "memo": b"Nr\xff\xff\xff\x1f.",
    "text memo": b"Np4000000000\n.",
    "bytes": b"\x80\x03B\xff\xff\xff\x7f.",
    "long bytes": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 34) + b".",
    "text": b"X\xff\xff\xff\x7f.",
    "bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 34) + b".",
    "integer": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 34) + b"N.",
    "array": b"\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x7f\x85R.",
    "array by new": b"\x80\x02cnumpy\nndarray\nJ\x00\x00\x00\x7f\x85\x81.",
    "repeated": _REPEATED + _ENCODE + _CALL * 2000 + b"l.",
    "lists": b"\x80\x02(" + b"]" * 8_000_000 + b"l.",
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_pickle_costs_what_it_brings(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pickle"
    path.write_bytes(PICKLES[name])
    error, grown = read(path)
    assert error.startswith("batch: not a CIFAR-10 batch")
    assert grown < MAX_MB


def header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("train/cat/1.png")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_long_header_is_refused_unread(kind: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", 1) as stream:
        stream.write(header(kind, 400 << 20))
        for _ in range(400):
            stream.write(bytes(1 << 20))
    error, grown = read(path)
    assert "a header of 419,430,400 bytes" in error
    assert grown < MAX_MB


def test_many_members_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    with gzip.open(path, "wb", 1) as stream:
        for _ in range(40):
            stream.write(header(tarfile.REGTYPE, 0) * 1000)
        stream.write(bytes(2 * tarfile.RECORDSIZE))
    error, grown = read(path)
    assert error == ""
    assert grown < 15  # a header costs a kilobyte


@pytest.mark.parametrize("version", ["1.0", "0.1", "old"])
def test_sparse_files_are_refused(version: str, tmp_path: Path) -> None:
    path = tmp_path / "sparse.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("train/cat/1.png")
        if version == "old":
            info.type = tarfile.GNUTYPE_SPARSE
        elif version == "1.0":
            info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
        else:
            info.pax_headers = {"GNU.sparse.map": "0,1"}
        archive.addfile(info)
    error, _ = read(path)
    assert "sparse" in error


def test_a_huge_dictionary_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.xz"
    one_mib = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(bytes(1 << 12), filters=one_mib))
    # The block header: its LZMA2 property byte states the dictionary; 40 is 4 GiB - 1.
    at = content.index(b"\x21\x01", 12) + 2
    content[at] = 40
    end = 12 + (content[12] + 1) * 4
    content[end - 4 : end] = struct.pack("<I", zlib.crc32(content[12 : end - 4]))
    path.write_bytes(content)
    error, grown = read(path)
    assert "emory usage limit" in error
    assert grown < MAX_MB


def test_concatenated_and_padded_xz_streams_are_one_archive(tmp_path: Path) -> None:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("train/cat/1.png"))
    content = plain.getvalue()
    path = tmp_path / "two.tar.xz"
    path.write_bytes(lzma.compress(content[:700]) + bytes(8) + lzma.compress(content[700:]))
    assert read(path)[0] == ""
    path.write_bytes(lzma.compress(content[:700]) + lzma.compress(content[700:])[:-9])
    assert "not a whole tar archive" in read(path)[0]
