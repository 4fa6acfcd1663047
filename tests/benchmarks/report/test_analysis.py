"""What a report says of a result: ratios, tests and findings."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.report import analysis
from benchmarks.sweep.result import SweepResult
from tests.benchmarks.make_result import make_result


@pytest.fixture
def result() -> SweepResult:
    return make_result(
        {"float32": 50, "int8": 25, "alike": 50.01, "broken": 20},
        correct={"float32": 180, "int8": 179, "alike": 180, "broken": 100},
    )


def test_variants_are_compared_with_float32(result: SweepResult) -> None:
    rows = {row.variant.recipe: row for row in analysis.rows(result)}
    assert list(rows) == ["broken", "int8", "float32", "alike"]  # the fastest first
    assert [recipe for recipe, row in rows.items() if row.on_front] == ["broken", "int8", "float32"]
    assert rows["float32"].is_reference
    assert rows["float32"].ratio is None
    faster, alike = rows["int8"], rows["alike"]
    assert faster.ratio is not None
    assert faster.ratio.value == pytest.approx(0.5, rel=0.02)
    assert not faster.ratio.within_noise
    assert alike.ratio is not None
    assert alike.ratio.within_noise
    assert faster.disagreements is not None
    assert (faster.disagreements.only_first, faster.disagreements.only_second) == (1, 0)
    assert faster.same_accuracy
    assert rows["broken"].same_accuracy is False


def test_the_findings_name_what_is_fast_alike_and_worse(result: SweepResult) -> None:
    text = " ".join(analysis.findings(analysis.rows(result)))
    assert "m/int8 · onnxruntime is the fastest within one point of the best accuracy: 2" in text
    assert "As fast as its reference, within noise: m/alike · onnxruntime." in text
    worse = "m/broken · onnxruntime (-40.00 points, p < 0.001)"
    assert f"Significantly less accurate than its reference: {worse}." in text


def test_the_disagreements_are_those_images_that_one_alone_gets_right(result: SweepResult) -> None:
    reference, variant = (
        next(v for v in result.variants if v.recipe == recipe) for recipe in ("float32", "int8")
    )
    lost, won = analysis.disagreement_indices(result, reference, variant)
    assert (lost.tolist(), won.tolist()) == ([20], [])  # the wrong ones come first
    bare = replace(result, data=None, predictions={})
    assert analysis.mcnemar(bare, reference, variant) is None
    assert analysis.disagreement_indices(bare, reference, variant)[0].size == 0


def test_a_confusion_matrix_has_true_classes_as_rows(result: SweepResult) -> None:
    assert result.data is not None
    variant = next(v for v in result.variants if v.recipe == "broken")
    matrix = analysis.confusion_matrix(result, variant)
    assert matrix is not None
    assert matrix.trace() == 100
    np.testing.assert_array_equal(matrix.sum(axis=1), np.bincount(result.data.targets))
    # What is wrong is taken for the next class.
    assert [matrix[0, 2], matrix[1, 0], matrix[2, 1]] == [0, 0, 0]


def test_without_float32_a_model_is_compared_with_nothing() -> None:
    """Not with its most accurate variant: that is the slower one of this model, the faster of the
    next, and the column would mean now this and now that."""
    result = make_result({"a/int8": 10, "a/int16": 20, "b/float32": 30, "b/int8": 15})
    assert analysis.reference_of(result, "a") is None
    rows = {row.variant.key.partition("@")[0]: row for row in analysis.rows(result)}
    for name in ("a/int8", "a/int16"):
        row = rows[name]
        assert (row.reference, row.ratio, row.disagreements) == (None, None, None)
        assert not row.is_reference
        assert row.same_accuracy is None
    assert rows["b/float32"].is_reference
    ratio = rows["b/int8"].ratio
    assert ratio is not None
    assert ratio.value == pytest.approx(0.5, rel=0.02)
    text = " ".join(analysis.findings(list(rows.values())))
    assert "Of 1 artifacts with a reference none is significantly less accurate" in text
    alone = analysis.findings(analysis.rows(make_result({"a/int8": 10, "a/int16": 20})))
    assert len(alone) == 1
    assert "reference" not in alone[0]


@pytest.mark.parametrize(("p", "text"), [(0.0004, "< 0.001"), (0.00149, "= 0.0015"), (1, "= 1")])
def test_a_p_value_has_the_digits_it_deserves(p: float, text: str) -> None:
    assert analysis.format_p(p) == text
