"""`make wheel-dependencies`: the wheel with its oldest and with its newest dependencies.

Builds the wheel and installs it, with its second engine, into two new environments: one with the
lowest versions that its metadata allows, one with what the index has today. In each, every bundle
of the wheel verifies, and a picture is classified as with the other versions. It downloads some
200 MB and takes minutes, so it is no test of the suite. The lowest versions have wheels for Python
3.11 and 3.12.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement
from PIL import Image

ROOT = Path(__file__).parents[1]
EXTRA = "litert"


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = ("-m", "build", "--wheel", "--no-isolation", "-o", name)
        run(sys.executable, *build, cwd=ROOT)
        wheel = next(folder.glob("*.whl"))
        picture = folder / "picture.png"
        draw_picture(picture)
        lowest = [str(pin) for pin in lowest_versions(wheel)]
        answers = [
            try_wheel(folder / "oldest", wheel, lowest, picture),
            try_wheel(folder / "newest", wheel, [], picture),
        ]
    if answers[0] != answers[1]:
        print(f"FAIL  other labels: oldest {answers[0]}, newest {answers[1]}")
        return 1
    print(f"ok    all {len(answers[0])} classifications have the same label with both")
    return 0


def lowest_versions(wheel: Path) -> Iterator[Requirement]:
    """The wheel's requirements, and those of its second engine, pinned to the lowest allowed."""
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(archive.read(metadata).decode())
    for text in fields.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or "litert" in str(requirement.marker):
            (lowest,) = (part.version for part in requirement.specifier if part.operator == ">=")
            yield Requirement(f"{requirement.name}=={lowest}")


def try_wheel(home: Path, wheel: Path, pins: list[str], picture: Path) -> list[str]:
    """Installs the wheel into a new environment and tries it; the labels of the picture.

    Args:
        home: the folder of the environment.
        pins: requirements that hold beside the wheel's own.
    """
    venv.create(home, with_pip=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    python, tinysight = str(scripts / "python"), str(scripts / "tinysight")
    pip = (python, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--only-binary=:all:", f"{wheel}[{EXTRA}]", *pins)
    run(*pip, "check")
    listed = json.loads(run(*pip, "list", "--format", "json"))
    names = ("numpy", "onnxruntime", "pillow", "ai-edge-litert")
    versions = {one["name"].replace("_", "-").lower(): one["version"] for one in listed}
    print(f"{home.name}: {', '.join(f'{name} {versions[name]}' for name in names)}", flush=True)
    labels = []
    for bundle in sorted(folder.name for folder in (ROOT / "runtime/tinysight/bundles").iterdir()):
        print(f"  {run(tinysight, 'verify', bundle).splitlines()[-1]}", flush=True)
        for engine in ("onnxruntime", "litert"):
            how = ("--bundle", bundle, "--engine", engine, "--json")
            labels.append(json.loads(run(tinysight, "classify", *how, str(picture)))["label"])
    return labels


def draw_picture(path: Path) -> None:
    """A bright plane in a blue sky over a grey runway, of another size than the models'."""
    pixels = np.full((60, 90, 3), (110, 160, 230), np.uint8)
    pixels[40:] = 90
    pixels[28:34, 20:70] = 240
    Image.fromarray(pixels).save(path)


def run(*command: str, cwd: Path | None = None) -> str:
    """What a program prints; exits with its last line of error where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no message"]
        sys.exit(f"FAIL  {' '.join(map(str, command[-3:]))}: {lines[-1]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
