"""The wheel, in an environment that has nothing else: what a device gets."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytest.importorskip("build")

ROOT = Path(__file__).parents[1]

SCRIPT = """
import json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from tinysight import Classifier

path = sys.argv[1]
classifier = Classifier.load()
with Image.open(path) as picture:
    pixels = np.asarray(picture.convert("RGB"))
    sources = [path, Path(path), Path(path).read_bytes(), picture, pixels]
    answers = [classifier.classify(source, top_k=3) for source in sources]
print(json.dumps([[answer.label, answer.probability, answer.top] for answer in answers]))
print(json.dumps(sorted(name for name in ("tensorflow", "keras", "tf_keras", "onnx")
                        if name in sys.modules)))
"""


def run(
    *command: str, check: bool = True, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0 or not check, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(out), cwd=ROOT)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an empty environment with the wheel installed."""
    home = tmp_path_factory.mktemp("device")
    venv.create(home, with_pip=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(scripts / "python"), "-m", "pip", "install", "-q", "-c", "constraints.txt"]
    done = run(*pip, str(wheel), cwd=ROOT, check=False)
    if done.returncode != 0 and "Could not find a version" in done.stderr:
        pytest.skip("the package registry cannot be reached")
    assert done.returncode == 0, done.stderr
    return scripts


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of another size than the model's: a blue sky over a grey runway."""
    import numpy as np
    from PIL import Image

    pixels = np.full((60, 90, 3), (110, 160, 230), np.uint8)
    pixels[40:] = 90
    pixels[28:34, 20:70] = 240
    path = tmp_path_factory.mktemp("pictures") / "plane.png"
    Image.fromarray(pixels).save(path)
    return path


def test_it_is_small_and_holds_the_runtime_alone(wheel: Path) -> None:
    import zipfile

    assert wheel.stat().st_size < 2_000_000
    entries = zipfile.ZipFile(wheel).infolist()
    sizes = {
        name: sum(e.compress_size for e in entries if f"tinysight/bundles/{name}/" in e.filename)
        for name in ("edge_m", "edge_s")
    }
    assert 200_000 < sizes["edge_m"] < 900_000
    assert 200_000 < sizes["edge_s"] < 700_000
    tops = {entry.filename.split("/")[0] for entry in entries}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"tinysight"}


def test_it_excludes_the_onnxruntime_that_dies_on_a_raspberry_pi_4(wheel: Path) -> None:
    import zipfile

    from packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    needs = [Requirement(line.partition(": ")[2]) for line in lines if "Requires-Dist" in line]
    (onnxruntime,) = (need for need in needs if need.name == "onnxruntime" and not need.marker)
    assert "1.21.0" not in onnxruntime.specifier
    assert {"1.20.0", "1.21.1", "1.32.0"} == set(
        onnxruntime.specifier.filter(["1.19.2", "1.20.0", "1.21.0", "1.21.1", "1.32.0"])
    )


def test_it_brings_three_packages_and_their_own_needs(device: Path) -> None:
    listed = run(str(device / "python"), "-m", "pip", "list", "--format", "json").stdout
    names = {entry["name"].lower() for entry in json.loads(listed)} - {"pip", "setuptools"}
    needs = {"flatbuffers", "packaging", "protobuf"}  # of onnxruntime
    assert names == {"tinysight", "numpy", "onnxruntime", "pillow", *needs}


def test_every_entry_gives_one_answer(device: Path, picture: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    output = run(str(device / "python"), str(script), str(picture), cwd=tmp_path).stdout
    answers, heavy = map(json.loads, output.splitlines())
    assert heavy == []
    assert all(answer == answers[0] for answer in answers)
    label, probability, top = answers[0]
    said = run(str(device / "tinysight"), "classify", "--json", "--top-k", "3", str(picture))
    line = json.loads(said.stdout)
    assert line["label"] == label
    assert line["probability"] == pytest.approx(probability, abs=1e-6)
    assert [entry["label"] for entry in line["top"]] == [name for name, _ in top]


def test_the_shipped_model_verifies_there(device: Path) -> None:
    assert "answers as the workstation did" in run(str(device / "tinysight"), "verify").stdout


def test_it_measures_itself_there(device: Path) -> None:
    quick = ("--runs", "100", "--processes", "1")
    content = json.loads(run(str(device / "tinysight"), "bench", *quick, "--json").stdout)
    assert {one["variant"] for one in content["measurements"]} == {"edge_m/static_w8a8@onnxruntime"}
    assert all(one["median_us"] > 0 for one in content["measurements"])
    assert all(start["peak_memory_mb"] > 0 for start in content["cold_starts"])
    assert "ai-edge-litert" not in content["versions"]
