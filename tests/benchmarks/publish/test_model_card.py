"""A model card says what the bundle's records and answers say, and prints commands that work."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")
pytest.importorskip("tensorflow")

from benchmarks.cli import main
from benchmarks.emulators.records import FILE, Cell, EmulatorsResult, ImageCheck, as_text
from benchmarks.publish import model_card
from benchmarks.publish.model_card import commands
from export.cli import parser as export_parser
from tinysight import Bundle, load_bundle
from tinysight.bundle import Abstention
from tinysight.device.info import describe
from tinysight.provenance import (
    ArtifactChecks,
    ConfidenceRecord,
    DataRecord,
    ExportRecord,
    Margins,
    Parity,
    Provenance,
    TeacherRecord,
    ThresholdPoint,
    TrainingDevice,
    TrainingRecord,
    TrainingSeconds,
    require_provenance,
    write_description,
)
from tinysight.records import to_json
from tinysight.stats import Accuracy, McNemar
from training.cli import parser as training_parser
from training.data import Dataset, load_dataset
from training.pretrained import read_pretrained
from training.recipes import recipe_of

TINY = Path(__file__).parents[2] / "tiny" / "bundle"
CLASSES = ("a_red", "b_green", "c_blue")
"""The tiny model says which channel of an image is largest."""
MISTAKES = 2
"""Green test images in the folder of red ones, whose only class that it gets wrong."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six test images of each class, in a plain colour."""
    root = tmp_path_factory.mktemp("plain_colours")
    for part in ("train", "test"):
        for channel, name in enumerate(CLASSES):
            (root / part / name).mkdir(parents=True)
            for number in range(6):
                shown = 1 if (channel, part) == (0, "test") and number < MISTAKES else channel
                pixels = np.full((8, 8, 3), number, np.uint8)
                pixels[..., shown] = 200 + number
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return load_dataset(root, size=(8, 8))


TEACHER = TeacherRecord(
    sha256="1" * 64,
    run="teacher",
    model="baseline",
    recipe=to_json(replace(recipe_of("baseline"), epochs=2)),
    test=Accuracy(9, 10),
    training_seconds=120.0,
)


def training(*teachers: TeacherRecord) -> TrainingRecord:
    """Of a baseline that was distilled from these teachers."""
    recipe = replace(
        recipe_of("baseline"), epochs=3, seed=7, teacher_views=2, teacher="1" * 64, split_seed=0
    )
    return TrainingRecord(
        model="baseline",
        recipe=to_json(recipe),
        parameters=83_030,
        macs=4_509_032,
        seconds=TrainingSeconds(training=180.0, per_epoch=60.0),
        device=TrainingDevice("Linux", "a CPU", 2, (), None, None, "3.11", (), "float32"),
        versions={},
        validation=Accuracy(8, 10),
        test=Accuracy(16, 18),
        teachers=teachers,
    )


PARITY = Parity(18, 0.0, 0.0, 0.0, 18, Accuracy(16, 18), Margins(1, 0, 0, 0), McNemar(0, 0, 18))
CHECKS = ArtifactChecks(PARITY, PARITY, ConfidenceRecord(18, 15, 0.2, 0.0625, 0.7, 0.8))
CURVE = (ThresholdPoint(0.5, 0.9, 0.85), ThresholdPoint(0.55, 0.5, 0.75))

MakeBundle = Callable[..., Bundle]


@pytest.fixture
def make_bundle(dataset: Dataset, tmp_path: Path) -> MakeBundle:
    """Writes the tiny bundle as if it had been trained, from these teachers, and exported."""

    def make(*teachers: TeacherRecord) -> Bundle:
        tiny = load_bundle(TINY)
        bundle = replace(
            tiny, name="card", labels=CLASSES, abstention=Abstention(3.8, "a rule", 0.75, 0.875)
        )
        provenance = Provenance(
            DataRecord("plain", "plain colours", "nobody", (), dataset.fingerprint),
            training(*teachers),
            ExportRecord(("float32",), ("onnx",)),
            {bundle.default: CHECKS},
            CURVE,
        )
        (tmp_path / tiny.artifact().file).write_bytes(tiny.read(tiny.artifact()))
        write_description(tmp_path, bundle, provenance)
        return load_bundle(tmp_path)

    return make


