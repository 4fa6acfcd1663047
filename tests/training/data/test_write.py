"""`python -m training split`: what it writes is the same data, with its test images as files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from training.cli import main
from training.data import load_dataset

Write = Callable[..., Path]


def test_the_written_folder_is_the_same_data(
    files: Mapping[str, bytes], folder: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = {name: content for name, content in files.items() if name.startswith("train/")}
    root, out = folder(train), tmp_path / "divided"
    assert main(["split", str(root), "--out", str(out)]) == 0
    assert "8 train, 2 test" in capsys.readouterr().out
    held_out, written = load_dataset(root), load_dataset(out)
    assert written.notes == ()
    for part in ("train", "test"):
        expected, actual = (
            {(data.targets[i], data.images[i].tobytes()) for i in data.parts[part]}
            for data in (held_out, written)
        )
        assert actual == expected
    assert main(["split", str(root), "--out", str(out)]) == 1
    assert "exists: choose another --out" in capsys.readouterr().err
