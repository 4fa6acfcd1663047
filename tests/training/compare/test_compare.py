"""The comparison's statistics and text follow from the predictions."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("tensorflow")
pytest.importorskip("markdown_it")

from tests.training.sample_run import sample_record, sample_result
from training.compare.report import conclusion, write_report
from training.compare.runs import COMPARED, ComparedRun, pairs
from training.data import load_dataset
from training.run_folder import Run


def compared(
    key: str,
    correct: Sequence[int] | NDArray[np.bool_],
    *,
    seconds: float = 60.0,
    macs: int = 4_000_000,
    predicted: NDArray[np.int64] | None = None,
) -> ComparedRun:
    history = [
        {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": value, "seconds": 30.0}
        for value in (0.4, 0.5)
    ]
    run = Run(Path(key), sample_record(sample_result(seconds)))
    flags = np.asarray(correct, dtype=bool)
    if predicted is None:
        predicted = np.zeros(len(flags), np.int64)
    return ComparedRun(key, run, history, predicted, flags, macs)


def four(*correct: int) -> list[ComparedRun]:
    """The four runs, each with so many correct predictions of 360."""
    return [
        compared(key, [1] * n + [0] * (360 - n), seconds=60.0 * (1 + i), macs=10**6 * (1 + 9 * i))
        for i, (key, n) in enumerate(zip(COMPARED, correct, strict=True))
    ]


def test_the_conclusion_follows_the_figures() -> None:
    text = conclusion(four(240, 200, 238, 330))
    assert "VGG16 does not differ significantly from the small CNN (66.1% against 66.7%)" in text
    assert "its own preprocessing" in text
    assert "Fine-tuned, it is more accurate than the small CNN (91.7%)" in text
    assert "4.0 times the training time" in text
    assert "28 times the multiply-accumulates" in text
    other = conclusion(four(330, 230, 200, 240))
    assert "is less accurate than the small CNN" in other
    assert "the notebook’s preprocessing" in other
    assert other.count(". ") == 1


def test_the_report_is_complete_in_itself(tmp_path: Path) -> None:
    dataset = load_dataset("digits")
    draw = np.random.default_rng(0)
    truth = dataset.targets[dataset.parts["test"]]
    runs = []
    for key, rate in zip(COMPARED, (0.6, 0.5, 0.6, 0.9), strict=True):
        predicted = np.where(draw.random(360) < rate, truth, (truth + 1) % 10)
        runs.append(compared(key, predicted == truth, predicted=predicted))
    write_report(runs, dataset, tmp_path, "python -m training compare …")
    text = (tmp_path / "report.md").read_text()
    for title, _ in COMPARED.values():
        assert f"| {title} |" in text
    for a, b in pairs(runs):
        only_a, only_b = int((a.correct & ~b.correct).sum()), int((b.correct & ~a.correct).sum())
        assert f"| {a.title} / {b.title} | {only_a:,} | {only_b:,} |" in text
    assert "68.33 %" in text
    assert "67.21 %" in text
    page = (tmp_path / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("<table>") == 2
    for name in ("curves.png", "confusion.png", "strip.png"):
        assert (tmp_path / name).stat().st_size > 5_000
