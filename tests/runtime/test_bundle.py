"""The description of a bundle: what is written is read again, and whatever is wrong is one line."""

import dataclasses
import hashlib
import json
import math
import shutil
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight import Artifact, Bundle, BundleError, Classifier, load_bundle
from tinysight.bundle import (
    FORMAT,
    MAX_ARTIFACT_BYTES,
    MAX_DESCRIPTION_BYTES,
    MAX_GOLDEN_LOGIT,
    MAX_GOLDEN_TOLERANCE,
    MAX_LABEL,
    MAX_LABELS,
    MAX_SIDE,
    MAX_TEMPERATURE,
    PROVENANCE,
    RECTANGLE_BYTES,
    Abstention,
    Golden,
    MicrocontrollerMemory,
    shipped_bundles,
)
from tinysight.preprocess import RESAMPLING
from tinysight.records import to_json
from tinysight.stats import Accuracy

ARTIFACT = Artifact("float32", "onnx", "float32.onnx", "0" * 64, 10)
BUNDLE = Bundle("a_bundle", ("cat", "dog"), 8, 8, (ARTIFACT,), "float32")

slugs = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True)
finite = st.floats(-MAX_GOLDEN_LOGIT, MAX_GOLDEN_LOGIT)
texts = st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"]))
sha256s = st.binary(max_size=4).map(lambda content: hashlib.sha256(content).hexdigest())
fractions = st.floats(0, 1)
rectangles = st.lists(st.binary(min_size=RECTANGLE_BYTES, max_size=RECTANGLE_BYTES), max_size=3)
golden_answers = st.builds(
    Golden,
    logits=st.lists(st.tuples(finite, finite), min_size=1, max_size=3).map(tuple),
    tolerance=st.floats(0, MAX_GOLDEN_TOLERANCE),
)
artifacts = st.builds(
    Artifact,
    recipe=slugs,
    format=st.sampled_from(["onnx", "tflite"]),
    file=slugs.filter(lambda name: name != "bundle.json"),
    sha256=sha256s,
    bytes=st.integers(1, MAX_ARTIFACT_BYTES),
    accuracy=st.none() | st.integers(1, 10**6).map(lambda n: Accuracy(n // 2, n)),
    golden=st.none() | golden_answers,
    microcontroller=st.none()
    | st.builds(
        MicrocontrollerMemory,
        flash_bytes=st.integers(1, 10**9),
        arena_bytes=st.integers(1, 10**9),
    ),
)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    made = draw(st.lists(artifacts, min_size=1, max_size=4, unique_by=lambda a: a.name))
    made.append(dataclasses.replace(ARTIFACT, recipe="the_default_one_has_a_name_of_its_own"))
    return Bundle(
        name=draw(slugs),
        labels=tuple(draw(st.lists(texts.filter(bool), min_size=2, max_size=2, unique=True))),
        height=draw(st.integers(1, MAX_SIDE)),
        width=draw(st.integers(1, MAX_SIDE)),
        artifacts=tuple(made),
        default=made[-1].name,
        resample=draw(st.sampled_from(sorted(RESAMPLING))),
        temperature=draw(st.floats(1 / MAX_TEMPERATURE, MAX_TEMPERATURE)),
        abstention=draw(st.none() | st.builds(Abstention, finite, texts, fractions, fractions)),
        golden_rectangles=tuple(
            b"".join(some).hex() for some in draw(st.lists(rectangles, max_size=3))
        ),
    )


@given(bundles())
def test_a_bundle_is_read_as_it_was_written(bundle: Bundle) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Escaped, since a generated text may hold half a surrogate pair, which UTF-8 cannot.
        (Path(folder) / "bundle.json").write_text(json.dumps({"format": FORMAT, **to_json(bundle)}))
        assert load_bundle(folder) == dataclasses.replace(bundle, folder=Path(folder))


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": ""},
        {"recipe": "Float 32"},
        {"file": "../x"},
        {"file": "a/b"},
        {"file": "a\\b"},
        {"file": "/etc/passwd"},
        {"file": ".."},
        {"file": ".hidden"},
        {"file": ""},
        {"file": "x\n"},
        {"file": "bundle.json"},
        {"file": "a" * 65},
        {"sha256": "0" * 63},
        {"sha256": "G" * 64},
        {"sha256": "A" * 64},
        {"bytes": 0},
        {"bytes": -1},
        {"bytes": MAX_ARTIFACT_BYTES + 1},
    ],
    ids=repr,
)
def test_an_artifact_is_validated(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        dataclasses.replace(ARTIFACT, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"min_energy_score": math.nan}, "finite"),
        ({"min_energy_score": -math.inf}, "finite"),
        ({"coverage": 1.01}, r"\[0, 1\]"),
        ({"accuracy": -0.01}, r"\[0, 1\]"),
    ],
    ids=repr,
)
def test_an_abstention_is_validated(change: dict[str, Any], message: str) -> None:
    good = Abstention(-3.5, "a rule", 0.95, 0.9)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(good, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "A name"},
        {"name": "../x"},
        {"labels": ("one",)},
        {"labels": ("twice", "twice")},
        {"labels": ("", "b")},
        {"labels": tuple(map(str, range(MAX_LABELS + 1)))},
        {"height": 0},
        {"width": 0},
        {"height": MAX_SIDE + 1},
        {"width": -1},
        {"resample": "magic"},
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": 1e-9},
        {"temperature": 1e9},
        {"labels": ("a" * (MAX_LABEL + 1), "b")},
        {"artifacts": ()},
        {"artifacts": (ARTIFACT, ARTIFACT)},
        {"default": "absent"},
        {"artifacts": (dataclasses.replace(ARTIFACT, format="tflite"),), "default": "float32"},
        {
            "artifacts": (dataclasses.replace(ARTIFACT, format="tflite"),),
            "default": "float32.tflite",
        },
    ],
    ids=lambda change: repr(change)[:50],
)
def test_a_bundle_is_validated(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        dataclasses.replace(BUNDLE, **change)


def test_an_artifact_is_found_by_its_name() -> None:
    lite = dataclasses.replace(ARTIFACT, format="tflite", file="float32.tflite")
    bundle = dataclasses.replace(BUNDLE, artifacts=(lite, ARTIFACT))
    assert bundle.artifact() is ARTIFACT
    assert bundle.artifact("float32") is ARTIFACT
    assert bundle.artifact("float32.tflite") is lite
    with pytest.raises(BundleError, match=r"no artifact 'x'; it has float32.tflite, float32"):
        bundle.artifact("x")


def test_a_bundle_without_a_folder_reads_nothing() -> None:
    with pytest.raises(BundleError, match="not read from a folder"):
        BUNDLE.read(ARTIFACT)


def refused(folder: Path, *words: str) -> None:
    """Loading a classifier raises BundleError, in one line that has the words."""
    with pytest.raises(BundleError) as error:
        Classifier.load(folder)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 1000
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 100_000, "not JSON"),
        (b"9" * 10_000, "not JSON"),
        (b"[]", "does not describe a bundle"),
        (b"null", "does not describe a bundle"),
        (b'"format"', "does not describe a bundle"),
        (b"{}", "does not describe a bundle"),
        (b'{"format": 2}', "not of format 3, which this tinysight reads"),
        (b'{"format": "3"}', "not of format 3"),
        (b'{"format": 3}', "name is missing"),
        (b'{"format": 3, "name": NaN}', "NaN is not JSON"),
        (b" " * (MAX_DESCRIPTION_BYTES + 1), "4,194,305 bytes, allowed are 4,194,304"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_description_that_cannot_be_read(content: bytes, word: str, tmp_path: Path) -> None:
    (tmp_path / "bundle.json").write_bytes(content)
    refused(tmp_path, "bundle.json", word)


def test_a_folder_without_a_description(tmp_path: Path) -> None:
    refused(tmp_path, str(tmp_path), "not a bundle")
    refused(tmp_path / "absent", "absent", "not a bundle")
    (tmp_path / "bundle.json").mkdir()
    refused(tmp_path, "bundle.json")


KEYS = tuple(field.name for field in dataclasses.fields(Bundle) if field.name != "folder")
OPTIONAL = {
    "resample",
    "temperature",
    "abstention",
    "golden_rectangles",
    "provenance",
    "answers_sha256",
}


@pytest.mark.parametrize("key", [key for key in KEYS if key not in OPTIONAL])
def test_a_missing_key_is_named(key: str, spoilt: Callable[..., Path]) -> None:
    file = spoilt() / "bundle.json"
    content = json.loads(file.read_text())
    del content[key]
    file.write_text(json.dumps(content))
    refused(file.parent, f"{key} is missing")


@pytest.mark.parametrize("key", ["folder", "abstain", "unknown"])
def test_an_unknown_key_is_named(key: str, spoilt: Callable[..., Path]) -> None:
    refused(spoilt(**{key: None}), f"unknown key {key!r}")


def test_a_file_name_that_leads_elsewhere_is_refused(
    spoilt: Callable[..., Path], tmp_path: Path
) -> None:
    folder = spoilt({"file": "../x"})
    (folder / "float32.onnx").rename(tmp_path / "x")
    refused(folder, "'../x' is not a plain file name")


def test_a_truncated_artifact_is_refused(spoilt: Callable[..., Path]) -> None:
    folder = spoilt()
    file = folder / "float32.onnx"
    file.write_bytes(file.read_bytes()[:-1])
    refused(folder, "float32.onnx", "bytes, but bundle.json says")


def test_an_artifact_that_grew_is_refused_unread(spoilt: Callable[..., Path]) -> None:
    folder = spoilt()
    with (folder / "float32.onnx").open("r+b") as stream:
        stream.truncate(1 << 40)  # sparse: nothing of it is on the disk
    tracemalloc.start()
    refused(folder, "1,099,511,627,776 bytes")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject) -> None:
    content = (Path(__file__).parents[1] / "tiny" / "bundle" / "float32.onnx").read_bytes()
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    good = hashlib.sha256(content).hexdigest()
    artifact = dataclasses.replace(ARTIFACT, sha256=good, bytes=len(content))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / artifact.file).write_bytes(changed)
        bundle = dataclasses.replace(BUNDLE, artifacts=(artifact,), folder=Path(folder))
        with pytest.raises(BundleError, match="SHA-256"):
            bundle.read(artifact)


