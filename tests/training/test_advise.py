"""What `advise` sees in a folder of pictures, and what it says."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.cli import main, parser
from training.duplicates import near_duplicates


def photo(seed: int, side: int = 128) -> Image.Image:
    """A smooth random picture; two seeds give two that do not correlate."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """80 pears and 12 plums to train on; a test part of 8, one of them a training picture again."""
    root, seed = tmp_path / "fruit", 0
    for part, label, count in (
        ("train", "pear", 80),
        ("train", "plum", 12),
        ("test", "pear", 4),
        ("test", "plum", 4),
    ):
        (root / part / label).mkdir(parents=True)
        for i in range(count):
            photo(seed).save(root / part / label / f"{i:02}.png")
            seed += 1
    with Image.open(root / "train" / "pear" / "07.png") as again:
        again.resize((90, 90)).save(root / "test" / "plum" / "03.jpg", quality=70)
    (root / "train" / "pear" / "99.jpg").write_bytes(b"damaged")
    (root / "train" / "pear" / "notes.txt").write_text("no picture")
    return root


def test_it_counts_and_names_what_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advise", str(folder), "--json"]) == 0
    advice = json.loads(capsys.readouterr().out)
    assert advice["counts"] == {"train": {"pear": 80, "plum": 12}, "test": {"pear": 4, "plum": 5}}
    assert advice["median_size"] == [128, 128]
    assert [(pair["test"], pair["train"]) for pair in advice["duplicates"]] == [
        ("test/plum/03.jpg", "train/pear/07.png")
    ]
    assert any("cannot be read, and are left out: 1" in note for note in advice["notes"])
    assert [one.split(": ")[0] for one in advice["broken"]] == ["train/pear/99.jpg"]
    text = " ".join(advice["suggestions"])
    assert "1 of 9 test pictures are nearly training pictures" in text
    assert "fewer than 20 training pictures of plum" in text
    assert "80 of pear and 12 of plum" in text
    assert "9 test pictures leave a wide interval" in text
    assert "--size 64" in text


def test_the_command_that_it_prints_is_one_that_runs(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["advise", str(folder)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert any(line.strip().startswith("train/pear/99.jpg: ") for line in out)
    assert out[-1].startswith("Next: ")
    commands = [line.split("-m training ")[1].split() for line in out if "-m training " in line]
    assert [words[0] for words in commands] == ["crossval", "run"]
    for words in commands:
        args = parser().parse_args(words)
        assert (args.model, args.data, args.size) == ("edge_m", str(folder), 64)
        assert args.skip_broken  # one picture is damaged


def test_an_archive_is_looked_at_as_its_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = shutil.make_archive(str(tmp_path / "packed"), "gztar", folder.parent, folder.name)
    assert main(["advise", archive, "--json"]) == 0
    packed = json.loads(capsys.readouterr().out)
    assert main(["advise", str(folder), "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert packed["duplicates"] == plain["duplicates"]
    assert packed["counts"] == plain["counts"]


def test_what_is_no_data_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(tmp_path / "nowhere")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_compressed_copy_is_found_and_another_photo_is_not() -> None:
    images = [np.asarray(photo(seed, 32)) for seed in range(50)]
    copies = []
    for pixels in images[:10]:
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "JPEG", quality=75)
        with Image.open(content) as opened:
            copies.append(np.asarray(opened.convert("RGB")))
    every = np.stack([*images, *copies])
    found = near_duplicates(every, np.arange(40), np.arange(40, 60))
    assert [(one.test, one.train) for one in found] == [(50 + i, i) for i in range(10)]
    assert min(one.correlation for one in found) > 0.98


def test_even_images_are_nobodys_duplicates() -> None:
    even = np.full((4, 32, 32, 3), 7, dtype=np.uint8)
    assert near_duplicates(even, np.arange(2), np.arange(2, 4)) == []
