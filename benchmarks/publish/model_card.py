"""A bundle's model card: what it was trained on, where it fails, how far its confidence goes.

Markdown, written beside the artifacts; nothing in it is typed by hand. The form is that of Mitchell
et al. (2019), Model Cards for Model Reporting.
"""

import shlex
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.emulators.cpus import display_name
from benchmarks.emulators.records import EmulatorsResult, proven_on
from benchmarks.studies.out_of_distribution import (
    IMAGES,
    ConfidenceSummary,
    mean_coverage,
    ood_images,
    summarize_confidence,
)
from benchmarks.studies.training_data import parse_recipe
from tinysight import Bundle, Classifier
from tinysight.provenance import (
    ConfidenceRecord,
    DataRecord,
    Provenance,
    TeacherRecord,
    TrainingRecord,
    require_provenance,
)
from tinysight.stats import Accuracy
from training.data import Dataset
from training.data.dataset import OWN
from training.pretrained import SHIPPED, read_pretrained
from training.recipes import options

FILE = "card.md"
_BATCH = 100
_UNKNOWN = "UNKNOWN"
"""What stands for a user's own pictures of no class on a command line: only their hash is known."""
_USUAL_SIDE = 32
"""Of the images, where `python -m training` is given no --size."""


def model_card(bundle: Bundle, dataset: Dataset, emulators: EmulatorsResult | None) -> str:
    """The card; classifies the test images once more with the default artifact.

    Args:
        dataset: what the bundle was trained on.
        emulators: what emulated CPUs answered; of this bundle, if it is of the same artifacts.

    Raises BundleError where the bundle does not record how it was made.
    """
    provenance = require_provenance(bundle)
    classifier = Classifier.load(bundle.folder, artifact=bundle.default)
    test = dataset.parts["test"]
    batches = [test[start : start + _BATCH] for start in range(0, len(test), _BATCH)]
    logits = [classifier.logits(dataset.images[batch]) for batch in batches]
    ood = {
        kind: summarize_confidence(classifier, images)
        for kind, images in ood_images(*bundle.shape).items()
    }
    answers = np.concatenate(logits).argmax(axis=1)
    targets = dataset.targets[test]
    sections = (
        _summary(bundle, provenance, Accuracy(int((answers == targets).sum()), len(targets))),
        _failures(bundle.labels, answers, targets),
        _confidence(bundle, provenance),
        _out_of_distribution(ood, provenance.data),
        _other_cpus(bundle, emulators),
        _reproduction(bundle, provenance.data),
    )
    return "\n".join(line for section in sections for line in section) + "\n"


def commands(bundle: Bundle) -> list[str]:
    """What to type to make the bundle again, the teachers first.

    Raises BundleError where the bundle does not record how it was made.
    """
    provenance = require_provenance(bundle)
    training, export = provenance.training, provenance.export
    folders: dict[str, str] = {}
    data = ["--data", _data_word(provenance.data)]
    if bundle.height != _USUAL_SIDE:
        data += ["--size", str(bundle.height)]
    lines = [
        _shell("training", *_training_command(teacher, folders, 0), *data, "--out", folder)
        for teacher, folder in _teachers(training.teachers, folders)
    ]
    run = f"runs/{bundle.name}"
    splits = provenance.data.splits
    words = _training_command(
        training, folders, 0 if splits is None else splits.train.n + splits.val.n
    )
    lines.append(_shell("training", *words, *data, "--out", run))
    artifacts = ("--recipes", ",".join(export.recipes), "--formats", ",".join(export.formats))
    lines.append(_shell("export", "build", run, *artifacts, "--out", f"bundles/{bundle.name}"))
    return lines


def _teachers(
    teachers: tuple[TeacherRecord, ...], folders: dict[str, str]
) -> Iterator[tuple[TeacherRecord, str]]:
    """Every teacher once, after its own teachers, with its run folder.

    `folders` keeps the run folders by the SHA-256 of the teacher's model.
    """
    for teacher in teachers:
        if teacher.sha256 in folders:
            continue
        yield from _teachers(teacher.teachers, folders)
        folder = folders[teacher.sha256] = f"runs/teacher_{len(folders) + 1}"
        yield teacher, folder


