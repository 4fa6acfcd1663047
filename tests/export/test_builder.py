"""From a real run to a bundle: what is written, and what is refused with nothing written."""

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export import builder as module
from export.builder import ExportOptions, build, default_artifact, golden_count
from export.cli import main
from export.passes import ExportError
from export.recipes import DEFAULT, FORMATS, RECIPES, Tolerance
from export.source import calibration_indices
from tinysight import Classifier, load_bundle
from tinysight.bundle import (
    MAX_DESCRIPTION_BYTES,
    MAX_RECTANGLES,
    RECTANGLE_BYTES,
    Artifact,
    Bundle,
)
from tinysight.cli.main import main as tinysight
from tinysight.integrity import golden
from tinysight.model_files import shapes
from tinysight.provenance import Provenance, SplitRecord, require_provenance
from tinysight.records import to_json
from training.data import Dataset, hash_indices, split
from training.run_folder import Run, RunError, load_run
from training.tf_keras_setup import keras

FLOAT32 = ExportOptions("x", ("float32",), ("onnx",))
FLOAT32_FILES = {"bundle.json", "provenance.json", "float32.onnx"}


@pytest.fixture(scope="module")
def bundle(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "digits"
    assert main(["build", str(run.folder), "--out", str(out)]) == 0
    return load_bundle(out)


@pytest.fixture(scope="module")
def folder(bundle: Bundle) -> Path:
    assert bundle.folder is not None
    return bundle.folder


@pytest.fixture(scope="module")
def provenance(bundle: Bundle) -> Provenance:
    return require_provenance(bundle)


@pytest.fixture(scope="module")
def recorded(provenance: Provenance) -> SplitRecord:
    assert provenance.data.splits is not None
    return provenance.data.splits


def test_it_holds_every_recipe_in_every_format(bundle: Bundle, folder: Path) -> None:
    assert {artifact.name for artifact in bundle.artifacts} == {
        "float32", "static_w8a8", "float32.tflite", "static_w8a8.tflite",
    }  # fmt: skip
    assert bundle.default == "static_w8a8"
    assert {path.name for path in folder.iterdir()} == {
        "bundle.json", "provenance.json", *(artifact.file for artifact in bundle.artifacts)
    }  # fmt: skip
    for artifact in bundle.artifacts:
        content = (folder / artifact.file).read_bytes()
        assert artifact.sha256 == hashlib.sha256(content).hexdigest()
        assert artifact.bytes == len(content)


def test_int8_tflite_says_what_it_takes_of_a_microcontroller(bundle: Bundle) -> None:
    pytest.importorskip("tflite_micro", reason="tflite-micro is not installed (extra mcu)")
    memory = {artifact.name: artifact.microcontroller for artifact in bundle.artifacts}
    measured = memory.pop("static_w8a8.tflite")
    assert set(memory.values()) == {None}
    assert measured is not None
    assert measured.flash_bytes < bundle.artifact("static_w8a8.tflite").bytes
    assert 30_000 < measured.arena_bytes < 40_000  # 28 x 28 x 32 and its pooled quarter


def test_the_runtime_answers_as_keras(folder: Path, run: Run, dataset: Dataset) -> None:
    model = keras.models.load_model(run.model_file)
    test = dataset.images[dataset.parts["test"][:50]]
    expected = model.predict(test.astype(np.float32) / 255, verbose=0).argmax(axis=1)
    classifier = Classifier.load(folder, artifact="float32")
    assert [answer.index for answer in classifier.classify_many(test)] == list(expected)


def test_the_figures_are_those_of_the_artifacts(
    bundle: Bundle, folder: Path, provenance: Provenance, dataset: Dataset
) -> None:
    """The recorded accuracy is what the runtime's own engine gets on the same test images."""
    test = dataset.parts["test"]
    logits = Classifier.load(folder).logits(np.array(dataset.images[test]))
    correct = int((logits.argmax(axis=1) == dataset.targets[test]).sum())
    artifact = bundle.artifact()
    assert artifact.accuracy is not None
    assert (artifact.accuracy.correct, artifact.accuracy.n) == (correct, len(test))
    checks = provenance.artifacts[artifact.name]
    assert checks.test.accuracy == artifact.accuracy
    assert checks.test.images == len(test)
    assert provenance.artifacts["float32"].test.top1_agreement == 1


def test_confidence_is_that_of_the_test_images(
    bundle: Bundle, provenance: Provenance, dataset: Dataset
) -> None:
    for checks in provenance.artifacts.values():
        assert checks.confidence is not None
        assert checks.confidence.n == len(dataset.parts["test"])
        assert 0 <= checks.confidence.error < 0.2
        assert 0.8 < checks.confidence.coverage <= 1
    assert bundle.temperature != 1
    assert bundle.abstention is not None
    assert 0.95 <= bundle.abstention.coverage <= 1
    at_once = [point for point in provenance.curve if point.threshold == 0]
    assert [point.coverage for point in at_once] == [1.0]


def test_the_training_is_recorded(provenance: Provenance, run: Run) -> None:
    training = provenance.training
    assert training.model == "baseline"
    assert training.macs > training.parameters  # kernels are used many times
    assert training.recipe == to_json(run.record.recipe)
    assert training.validation == run.result.validation
    assert training.test == run.result.test
    assert training.device == run.result.device


def test_calibration_images_are_training_images(
    recorded: SplitRecord, run: Run, dataset: Dataset
) -> None:
    splits = split(dataset, 0)
    calibration = calibration_indices(splits, 0)
    assert np.isin(calibration, splits.train).all()
    assert not np.isin(calibration, np.concatenate([splits.val, splits.test])).any()
    assert to_json(recorded.calibration) == {"n": 512, "sha256": hash_indices(calibration)}
    for part in ("train", "val", "test"):
        assert getattr(recorded, part) == getattr(run.record.data.splits, part)


@pytest.mark.parametrize("file", ["bundle.json", "provenance.json"])
def test_no_path_of_this_machine_is_in_it(folder: Path, run: Run, file: str) -> None:
    text = (folder / file).read_text()
    assert str(run.folder) not in text
    assert "/home" not in text


def test_each_artifact_says_how_it_was_made(
    bundle: Bundle, provenance: Provenance, recorded: SplitRecord
) -> None:
    for artifact in bundle.artifacts:
        settings = provenance.artifacts[artifact.name].settings
        assert settings["arithmetic"] == artifact.recipe
        assert 0 < settings["compressed_bytes"] <= artifact.bytes * 1.01
        assert len(settings["model_sha256"]) == 64
        assert settings["finetuning"] is None
    int8 = provenance.artifacts["static_w8a8"].settings
    assert int8["calibration"] == {"method": "minmax", **to_json(recorded.calibration)}


def test_it_verifies_on_this_device(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinysight(["verify", "--bundle", str(folder)]) == 0
    assert "answers as the workstation did" in capsys.readouterr().out


def test_nothing_is_overwritten_unless_asked(
    folder: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "bundle.json").read_bytes()
    assert main(["build", str(run.folder), "--out", str(folder)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (folder / "bundle.json").read_bytes() == before


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_foreign_folder_is_never_replaced(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main(["build", str(run.folder), "--out", str(tmp_path), *options]) == 1
    error = capsys.readouterr().err
    assert error == f"export: {tmp_path} is not a bundle; it is not replaced\n"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("out", [".", ".."])
def test_a_bundle_that_holds_the_working_folder_is_never_replaced(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    out: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["build", str(run.folder), "--out", out, "--name", "x", "--overwrite"]) == 1
    error = capsys.readouterr().err
    assert (
        error == f"export: {out} holds the working folder, and cannot be replaced: name another\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_a_device_would_refuse_is_not_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shapes, "MAX_MACS", 1000)
    command = ["build", str(run.folder), "--out", str(tmp_path / "b"), "--recipes", "float32"]
    assert main(command) == 1
    assert capsys.readouterr().err == (
        "export: every device would refuse float32: Conv: it takes more than 1,000 "
        "multiply-accumulates an image\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 65, "", "A"])
def test_a_name_that_no_bundle_may_have_is_refused_before_anything_is_converted(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(module, "Converter", None)
    with pytest.raises(ExportError, match="is not a name"):
        build(run, dataset, tmp_path / "b", dataclasses.replace(FLOAT32, name=name))
    assert list(tmp_path.iterdir()) == []


def test_many_classes_have_fewer_golden_answers(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DESCRIPTION_BYTES", 67_000)
    build(run, dataset, tmp_path / "b", FLOAT32)
    answers = load_bundle(tmp_path / "b").artifact().golden
    assert answers is not None
    assert 1 <= len(answers.logits) < golden.COUNT
    assert tinysight(["verify", "--bundle", str(tmp_path / "b")]) == 0


@pytest.mark.parametrize("classes", [10, 3100, 20_000])
def test_the_longest_golden_answers_leave_bundle_json_within_its_limit(classes: int) -> None:
    labels, options = tuple(f"class {i}" for i in range(classes)), ExportOptions("x", DEFAULT)
    count = golden_count(options, labels, (32, 32))
    assert (count == golden.COUNT) == (classes == 10)
    answers = golden.record(np.full((count, classes), -1.2345678e-5, np.float32), 0.05)
    artifacts = [
        Artifact(recipe, format_, f"{recipe}.{format_}", "0" * 64, 1, golden=answers)
        for recipe in DEFAULT
        for format_ in FORMATS
    ]
    rectangles = ("00" * RECTANGLE_BYTES * MAX_RECTANGLES,) * golden.COUNT
    bundle = Bundle("x", labels, 32, 32, tuple(artifacts), "float32", golden_rectangles=rectangles)
    assert len(bundle.as_text().encode()) <= MAX_DESCRIPTION_BYTES


def test_more_classes_than_bundle_json_can_hold_are_refused() -> None:
    labels = tuple(f"class {i}" for i in range(100_000))
    with pytest.raises(ExportError, match="cannot hold 100,000 classes and what 4 artifacts"):
        golden_count(ExportOptions("x", DEFAULT), labels, (32, 32))


def test_they_are_refused_before_anything_is_converted(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_DESCRIPTION_BYTES", 60_000)
    monkeypatch.setattr(module, "Converter", None)
    with pytest.raises(ExportError, match="cannot hold 10 classes and what 1 artifacts answer"):
        build(run, dataset, tmp_path / "b", FLOAT32)
    assert list(tmp_path.iterdir()) == []


def test_options_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="needs an ONNX artifact"):
        ExportOptions(formats=("tflite",))
    with pytest.raises(ValueError, match="mixed_measured"):
        ExportOptions(recipes=("mixed_measured",), max_accuracy_drop=0.01)


IMPOSSIBLE = Tolerance(max_relative=0.0, max_accuracy_drop=-1.0, golden=0.0)


def refuse(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Gives a recipe a tolerance that nothing meets."""
    monkeypatch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], tolerance=IMPOSSIBLE))


def test_what_is_not_near_enough_is_not_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, "static_w8a8")
    out = tmp_path / "bundle"
    assert main(["build", str(run.folder), "--out", str(out), "--formats", "onnx"]) == 1
    assert "static_w8a8 was not written" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {
        "bundle.json",
        "provenance.json",
        "float32.onnx",
    }
    assert load_bundle(out).default == "float32"


def test_where_nothing_is_near_enough_there_is_no_bundle(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, "float32")
    out = tmp_path / "bundle"
    command = [
        "build",
        str(run.folder),
        "--out",
        str(out),
        "--formats",
        "onnx",
        "--recipes",
        "float32",
    ]
    assert main(command) == 1
    assert "no ONNX artifact" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_the_runs_is_refused(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    other = dataclasses.replace(dataset, fingerprint="0" * 64)
    with pytest.raises(ExportError, match="not the data"):
        build(run, other, tmp_path / "bundle", FLOAT32)


def changed_run(run: Run, folder: Path, *keys: str, value: object) -> Run:
    """The run with another value in its run.json; None removes the key."""
    folder.mkdir(exist_ok=True)
    content = json.loads((run.folder / "run.json").read_text())
    place = content
    for key in keys[:-1]:
        place = place[key]
    if value is None:
        del place[keys[-1]]
    else:
        place[keys[-1]] = value
    (folder / "run.json").write_text(json.dumps(content))
    (folder / "model.keras").write_bytes(run.model_file.read_bytes())
    return load_run(folder)


def test_other_splits_than_the_runs_are_refused(run: Run, dataset: Dataset, tmp_path: Path) -> None:
    keys = ("data", "splits", "train", "sha256")
    other = changed_run(run, tmp_path / "run", *keys, value="0" * 64)
    with pytest.raises(ExportError, match="the train images"):
        build(other, dataset, tmp_path / "bundle", FLOAT32)


# While it converts, while it writes, and when what was written turns out to be unreadable.
STAGES = ["Converter", "make_artifact", "Bundle", "write_description", "load_bundle"]


def broken(*_: object, **__: object) -> None:
    raise RuntimeError("disk on fire")


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_midway_leaves_nothing(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(module, stage, broken)
    with pytest.raises(RuntimeError, match="disk on fire"):
        build(run, dataset, tmp_path / "b", FLOAT32)
    assert list(tmp_path.iterdir()) == []


def test_overwrite_replaces_a_bundle_once_the_new_one_is_whole(
    run: Run, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"

    def again(name: str) -> None:
        build(run, dataset, out, dataclasses.replace(FLOAT32, name=name, overwrite=True))

    again("first")
    (out / "left_over.onnx").write_bytes(b"old")
    for stage in STAGES:
        with monkeypatch.context() as patch:
            patch.setattr(module, stage, broken)
            with pytest.raises(RuntimeError, match="disk on fire"):
                again("second")
        assert load_bundle(out).name == "first"
        assert (out / "left_over.onnx").exists()
    again("third")
    assert load_bundle(out).name == "third"
    assert {path.name for path in out.iterdir()} == {
        "bundle.json",
        "provenance.json",
        "float32.onnx",
    }
    assert list(tmp_path.iterdir()) == [out]


def test_a_missing_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", str(tmp_path), "--out", str(tmp_path / "b")]) == 1
    error = capsys.readouterr().err
    assert "not a run folder" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("data",), None),
        (("data", "fingerprint"), None),
        (("data", "splits", "val"), None),
        (("data", "splits", "val", "sha256"), 5),
        (("recipe", "seed"), -1),
        (("recipe", "unheard_of"), 1),
        (("result", "seconds"), None),
        (("result", "device", "cores"), "two"),
        (("result", "validation", "correct"), None),
    ],
)
def test_a_damaged_run_is_one_line(
    run: Run,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    keys: tuple[str, ...],
    value: object,
) -> None:
    folder, out = tmp_path / "run", tmp_path / "bundle"
    with contextlib.suppress(RunError):
        changed_run(run, folder, *keys, value=value)
    command = ["build", str(folder), "--out", str(out), "--data", "digits"]
    assert main([*command, "--recipes", "float32", "--formats", "onnx"]) == 1
    error = capsys.readouterr().err
    assert "run.json" in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_an_unfinished_run_is_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((run.folder / "run.json").read_text())
    text = json.dumps({**content, "result": None})
    (tmp_path / "run.json").write_text(text)
    assert main(["build", str(tmp_path), "--out", str(tmp_path / "b")]) == 1
    error = capsys.readouterr().err
    assert "not finished (0 of 3 epochs)" in error
    assert "--resume" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_data_that_has_gone_is_one_line(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(tmp_path / "gone")
    assert main(["build", str(run.folder), "--out", str(tmp_path / "b"), "--data", gone]) == 1
    error = capsys.readouterr().err
    assert gone in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--recipes", "int4"], ["--recipes", ""], ["--formats", "pt"]])
def test_an_unknown_recipe_or_format_is_a_usage_error(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["build", "run", "--out", "b", *words])
    assert caught.value.code == 2
    assert "known are" in capsys.readouterr().err


def test_the_default_is_the_most_accurate_of_the_integer_artifacts() -> None:
    accuracies = {"float32": 0.9, "dynamic_w8": 0.9, "static_w8a8": 0.7, "qat_w8a8": 0.8}
    entries = [(name, RECIPES[name].arithmetic, accuracy) for name, accuracy in accuracies.items()]
    assert default_artifact(entries) == "qat_w8a8"
    assert default_artifact(entries[:3]) == "static_w8a8"
    assert default_artifact(entries[:1]) == "float32"
    measured = RECIPES["mixed_measured"]
    assert default_artifact([*entries, (measured.name, measured.arithmetic, 0.6)]) == measured.name
