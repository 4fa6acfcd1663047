"""A bundle's card: what it was trained on, where it fails, and what it says of what it never saw.

Markdown, written beside the artifacts; nothing in it is typed by hand.
"""

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.studies.out_of_distribution import Reaction, ood_images, react
from tinysight import Bundle, Classifier
from tinysight.stats import Accuracy
from training.data import Dataset
from training.recipes import Recipe, recipe_of

FILE = "card.md"
_NO_FLAG = {"model", "teacher", "split_seed"}
"""Settings of a recipe that no option sets: the command's other words do."""
_OF_TEACHING = {"temperature", "teacher_weight", "mixed", "copies"}
"""Those that mean nothing without a teacher."""


def card(bundle: Bundle, dataset: Dataset) -> str:
    """The card, by looking at the test images once more with the default artifact."""
    classifier = Classifier.load(bundle.folder, artifact=bundle.default)
    test = dataset.parts["test"]
    answers = np.concatenate(
        [classifier.logits(dataset.images[part]) for part in np.array_split(test, 100)]
    ).argmax(axis=1)
    seen = {
        kind: react(classifier, images)
        for kind, images in ood_images(bundle.height, bundle.width).items()
    }
    return "\n".join(_lines(bundle, answers, dataset.targets[test], seen)) + "\n"


def commands(bundle: Bundle) -> list[str]:
    """What to type to make the bundle again, the teachers first."""
    training = bundle.training
    folders: dict[str, str] = {}
    lines = [
        _shell("training", *_lesson(teacher, folders), "--data", "DATA", "--out", folder)
        for teacher, folder in _teachers(training, folders)
    ]
    out = f"runs/{bundle.name}"
    lines.append(_shell("training", *_lesson(training, folders), "--data", "DATA", "--out", out))
    made = bundle.export
    lines.append(
        _shell("export", "build", out, "--recipes", ",".join(made["recipes"]), "--formats",
               ",".join(made["formats"]), "--out", f"bundles/{bundle.name}")
    )  # fmt: skip
    return lines


def _teachers(
    training: Mapping[str, Any], folders: dict[str, str]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every teacher once, with its folder, which `folders` keeps: whom it learned from first."""
    for teacher in training.get("teachers", ()):
        if teacher["sha256"] in folders:
            continue
        yield from _teachers(teacher, folders)
        folder = folders[teacher["sha256"]] = f"runs/teacher_{len(folders) + 1}"
        yield teacher, folder


def _lesson(training: Mapping[str, Any], folders: Mapping[str, str]) -> list[str]:
    """How a run, or a teacher, is trained, up to its data."""
    recipe = Recipe(**training["recipe"])
    taught_by = [folders[teacher["sha256"]] for teacher in training.get("teachers", ())]
    verb = (
        ["distill", recipe.model, "--teacher", *taught_by] if taught_by else ["run", recipe.model]
    )
    return [*verb, *_options(recipe)]


def _options(recipe: Recipe) -> Iterator[str]:
    """The options in which a recipe differs from its model's own."""
    usual = recipe_of(recipe.model)
    for field in dataclasses.fields(Recipe):
        value = getattr(recipe, field.name)
        idle = recipe.teacher is None and field.name in _OF_TEACHING
        if idle or field.name in _NO_FLAG or value == getattr(usual, field.name):
            continue
        yield "--" + field.name.replace("_", "-")
        if not isinstance(value, bool):
            yield str(value)


def _shell(stage: str, *words: str) -> str:
    return f"python -m {stage} {shlex.join(words)}"


def _lines(
    bundle: Bundle,
    answers: NDArray[np.int64],
    targets: NDArray[np.int64],
    seen: Mapping[str, Reaction],
) -> Iterator[str]:
    artifact, training = bundle.artifact(), bundle.training
    right = answers == targets
    yield from (
        f"# {bundle.name}",
        "",
        f"Classifies images of {bundle.height} x {bundle.width} pixels: "
        f"{', '.join(bundle.labels)}.",
        "",
        f"- right on {Accuracy(int(right.sum()), len(right))} test images (95 % interval), as "
        f"`{artifact.name}`, {artifact.bytes / 1000:.0f} KB",
        f"- {training['macs'] / 1e6:.1f} million multiply-accumulates, "
        f"{training['parameters']:,} parameters; what that costs here: `tinysight bench`",
        f"- trained on {bundle.data['title']}: {bundle.data['splits']['train']['n']:,} images, "
        f"{bundle.data['splits']['val']['n']:,} more to choose by; {bundle.data['attribution']}",
        *_taught(training),
        "",
        "## Where it fails",
        "",
        "| class | right (95 % interval) | most often called |",
        "|---|---|---|",
    )
    for index, label in enumerate(bundle.labels):
        own = targets == index
        wrong = np.bincount(answers[own & ~right], minlength=len(bundle.labels))
        called = f"{bundle.labels[wrong.argmax()]} ({wrong.max()})" if wrong.any() else "-"
        yield f"| {label} | {Accuracy(int(right[own].sum()), int(own.sum()))} | {called} |"
    yield from ("", "## How sure it is", "", *_sure(bundle), "")
    yield from (
        "Images of no class that it knows (500 of each kind, made by "
        "`python -m benchmarks strangers`):",
        "",
        "| images | mean probability of its answer | answered with `--min-confidence auto` |",
        "|---|---|---|",
    )
    for kind, reaction in seen.items():
        answered = "-" if reaction.answered is None else f"{reaction.answered:.0%}"
        yield f"| {kind} | {reaction.confidence:.2f} | {answered} |"
    yield from (
        "",
        "It has no class for what it was not shown, and says one all the same: a threshold guards "
        "against its own mistakes, not against strangers. It knows whole objects in the middle of "
        "a picture, as photos of these ten kinds have them.",
        "",
        "## To make it again",
        "",
        "```",
        *commands(bundle),
        "```",
        "",
        "DATA is the archive or `cifar10`. A repetition lands within the interval above, not on "
        "the same digits: threads sum in another order.",
    )


def _taught(training: Mapping[str, Any]) -> Iterator[str]:
    minutes = training["seconds"]["training"] / 60
    teachers = training.get("teachers", ())
    if not teachers:
        yield f"- {minutes:.0f} minutes of training on {training['device']['cores']} cores"
        return
    names = " and ".join(
        f"{teacher['model']} ({teacher['test']['value']:.1%}, "
        f"{teacher['training_seconds'] / 60:.0f} minutes)"
        for teacher in teachers
    )
    yield (
        f"- taught by {names}; itself {minutes:.0f} minutes of training, the teachers' answers "
        f"included as far as they were not kept from before, on {training['device']['cores']} cores"
    )


def _sure(bundle: Bundle) -> Iterator[str]:
    confidence = (bundle.artifact().accuracy or {}).get("confidence")
    if confidence is not None:
        yield (
            f"Probabilities are calibrated by one temperature, {bundle.temperature:.3f}, fitted on "
            f"the validation images; on the test images they are off by "
            f"{confidence['calibration_error']['after']:.3f} in the mean (expected calibration "
            f"error, {confidence['calibration_error']['bins']} bins)."
        )
    if bundle.abstain:
        yield "\n| threshold | answered | of these right |\n|---|---|---|"
        for threshold, coverage, accuracy in bundle.abstain["curve"]:
            if accuracy is not None and round(100 * threshold) % 10 == 0:
                yield f"| {threshold:.2f} | {coverage:.1%} | {accuracy:.1%} |"
        yield (
            f"\nOn the validation images. `--min-confidence auto` takes "
            f"{bundle.abstain['threshold']:.2f}: {bundle.abstain['rule']}."
        )
