"""The comparison's statistics and words follow from the answers, whatever they are."""

import re

import numpy as np
import pytest

pytest.importorskip("tensorflow")
pytest.importorskip("markdown_it")

from training.compare.report import conclusion, write_report
from training.compare.runs import CONTESTANTS, Entry, pairs
from training.data import load_dataset


def entry(key, right, *, seconds=60.0, work=4_000_000, answers=None):
    right = np.asarray(right, dtype=bool)
    history = [
        {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.0, "val_accuracy": value, "seconds": 30.0}
        for value in (0.4, 0.5)
    ]
    record = {
        "seconds": {"training": seconds, "per_epoch": 30.0},
        "trainable_parameters": 83_030,
        "recipe": {"seed": 0},
        "device": {"cpu": "a CPU", "cores": 2, "gpus": [], "precision": "float32"},
    }
    answers = np.zeros(len(right), np.int64) if answers is None else answers
    return Entry(key, CONTESTANTS[key][0], record, history, answers, right, work)


def four(baseline, unit, imagenet, tuned):
    keys = ("baseline", "vgg16_frozen_unit", "vgg16_frozen_imagenet", "vgg16_finetuned")
    rights = (baseline, unit, imagenet, tuned)
    return [
        entry(
            key, [1] * right + [0] * (360 - right), seconds=60 * (1 + i), work=10**6 * (1 + 9 * i)
        )
        for i, (key, right) in enumerate(zip(keys, rights, strict=True))
    ]


def test_the_conclusion_follows_the_figures():
    said = conclusion(four(240, 200, 238, 330))
    assert "frozen, VGG16 cannot be told from the small CNN (66.1% against 66.7%)" in said
    assert "its own preprocessing" in said
    assert "Fine-tuned, it beats the small CNN (91.7%)" in said
    assert "4.0 times the training time" in said
    assert "28 times the work" in said
    turned = conclusion(four(330, 230, 200, 240))
    assert "falls behind the small CNN" in turned
    assert "the notebook’s preprocessing" in turned
    assert turned.count(". ") == 1


def test_the_report_is_complete_in_itself(tmp_path):
    dataset = load_dataset("digits")
    draw = np.random.default_rng(0)
    truth = dataset.targets[dataset.parts["test"]]
    entries = []
    for key, rate in zip(CONTESTANTS, (0.6, 0.5, 0.6, 0.9), strict=True):
        answers = np.where(draw.random(360) < rate, truth, (truth + 1) % 10)
        entries.append(entry(key, answers == truth, answers=answers))
    write_report(entries, dataset, tmp_path, "python -m training compare …")
    text = (tmp_path / "report.md").read_text()
    for title, _ in CONTESTANTS.values():
        assert f"| {title} |" in text
    for a, b in pairs(entries):
        only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
        assert f"| {a.title} / {b.title} | {only_a:,} | {only_b:,} |" in text
    assert "68.33 %" in text
    assert "67.21 %" in text
    page = (tmp_path / "report.html").read_text()
    assert page.count('<img src="data:image/png;base64,') == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("<table>") == 2
    for name in ("curves.png", "confusion.png", "strip.png"):
        assert (tmp_path / name).stat().st_size > 5_000
