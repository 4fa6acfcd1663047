"""The description of a bundle: what is written is read again, and whatever is wrong is one line."""

import dataclasses
import hashlib
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight import Artifact, Bundle, BundleError, Classifier, load_bundle
from tinysight.bundle import (
    MAX_ARTIFACT_BYTES,
    MAX_DESCRIPTION_BYTES,
    MAX_LABELS,
    MAX_SIDE,
    shipped,
)
from tinysight.engines.ort import OnnxRuntimeEngine
from tinysight.preprocess import RESAMPLING

ARTIFACT = Artifact("float32", "onnx", "float32.onnx", "0" * 64, 10)
BUNDLE = Bundle("a_bundle", ("cat", "dog"), 8, 8, (ARTIFACT,), "float32")

slugs = st.from_regex(r"[a-z0-9][a-z0-9_.-]{0,20}", fullmatch=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | finite | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
mappings = st.dictionaries(st.text(), values, max_size=3)
results = st.fixed_dictionaries(
    {
        "value": st.floats(0, 1),
        "interval": st.lists(st.floats(0, 1), min_size=2, max_size=2),
        "n": st.integers(1, 10**6),
    }
)
golden_answers = st.fixed_dictionaries(
    {"logits": st.lists(st.lists(finite, min_size=2, max_size=2)), "tolerance": st.floats(0, 1)}
)
artifacts = st.builds(
    Artifact,
    recipe=slugs,
    format=st.sampled_from(["onnx", "tflite"]),
    file=slugs.filter(lambda name: name != "bundle.json"),
    sha256=st.binary(max_size=4).map(lambda content: hashlib.sha256(content).hexdigest()),
    bytes=st.integers(1, MAX_ARTIFACT_BYTES),
    parity=st.dictionaries(st.text(), mappings, max_size=2),
    accuracy=st.none() | results,
    golden=st.none() | golden_answers,
)


@st.composite
def bundles(draw: st.DrawFn) -> Bundle:
    made = draw(st.lists(artifacts, min_size=1, max_size=4, unique_by=lambda a: a.name))
    made.append(dataclasses.replace(ARTIFACT, recipe="the_default_one_has_a_name_of_its_own"))
    return Bundle(
        name=draw(slugs),
        labels=tuple(draw(st.lists(st.text(min_size=1), min_size=2, max_size=5, unique=True))),
        height=draw(st.integers(1, MAX_SIDE)),
        width=draw(st.integers(1, MAX_SIDE)),
        artifacts=tuple(made),
        default=made[-1].name,
        resample=draw(st.sampled_from(sorted(RESAMPLING))),
        temperature=draw(st.floats(0, exclude_min=True, allow_infinity=False)),
        abstain=draw(st.just({}) | st.fixed_dictionaries({"threshold": st.floats(0, 1)})),
        data=draw(mappings),
        training=draw(mappings),
        export=draw(mappings),
    )


@given(bundles())
def test_a_bundle_is_read_as_it_was_written(bundle: Bundle) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # Escaped, since a generated text may hold half a surrogate pair, which UTF-8 cannot.
        (Path(folder) / "bundle.json").write_text(json.dumps(bundle.as_json()))
        assert load_bundle(folder) == dataclasses.replace(bundle, folder=Path(folder))


@pytest.mark.parametrize(
    "change",
    [
        {"format": "pb"},
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
    "change",
    [
        {"name": "A name"},
        {"name": "../x"},
        {"labels": ("one",)},
        {"labels": ("twice", "twice")},
        {"labels": ("", "b")},
        {"labels": (1, 2)},
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
        {"abstain": {"threshold": -0.1}},
        {"abstain": {"threshold": 1.1}},
        {"abstain": {"threshold": math.nan}},
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
        (b'{"format": 2}', "has format 2; this tinysight reads format 1"),
        (b'{"format": "1"}', "has format '1'"),
        (b'{"format": 1}', "name is missing"),
        (b" " * (MAX_DESCRIPTION_BYTES + 1), "more than 4,194,304 bytes"),
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


KEYS = tuple(key for key in BUNDLE.as_json() if key != "format")


@pytest.mark.parametrize("key", [key for key in KEYS if key != "abstain"])
def test_a_missing_key_is_named(key: str, spoilt: Callable[..., Path]) -> None:
    file = spoilt() / "bundle.json"
    content = json.loads(file.read_text())
    del content[key]
    file.write_text(json.dumps(content))
    refused(file.parent, f"{key} is missing")


def test_a_bundle_from_before_abstention_recommends_nothing(spoilt: Callable[..., Path]) -> None:
    file = spoilt() / "bundle.json"
    content = json.loads(file.read_text())
    content.pop("abstain", None)
    file.write_text(json.dumps(content))
    assert load_bundle(file.parent).abstain == {}


# What a value of JSON can be; Infinity and NaN are none, but Python reads them.
WRONG = (None, -1, 0.5, math.inf, math.nan, 10**400, "x", "../x", [], [None], [["a"]], {}, {"a": 1})


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:10])
def test_a_wrong_value_is_refused_or_harmless(
    key: str, value: object, spoilt: Callable[..., Path]
) -> None:
    folder = spoilt(**{key: value})
    message = ""
    try:
        load_bundle(folder)
    except BundleError as error:
        message = str(error)
    assert message or key in ("data", "training", "export", "abstain", "name", "temperature")
    assert "\n" not in message


@pytest.mark.parametrize("key", [*ARTIFACT.__dataclass_fields__, "unknown"])
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:10])
def test_a_wrong_value_of_an_artifact_is_refused_or_harmless(
    key: str, value: object, spoilt: Callable[..., Path]
) -> None:
    """Harmless: of the artifact nothing is used before its size and its hash agree."""
    folder = spoilt({key: value})
    message = ""
    try:
        bundle = load_bundle(folder)
        bundle.read(bundle.artifact())
    except BundleError as error:
        message = str(error)
    assert message or key in ("parity", "accuracy", "golden", "settings")
    assert "\n" not in message


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


def test_an_artifact_that_grew_is_refused_unread(
    spoilt: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = spoilt()
    with (folder / "float32.onnx").open("r+b") as stream:
        stream.truncate(1 << 40)  # sparse: nothing of it is on the disk
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read"))
    refused(folder, "1,099,511,627,776 bytes")


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
    refused(folder, "float32.onnx", "onnxruntime cannot load it")


@pytest.mark.parametrize(
    "change", [{"labels": ["a", "b"]}, {"labels": list("abcd")}, {"height": 9}, {"width": 7}]
)
def test_a_model_of_another_shape_than_described_is_refused(
    change: dict[str, Any], spoilt: Callable[..., Path]
) -> None:
    refused(spoilt(**change), "it takes and gives")


def test_only_onnx_artifacts_get_a_session(tiny: Path) -> None:
    bundle = load_bundle(tiny)
    lite = dataclasses.replace(bundle.artifact(), format="tflite")
    with pytest.raises(BundleError, match=r"float32\.tflite is not an ONNX artifact"):
        OnnxRuntimeEngine.open(bundle, lite)


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_bundle_goes_by_its_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bundle = load_bundle(name)
    assert (bundle.name, bundle.folder.name) == (name, name)
    assert bundle.read(bundle.artifact())


def test_a_folder_goes_before_a_shipped_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / shipped()[0]).mkdir()
    with pytest.raises(BundleError, match="is not a bundle"):
        load_bundle(shipped()[0])


def test_the_default_is_shipped():
    assert load_bundle().name in shipped()
