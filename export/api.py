"""The stage in Python: what `python -m export build` does.

>>> from export import build
>>> bundle = build(run, "bundles/mine").bundle  # doctest: +SKIP
"""

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export import builder
from export.builder import CandidateReport, ExportOptions
from export.recipes import DEFAULT, RECIPES
from export.target import check_target
from tinysight.bundle import MAX_NAME, Bundle, load_bundle
from tinysight.console import ProgressLine
from tinysight.errors import TinysightError
from training.data import Dataset, load_dataset
from training.run_folder import Run


@dataclass(frozen=True, slots=True)
class Export:
    """What `build` made."""

    bundle: Bundle
    """As a device reads it."""
    reports: tuple[CandidateReport, ...]
    """Of every artifact that was made, those that were refused included."""


def build(
    run: Run, out: str | os.PathLike[str], *, data: str | Dataset | None = None, **options: Any
) -> Export:
    """Makes a bundle of a finished run, and compares every artifact with the trained model.

    Args:
        run: from `training.fit` or `training.load_run`.
        out: folder of the bundle.
        data: what the run was trained on, where it is no longer where the run found it.
        options: fields of `export.builder.ExportOptions`, such as `recipes=("static_w8a8",)` or
            `overwrite=True`.

    Raises:
        ExportError: `out` exists, the data is not what the run was trained on, a device would
            refuse the model, or no artifact is near enough to the trained model.
        DataError: the data cannot be read.
        TypeError: there is no such option.
        ValueError: the options contradict each other.
    """
    chosen, folder = ExportOptions(**options), Path(out)
    chosen = dataclasses.replace(
        chosen,
        name=bundle_name(chosen.name or folder.resolve().name),
        recipes=chosen.recipes or default_recipes(bounded=chosen.max_accuracy_drop is not None),
    )
    # Here too, before the data is read: `out` may have no place beside it, as `.` has none.
    check_target(folder, overwrite=chosen.overwrite, mark="bundle.json", kind="a bundle")
    line = ProgressLine()
    if not isinstance(data, Dataset):
        recorded = run.record.data
        data = load_dataset(
            data or recorded.source, size=recorded.shape[:2], skip_broken=True, progress=line
        )
    reports = builder.build(run, data, folder, chosen, line)
    line.clear()
    return Export(load_bundle(folder), tuple(reports))


def default_recipes(*, bounded: bool) -> tuple[str, ...]:
    """The recipes where none is named; with a bound on the loss, those that it chooses from."""
    if not bounded:
        return DEFAULT
    return tuple(
        name
        for name, recipe in RECIPES.items()
        if recipe.finetuning is None and recipe.arithmetic != "mixed_measured"
    )


def bundle_name(text: str) -> str:
    """A text as a bundle's name. Raises TinysightError where nothing, or too much, is left."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in text.lower())
    name = name.strip("_.-")
    if not name:
        raise TinysightError(f"{text!r} cannot be a bundle's name: use letters and digits")
    if len(name) > MAX_NAME:
        raise TinysightError(
            f"{name!r:.80} cannot be a bundle's name: {len(name)} characters, allowed are "
            f"{MAX_NAME}; --name gives another"
        )
    return name