def test_a_missing_artifact_is_named(spoilt: Callable[..., Path]) -> None:
    folder = spoilt()
    (folder / "float32.onnx").unlink()
    refused(folder, "float32.onnx", "No such file")


def test_a_file_that_is_no_model_is_refused(spoilt: Callable[..., Path]) -> None:
    content = b"this is no model, but its hash is right"
    sha256 = hashlib.sha256(content).hexdigest()
    folder = spoilt({"sha256": sha256, "bytes": len(content)})
    (folder / "float32.onnx").write_bytes(content)
    refused(folder, "float32.onnx is refused", "no such wire type")


@pytest.mark.parametrize(
    "change", [{"labels": ["a", "b"]}, {"labels": list("abcd")}, {"height": 9}, {"width": 7}]
)
def test_a_model_of_another_shape_than_described_is_refused(
    change: dict[str, Any], spoilt: Callable[..., Path]
) -> None:
    refused(spoilt({"golden": None}, **change), "it takes and gives")


def test_a_file_beside_the_artifacts_is_checked_too(tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(load_bundle().folder or "", folder)
    file = folder / PROVENANCE
    file.write_bytes(file.read_bytes().replace(b"CIFAR", b"cifar", 1))
    refused(folder, PROVENANCE, "SHA-256")
    file.unlink()
    refused(folder, PROVENANCE, "No such file")


@pytest.mark.parametrize("name", shipped_bundles())
def test_a_shipped_bundle_goes_by_its_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundle = load_bundle(name)
    assert bundle.name == name
    assert bundle.folder is not None
    assert bundle.folder.name == name
    assert bundle.read(bundle.artifact())


def test_a_folder_goes_before_a_shipped_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / shipped_bundles()[0]).mkdir()
    with pytest.raises(BundleError, match="is not a bundle"):
        load_bundle(shipped_bundles()[0])


def test_the_default_is_shipped() -> None:
    assert load_bundle().name in shipped_bundles()