def test_the_figures_are_those_of_the_test_images(
    make_bundle: MakeBundle, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(TEACHER)
    assert main(["model-card", str(bundle.folder), "--data", dataset.source]) == 0
    assert bundle.folder is not None
    text = (bundle.folder / "card.md").read_text(encoding="utf-8")
    assert f"test accuracy {Accuracy(16, 18)} images" in text
    assert f"| a_red | {Accuracy(6 - MISTAKES, 6)} | b_green ({MISTAKES}) |" in text
    assert f"| b_green | {Accuracy(6, 6)} | - |" in text
    assert "expected calibration error is 0.062 (15 bins)" in text
    assert "| 0.50 | 90.0% | 85.0% |" in text
    assert "| 0.55 |" not in text  # tenths alone
    assert (
        "`--min-confidence auto` answers where the energy score is 3.8000 or more (a rule): 75.0% "
        "of the validation images are answered, 87.5% of them right. Of the 18 test images 70.0% "
        "are, 80.0% of them right."
    ) in text
    assert re.search(r"In the mean over the kinds `auto` answers \d+% of them\.", text)
    assert "distilled from baseline (90.0%, 2 minutes); 3 minutes of training on 2 cores" in text
    assert "| text | " in text
    assert "card.md" in capsys.readouterr().out


def test_without_a_teacher_nothing_is_distilled(make_bundle: MakeBundle, dataset: Dataset) -> None:
    bundle = make_bundle()
    assert bundle.folder is not None
    assert main(["model-card", str(bundle.folder), "--data", dataset.source]) == 0
    text = (bundle.folder / "card.md").read_text(encoding="utf-8")
    assert "- 3 minutes of training on 2 cores" in text
    assert "distilled from" not in text


def test_the_cpus_are_those_that_were_proven_for_these_files(
    make_bundle: MakeBundle, dataset: Dataset, tmp_path: Path
) -> None:
    bundle = make_bundle()
    assert bundle.folder is not None
    words = ["model-card", str(bundle.folder), "--data", dataset.source]
    words += ["--emulators", str(tmp_path)]

    def card() -> str:
        assert bundle.folder is not None
        assert main(words) == 0
        return (bundle.folder / "card.md").read_text(encoding="utf-8")

    assert "## Other CPUs" not in card()  # nothing was emulated
    artifact = bundle.artifact()
    images = ImageCheck(500, 0.0, 1.0, 0, ())
    cells = [
        Cell(cpu, "card", artifact.name, sha256, "onnxruntime", None, images)
        for cpu, sha256 in (
            ("cortex-a53", artifact.sha256), ("Haswell", artifact.sha256), ("Nehalem", "0" * 64),
        )
    ]  # fmt: skip
    result = EmulatorsResult(
        1, "2026-01-01", "0.1", {"numpy": "2.4"}, "7.2", describe(), "500 test images", {},
        tuple(cells),
    )  # fmt: skip
    (tmp_path / FILE).write_text(as_text(result))
    text = card()
    assert "top-1 as the workstation on 500 test images" in text
    proven = "cortex-a53 (Raspberry Pi 3), Haswell (Intel 2013, AVX2)"
    assert f"- `{artifact.name}`: {proven}\n" in text
    (tmp_path / FILE).write_text(as_text(replace(result, cells=tuple(cells[2:]))))
    assert "## Other CPUs" not in card()  # it is of another file


def test_the_card_of_own_data_names_them(make_bundle: MakeBundle, dataset: Dataset) -> None:
    bundle = make_bundle()
    assert bundle.folder is not None
    provenance = require_provenance(bundle)
    data = replace(provenance.data, title="my plates", attribution=dataset.attribution)
    write_description(bundle.folder, bundle, replace(provenance, data=data))
    assert main(["model-card", str(bundle.folder), "--data", dataset.source]) == 0
    card = (bundle.folder / "card.md").read_text(encoding="utf-8")
    assert "--data 'my plates' --size 8 --out" in card
    assert "`my plates` is your own data" in card
    assert "DATA" not in card
    assert "cifar" not in card


def of_size(bundle: Bundle, side: int) -> Bundle:
    """As if its images were of that side: the tiny model's 8 pixels are too few for a training."""
    return replace(bundle, height=side, width=side)


@pytest.mark.parametrize("side", [32, 64])
def test_the_commands_are_parsed_by_the_stages(make_bundle: MakeBundle, side: int) -> None:
    parsers = {"training": training_parser(), "export": export_parser()}
    lines = commands(of_size(make_bundle(TEACHER), side))
    stages = [re.match(r"python -m (\w+ \w+)", line) for line in lines]
    assert [stage and stage[1] for stage in stages] == [
        "training run",
        "training distill",
        "export build",
    ]
    for line in lines:
        _, _, stage, *arguments = shlex.split(line)
        parsed = parsers[stage].parse_args(arguments)
        assert stage == "export" or parsed.size == side
        assert ("--size" in arguments) == (stage == "training" and side != 32)
    assert "--seed 7" in lines[1]
    assert "--teacher runs/teacher_1" in lines[1]
    assert "--epochs 2" in lines[0]


def test_what_means_nothing_without_a_teacher_is_no_option_of_run(make_bundle: MakeBundle) -> None:
    usual = commands(make_bundle(TEACHER))
    recipe = {**TEACHER.recipe, "teacher_views": 5, "temperature": 3.0}
    assert commands(make_bundle(replace(TEACHER, recipe=recipe))) == usual


def test_a_student_that_started_from_weights_names_them(make_bundle: MakeBundle) -> None:
    weights = read_pretrained("edge_s").sha256
    own = replace(recipe_of("edge_s"), pretrained=weights, teacher=TEACHER.sha256)
    second = replace(
        TEACHER, sha256="2" * 64, model="edge_s", recipe=to_json(own), teachers=(TEACHER,)
    )
    line = commands(of_size(make_bundle(second), 32))[1]
    assert training_parser().parse_args(shlex.split(line)[3:]).start == "edge_s"


def test_a_training_with_own_pictures_of_no_class_names_them(
    make_bundle: MakeBundle, dataset: Dataset
) -> None:
    """The teacher's had none."""
    bundle = make_bundle(TEACHER)
    assert bundle.folder is not None
    provenance = require_provenance(bundle)
    recipe = {**provenance.training.recipe, "outliers": 0.25, "unknown": "3" * 64}
    record = replace(provenance.training, recipe=recipe)
    write_description(bundle.folder, bundle, replace(provenance, training=record))
    teacher, student, _ = commands(of_size(load_bundle(bundle.folder), 32))
    assert "--unknown" not in teacher
    parsed = training_parser().parse_args(shlex.split(student)[3:])
    assert (parsed.unknown, parsed.outliers) == (Path("UNKNOWN"), 0.25)
    assert main(["model-card", str(bundle.folder), "--data", dataset.source]) == 0
    card = (bundle.folder / "card.md").read_text(encoding="utf-8")
    assert "UNKNOWN is the folder of your own pictures of no class." in card


@pytest.mark.parametrize(
    ("weights", "file"),
    [
        (read_pretrained("edge_s").sha256, "`training/weights/edge_s.npz`"),
        ("0" * 64, "other weights"),
    ],
)
def test_minutes_are_not_all_where_weights_were_started_from(weights: str, file: str) -> None:
    recipe = to_json(replace(recipe_of("edge_s"), pretrained=weights, teacher=TEACHER.sha256))
    record = replace(training(TEACHER), recipe=recipe, seconds=TrainingSeconds(63.0, 60.0))
    assert model_card._training_cost(record).startswith(
        f"started from {file}, whose own training is not counted here; distilled from baseline "
        "(90.0%, 2 minutes); 1 minute of training on 2 cores"
    )


@pytest.mark.parametrize("both", [True, False])
def test_a_teachers_own_teachers_are_trained_first_and_once(
    make_bundle: MakeBundle, both: bool
) -> None:
    own = replace(recipe_of("edge_s"), epochs=3, optimizer="sgd", l2=1e-4, teacher=TEACHER.sha256)
    second = replace(
        TEACHER, sha256="2" * 64, model="edge_s", recipe=to_json(own), teachers=(TEACHER,)
    )
    teachers = (TEACHER, second) if both else (second,)
    lines = commands(of_size(make_bundle(*teachers), 32))
    assert len(lines) == 4
    assert lines[0] == commands(of_size(make_bundle(TEACHER), 32))[0]
    assert lines[1].startswith("python -m training distill edge_s --teacher runs/teacher_1 ")
    assert lines[1].endswith(" --out runs/teacher_2")
    options = training_parser().parse_args(shlex.split(lines[1])[3:])
    assert (options.epochs, options.optimizer, options.l2) == (3, "sgd", 1e-4)
    named = "runs/teacher_1 runs/teacher_2" if both else "runs/teacher_2"
    assert f" --teacher {named} " in lines[2]


def test_other_data_than_the_bundles_own_is_one_line(
    make_bundle: MakeBundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model-card", str(make_bundle().folder), "--data", "digits"]) == 1
    assert "digits is not what card was trained on" in capsys.readouterr().err


def test_a_bundle_of_unknown_origin_has_no_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model-card", str(TINY), "--data", "digits"]) == 1
    assert "does not tell where it comes from" in capsys.readouterr().err
