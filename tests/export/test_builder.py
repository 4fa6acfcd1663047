"""From a real run to a bundle: what is written, and what is refused with nothing written."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("tf2onnx")

from export import builder as module
from export.builder import build, calibration_indices
from export.cli import main
from export.passes import ExportError
from export.recipes import RECIPES, Tolerance
from tinysight import Classifier, load_bundle
from tinysight.bundle import Artifact
from tinysight.cli.main import main as tinysight
from training.data import hash_indices, split
from training.run_folder import Run, write_record
from training.tf_keras_setup import keras


@pytest.fixture(scope="module")
def bundle(run, dataset, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundles") / "digits"
    assert main([str(run.folder), "--out", str(out)]) == 0
    return load_bundle(out)


def test_it_holds_every_recipe_in_every_format(bundle):
    assert {artifact.name for artifact in bundle.artifacts} == {
        "float32", "static_w8a8", "float32.tflite", "static_w8a8.tflite",
    }  # fmt: skip
    assert bundle.default == "static_w8a8"
    assert {path.name for path in bundle.folder.iterdir()} == {
        "bundle.json", *(artifact.file for artifact in bundle.artifacts)
    }  # fmt: skip
    for artifact in bundle.artifacts:
        content = (bundle.folder / artifact.file).read_bytes()
        assert artifact.sha256 == hashlib.sha256(content).hexdigest()
        assert artifact.bytes == len(content)


def test_the_runtime_answers_as_keras(bundle, run, dataset):
    model = keras.models.load_model(run.model_file)
    test = dataset.images[dataset.parts["test"][:50]]
    wanted = model.predict(test.astype(np.float32) / 255, verbose=0).argmax(axis=1)
    classifier = Classifier.load(bundle.folder, artifact="float32")
    assert [answer.index for answer in classifier.classify_many(test)] == list(wanted)


def test_the_figures_are_those_of_the_artifacts(bundle, dataset):
    """The recorded accuracy is what the runtime's own engine gets on the same test images."""
    test = dataset.parts["test"]
    classifier = Classifier.load(bundle.folder)
    logits = classifier.logits(np.array(dataset.images[test]))
    right = int((logits.argmax(axis=1) == dataset.targets[test]).sum())
    artifact = bundle.artifact()
    assert artifact.accuracy["correct"] == right
    assert artifact.accuracy["n"] == len(test)
    assert artifact.parity["test"]["images"] == len(test)
    assert bundle.artifact("float32").parity["test"]["top1_agreement"] == 1


def test_the_work_for_an_image_is_recorded(bundle):
    """`tinysight bench` holds latencies against it."""
    assert type(bundle.training["macs"]) is int
    assert bundle.training["macs"] > bundle.training["parameters"]  # kernels are used many times


def test_calibration_images_are_training_images(bundle, run, dataset):
    splits = split(dataset, 0)
    calibration = calibration_indices(splits, 0)
    assert np.isin(calibration, splits.train).all()
    assert not np.isin(calibration, np.concatenate([splits.val, splits.test])).any()
    recorded = bundle.data["splits"]
    assert recorded["calibration"] == {"n": 512, "sha256": hash_indices(calibration)}
    for part, entry in run.record["data"]["splits"].items():
        assert recorded[part] == entry


def test_no_path_of_this_machine_is_in_it(bundle, run):
    text = (bundle.folder / "bundle.json").read_text()
    assert str(run.folder) not in text
    assert "/home" not in text
    assert json.loads(text)["training"]["model"] == "baseline"


def test_each_artifact_says_how_it_was_made(bundle):
    recipes = {artifact.recipe for artifact in bundle.artifacts}
    for artifact in bundle.artifacts:
        settings = artifact.settings
        assert settings["arithmetic"] == artifact.recipe
        assert 0 < settings["compressed_bytes"] <= artifact.bytes * 1.01
        assert len(settings["model_sha256"]) == 64
        assert settings["finetuning"] is None
    assert recipes == {"float32", "static_w8a8"}
    int8 = bundle.artifact("static_w8a8").settings
    assert int8["calibration"] == {"method": "minmax", **bundle.data["splits"]["calibration"]}


def test_it_verifies_on_this_device(bundle, capsys):
    assert tinysight(["verify", str(bundle.folder)]) == 0
    assert "answers as the workstation did" in capsys.readouterr().out