def _training_command(
    record: TrainingRecord | TeacherRecord, folders: Mapping[str, str], images: int
) -> list[str]:
    """How a model is trained, on this many images, up to its data."""
    recipe = parse_recipe(record.recipe)
    teachers = [folders[teacher.sha256] for teacher in record.teachers]
    command = (
        ["distill", recipe.model, "--teacher", *teachers] if teachers else ["run", recipe.model]
    )
    # `run` starts from weights by itself where the data are somebody's own; `distill` never does.
    if recipe.pretrained is not None or (not teachers and recipe.model in SHIPPED):
        command += ["--from", _start(recipe.pretrained)]
    if recipe.unknown is not None:
        command += ["--unknown", _UNKNOWN]
    return [*command, *options(recipe, images)]


def _start(sha256: str | None) -> str:
    """What `--from` is given for weights of this hash."""
    return "none" if sha256 is None else _shipped_weights(sha256) or "PRETRAINED"


def _shipped_weights(sha256: str) -> str | None:
    """The name of the weights in `training/weights` that have this hash."""
    return next((name for name in SHIPPED if read_pretrained(name).sha256 == sha256), None)


def _shell(stage: str, *words: str) -> str:
    return f"python -m {stage} {shlex.join(words)}"


def _summary(bundle: Bundle, provenance: Provenance, accuracy: Accuracy) -> Iterator[str]:
    artifact, training, data = bundle.artifact(), provenance.training, provenance.data
    images = (
        ""
        if data.splits is None
        else f": {data.splits.train.n:,} training images, {data.splits.val.n:,} validation images"
    )
    yield from (
        f"# {bundle.name}",
        "",
        f"Classifies images of {bundle.height} x {bundle.width} pixels: "
        f"{', '.join(bundle.labels)}.",
        "",
        f"- test accuracy {accuracy} images (95 % interval), as `{artifact.name}`, "
        f"{artifact.bytes / 1000:.0f} KB",
        f"- {training.macs / 1e6:.1f} million multiply-accumulates, {training.parameters:,} "
        "parameters; `tinysight bench` measures the latency",
        f"- trained on {data.title}{images}; {data.attribution}",
        f"- {_training_cost(training)}",
    )


def _training_cost(training: TrainingRecord) -> str:
    cost = f"{_minutes(training.seconds.training)} of training on {training.device.cores} cores"
    start = ""
    if (sha256 := parse_recipe(training.recipe).pretrained) is not None:
        name = _shipped_weights(sha256)
        file = "other weights" if name is None else f"`training/weights/{name}.npz`"
        start = f"started from {file}, whose own training is not counted here; "
    if not training.teachers:
        return start + cost
    teachers = " and ".join(map(_describe_teacher, training.teachers))
    return (
        f"{start}distilled from {teachers}; {cost}, the teachers' logits included where they were "
        "not cached"
    )


def _describe_teacher(teacher: TeacherRecord) -> str:
    accuracy = "" if teacher.test is None else f"{teacher.test.value:.1%}, "
    return f"{teacher.model} ({accuracy}{_minutes(teacher.training_seconds)})"


def _minutes(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} minute" if minutes == 1 else f"{minutes} minutes"


def _failures(
    labels: tuple[str, ...], answers: NDArray[np.int64], targets: NDArray[np.int64]
) -> Iterator[str]:
    """Accuracy by class; `answers` and `targets` are class indices, int64 (n,)."""
    yield from (
        "",
        "## Where it fails",
        "",
        "| class | accuracy (95 % interval) | most often mistaken for |",
        "|---|---|---|",
    )
    for index, label in enumerate(labels):
        own = targets == index
        correct = int((answers[own] == index).sum())
        mistakes = np.bincount(answers[own & (answers != index)], minlength=len(labels))
        worst = f"{labels[mistakes.argmax()]} ({mistakes.max()})" if mistakes.any() else "-"
        yield f"| {label} | {Accuracy(correct, int(own.sum()))} | {worst} |"