def test_nothing_is_overwritten_unless_asked(bundle, run, capsys):
    before = (bundle.folder / "bundle.json").read_bytes()
    assert main([str(run.folder), "--out", str(bundle.folder)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert (bundle.folder / "bundle.json").read_bytes() == before


def test_a_foreign_folder_is_never_replaced(run, tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("years of work")
    assert main([str(run.folder), "--out", str(tmp_path), "--overwrite"]) == 1
    assert "not a bundle" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").exists()


IMPOSSIBLE = Tolerance(max_relative=0.0, max_drop=-1.0, golden=0.0)


def refuse(monkeypatch, name):
    """Gives a recipe a tolerance that nothing meets."""
    monkeypatch.setitem(RECIPES, name, dataclasses.replace(RECIPES[name], tolerance=IMPOSSIBLE))


def test_what_is_not_near_enough_is_not_written(run, tmp_path, monkeypatch, capsys):
    refuse(monkeypatch, "static_w8a8")
    out = tmp_path / "bundle"
    assert main([str(run.folder), "--out", str(out), "--formats", "onnx"]) == 1
    assert "static_w8a8 was not written" in capsys.readouterr().err
    assert {path.name for path in out.iterdir()} == {"bundle.json", "float32.onnx"}
    assert load_bundle(out).default == "float32"


def test_where_nothing_is_near_enough_there_is_no_bundle(run, tmp_path, monkeypatch, capsys):
    refuse(monkeypatch, "float32")
    out = tmp_path / "bundle"
    command = [str(run.folder), "--out", str(out), "--formats", "onnx", "--recipes", "float32"]
    assert main(command) == 1
    assert "no ONNX artifact" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_other_data_than_the_runs_is_refused(run, dataset, tmp_path):
    other = dataclasses.replace(dataset, fingerprint="0" * 64)
    with pytest.raises(ExportError, match="not the data"):
        build(run, other, tmp_path / "bundle", name="x", recipes=["float32"])


def test_other_splits_than_the_runs_are_refused(run, dataset, tmp_path):
    record = json.loads(json.dumps(run.record))
    record["data"]["splits"]["train"]["sha256"] = "0" * 64
    with pytest.raises(ExportError, match="the train images"):
        build(Run(run.folder, record), dataset, tmp_path / "bundle", name="x", recipes=["float32"])


# While it converts, while it writes, and when what was written turns out to be unreadable.
STAGES = ["Converter", "_artifact", "Bundle", "load_bundle"]


def broken(*_, **__):
    raise RuntimeError("disk on fire")


@pytest.mark.parametrize("stage", STAGES)
def test_a_failure_midway_leaves_nothing(run, dataset, tmp_path, monkeypatch, stage):
    monkeypatch.setattr(module, stage, broken)
    with pytest.raises(RuntimeError, match="disk on fire"):
        build(run, dataset, tmp_path / "b", name="x", recipes=["float32"], formats=["onnx"])
    assert list(tmp_path.iterdir()) == []


def test_overwrite_replaces_a_bundle_once_the_new_one_is_whole(run, dataset, tmp_path, monkeypatch):
    out = tmp_path / "bundle"

    def again(name):
        what = {"recipes": ["float32"], "formats": ["onnx"]}
        build(run, dataset, out, name=name, overwrite=True, **what)

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
    assert {path.name for path in out.iterdir()} == {"bundle.json", "float32.onnx"}
    assert list(tmp_path.iterdir()) == [out]


def test_a_missing_run_is_one_line(tmp_path, capsys):
    assert main([str(tmp_path), "--out", str(tmp_path / "b")]) == 1
    error = capsys.readouterr().err
    assert "not a run folder" in error
    assert error.count("\n") == 1


def test_an_unfinished_run_is_one_line(run, tmp_path, capsys):
    write_record(tmp_path, {**run.record, "status": "training", "epochs_done": 1})
    assert main([str(tmp_path), "--out", str(tmp_path / "b")]) == 1
    error = capsys.readouterr().err
    assert "not finished (1 of 3 epochs)" in error
    assert "--resume" in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_data_that_has_gone_is_one_line(run, tmp_path, capsys):
    gone = str(tmp_path / "gone")
    assert main([str(run.folder), "--out", str(tmp_path / "b"), "--data", gone]) == 1
    error = capsys.readouterr().err
    assert gone in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--recipes", "int4"], ["--recipes", ""], ["--formats", "pt"]])
def test_an_unknown_recipe_or_format_is_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", "--out", "b", *words])
    assert caught.value.code == 2
    assert "known are" in capsys.readouterr().err


def test_the_default_is_the_most_accurate_of_the_integer_artifacts():
    def artifact(name, accuracy):
        return Artifact(
            recipe=name,
            format="onnx",
            file=f"{name}.onnx",
            sha256="0" * 64,
            bytes=1,
            parity={"validation": {"accuracy": accuracy}},
            settings={"arithmetic": RECIPES[name].arithmetic},
        )

    made = [
        artifact("float32", 0.9),
        artifact("dynamic_w8", 0.9),
        artifact("static_w8a8", 0.7),
        artifact("qat_w8a8", 0.8),
    ]
    assert module._default(made) == "qat_w8a8"
    assert module._default(made[:3]) == "static_w8a8"
    assert module._default(made[:1]) == "float32"