def _confidence(bundle: Bundle, provenance: Provenance) -> Iterator[str]:
    yield from ("", "## Confidence", "")
    checks, abstention = provenance.artifacts.get(bundle.default), bundle.abstention
    confidence = None if checks is None else checks.confidence
    if confidence is not None:
        yield (
            f"Probabilities are calibrated by one temperature, {bundle.temperature:.3f}, fitted on "
            f"the validation images; on the test images the expected calibration error is "
            f"{confidence.error:.3f} ({confidence.bins} bins)."
        )
    yield (
        "\n`--min-confidence P` answers where the probability is P or more; of the validation "
        "images:\n\n| P | answered | accuracy of these |\n|---|---|---|"
    )
    for point in provenance.curve:
        if point.accuracy is not None and round(100 * point.threshold) % 10 == 0:
            yield f"| {point.threshold:.2f} | {point.coverage:.1%} | {point.accuracy:.1%} |"
    if abstention is None:
        return
    yield (
        "\n`--min-confidence auto` answers where the energy score is "
        f"{abstention.min_energy_score:.4f} or more ({abstention.rule}): "
        f"{abstention.coverage:.1%} of the validation images are answered, "
        f"{abstention.accuracy:.1%} of them right.{_on_test_images(confidence)}"
    )


def _on_test_images(confidence: ConfidenceRecord | None) -> str:
    if confidence is None or confidence.accuracy is None:
        return ""
    return (
        f" Of the {confidence.n:,} test images {confidence.coverage:.1%} are, "
        f"{confidence.accuracy:.1%} of them right."
    )


def _out_of_distribution(ood: Mapping[str, ConfidenceSummary], data: DataRecord) -> Iterator[str]:
    yield from (
        "",
        f"Out-of-distribution images (at most {IMAGES} of each kind; `python -m benchmarks ood`):",
        "",
        "| images | mean confidence | answered with `--min-confidence auto` |",
        "|---|---|---|",
    )
    for kind, summary in ood.items():
        coverage = "-" if summary.coverage is None else f"{summary.coverage:.0%}"
        yield f"| {kind} | {summary.mean_confidence:.2f} | {coverage} |"
    mean = mean_coverage(ood)
    told = "" if mean is None else f"In the mean over the kinds `auto` answers {mean:.0%} of them. "
    yield from (
        "",
        f"{told}It has no class for what it was not shown, and what it answers of that is wrong. "
        f"{_known(data)}",
    )


def _other_cpus(bundle: Bundle, emulators: EmulatorsResult | None) -> Iterator[str]:
    """The CPUs on which each artifact was proven; nothing where none of them was."""
    proven = {} if emulators is None else proven_on(emulators, bundle)
    if emulators is None or not proven:
        return
    versions = ", ".join(f"{name} {version}" for name, version in emulators.versions.items())
    yield from (
        "",
        "## Other CPUs",
        "",
        "Emulated by qemu, these give the golden answers, and the same top-1 as the workstation on "
        f"{emulators.images} (`python -m benchmarks emulators`; {versions}):",
        "",
    )
    for artifact, cpus in proven.items():
        yield f"- `{artifact}`: {', '.join(map(display_name, cpus))}"


def _known(data: DataRecord) -> str:
    if data.attribution == OWN:
        return (
            f"It knows pictures such as those of {data.title}: of the same kind, light and place."
        )
    return (
        "It knows whole objects in the middle of a picture, as photos of these classes have them."
    )


def _data_word(data: DataRecord) -> str:
    """What stands for the data on a command line: a user's own by its name."""
    return data.title if data.attribution == OWN else "DATA"


def _reproduction(bundle: Bundle, data: DataRecord) -> Iterator[str]:
    own = data.attribution == OWN
    lines = commands(bundle)
    source = f"`{data.title}` is your own data." if own else "DATA is the archive or `cifar10`."
    if any(f"--unknown {_UNKNOWN} " in line for line in lines):
        source += f" {_UNKNOWN} is the folder of your own pictures of no class."
    yield from (
        "",
        "## How to reproduce it",
        "",
        "```",
        *lines,
        "```",
        "",
        f"{source} A repetition lands within the interval above, not on the same digits: threads "
        "sum in another order.",
    )
