"""The budget first: what is chosen, what is proved, and the command on the shipped bundle."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinysight.benchmark.onnx_bytes import identity_model, matmul_model
from tinysight.benchmark.reference_ops import identity_model_call
from tinysight.benchmark.selection import Budget, Candidate, pareto_front, select
from tinysight.benchmark.timing import time_interleaved
from tinysight.cli.main import main
from tinysight.engines.registry import installed
from tinysight.stats import Accuracy

needs_litert = pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")


def candidate(name="a", latency_us=50.0, correct=8000, size=100_000, mb=60.0, **more):
    accuracy = None if correct is None else Accuracy(correct, 10_000)
    given = {"engine": "onnxruntime", "threads": 1, "interval": None, **more}
    return Candidate(
        "b", name, latency_us=latency_us, accuracy=accuracy, bytes=size, peak_mb=mb, **given
    )


candidates = st.lists(
    st.builds(
        candidate,
        latency_us=st.floats(1, 1000),
        correct=st.none() | st.integers(0, 10_000),
        size=st.integers(1, 10**6),
        mb=st.none() | st.floats(10, 500),
    ),
    min_size=1,
    max_size=8,
)
limit = st.none() | st.floats(1, 1000)


@given(candidates, limit, st.none() | st.floats(1, 100), limit, limit, st.none() | st.floats(1, 50))
def test_what_is_chosen_keeps_every_limit(variants, latency_us, accuracy, kb, mb, identity_latency):
    if latency_us is accuracy is kb is mb is None:
        return
    budget = Budget(latency_us, accuracy, kb, mb)
    selection = select(variants, budget, identity_latency)
    assert set(selection.feasible) == {
        variant for variant in variants if not budget.violations(variant)
    }
    if selection.chosen is None:
        assert all(budget.violations(variant) for variant in variants)
        assert selection.violations
        assert selection.reasons
    else:
        assert selection.chosen in selection.feasible
        assert not selection.violations
        # Nothing that keeps the budget is both quicker and more accurate.
        one = selection.chosen
        for other in selection.feasible:
            if one.accuracy is not None and other.accuracy is not None:
                assert (
                    other.latency_us >= one.latency_us or other.accuracy.value <= one.accuracy.value
                )
    json.dumps(selection.as_json(), allow_nan=False)


def test_within_noise_the_quickest_is_taken_and_beyond_it_the_most_accurate():
    slow, quick = (
        candidate("slow", latency_us=60, correct=8010),
        candidate("quick", latency_us=40, correct=8000),
    )
    selection = select([slow, quick], Budget(latency_us=80), None)
    assert selection.chosen is quick
    assert "0.10 points, which is within noise, and takes 1.50 times" in selection.reasons[0]
    better = candidate("better", latency_us=60, correct=8500)
    assert select([better, quick], Budget(latency_us=80), None).chosen is better


def test_a_median_too_near_to_the_limit_is_told():
    near = candidate(latency_us=79, interval=(77.0, 82.0))
    (reason,) = select([near], Budget(latency_us=80), None).reasons
    assert "77.0 to 82.0" in reason


def test_the_proof_names_what_is_in_the_way():
    quick, good = (
        candidate("quick", latency_us=40, correct=7000),
        candidate("good", latency_us=120, correct=9000),
    )
    selection = select([quick, good], Budget(latency_us=80, accuracy=85), floor_us=4)
    assert selection.chosen is None
    assert selection.nearest is quick  # 85 / 70 is nearer than 120 / 80
    assert selection.reasons == (
        "the quickest of the 1 that keep every other limit: latency 120.0 us for 80.0 us",
        "the most accurate of the 1 that keep every other limit: accuracy 70.00 % for 85.00 %",
    )
    impossible = select([quick, good], Budget(latency_us=3), floor_us=4)
    assert "no model at all answers in 3 us" in impossible.reasons[0]


def test_what_is_unknown_keeps_no_limit():
    unknown = candidate(correct=None, mb=None)
    selection = select([unknown], Budget(accuracy=50, mb_ram=100), None)
    assert selection.chosen is None
    assert "its accuracy is unknown (give --data)" in " ".join(map(str, selection.violations))
    assert select([unknown], Budget(latency_us=80), None).chosen is unknown


def test_the_front_is_what_nothing_beats():
    quick, worse, best = (
        candidate("quick", 10, 6000),
        candidate("worse", 20, 5500),
        candidate("best", 90, 9500),
    )
    assert pareto_front([best, worse, quick]) == [quick, best]


@pytest.mark.parametrize(
    "limits", [{}, {"us": 0}, {"us": float("nan")}, {"kb": float("inf")}, {"accuracy": 101}]
)
def test_budgets_are_checked(limits):
    with pytest.raises(ValueError, match=r"limit|accuracy"):
        Budget(**limits)


def test_nothing_to_choose_from():
    with pytest.raises(ValueError, match="nothing to choose"):
        select([], Budget(latency_us=1), None)


def test_the_empty_graph_runs_on_images_of_any_size():
    for shape in ((1, 32, 32, 3), (2, 8, 4, 3)):
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        (same,) = identity_model_call(image)()
        assert np.array_equal(same, image)


def test_the_empty_graph_is_onnx():
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(identity_model())
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["Identity"]
    onnx.checker.check_model(onnx.load_from_string(matmul_model()))


def test_bursts_time_each_call_as_often_as_asked_or_as_time_allows():
    counts = {"often": 0, "seldom": 0}

    def count(name):
        counts[name] += 1

    taken = time_interleaved({name: lambda name=name: count(name) for name in counts}, 33, 10.0)
    assert {name: len(times) for name, times in taken.items()} == {"often": 33, "seldom": 33}
    assert all(count > 33 for count in counts.values())  # warm-up, and each burst's first calls
    (times,) = time_interleaved({"none": lambda: None}, 1000, 1e-9).values()
    assert len(times) == 1


def test_the_shipped_bundle_keeps_one_budget_and_not_another(capsys):
    budget = ["select", "edge_m", "edge_s", "--samples", "40", "--max-kb", "400"]
    assert main([*budget, "--min-acc", "87"]) == 0
    told = capsys.readouterr().out
    # Which of the two is a matter of noise: where they are as accurate, the quicker one.
    assert re.match(r"ship edge_[ms]/static_w8a8 with onnxruntime on 1 thread", told)
    assert "a call of an empty graph takes" in told
    assert main([*budget, "--min-acc", "95", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["chosen"] is None
    assert result["nearest"]["artifact"] == "static_w8a8"
    assert [violation["what"] for violation in result["misses"]] == ["accuracy"]
    assert main([*budget, "--max-us", "0.001"]) == 1
    assert "no model at all answers in 0.001 us" in capsys.readouterr().out


def test_it_takes_what_bench_printed(benched, tiny, capsys):
    limits = ["--max-us", "100000", "--max-mb-ram", "100000", "--max-kb", "10"]
    assert main(["select", "--from", str(benched), *limits, "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert chosen["chosen"]["bundle"] == "tiny"
    assert chosen["chosen"]["engine"] == "onnxruntime"
    assert chosen["chosen"]["peak_memory_mb"] > 5
    assert chosen["floor_us"] > 0
    assert main(["select", str(tiny), "--from", str(benched), *limits]) == 0
    assert "ship tiny/float32 with onnxruntime on 1 thread" in capsys.readouterr().out


def test_it_takes_no_other_bundles_measurements(benched, spoilt, capsys):
    assert main(["select", str(spoilt(name="other")), "--from", str(benched), "--max-us", "9"]) == 1
    assert "other was not measured" in capsys.readouterr().err
    newer = spoilt(artifact={"sha256": "0" * 64})
    assert main(["select", str(newer), "--from", str(benched), "--max-us", "9"]) == 1
    assert "measured another float32 than tiny has now" in capsys.readouterr().err


@needs_litert
def test_every_engine_that_is_installed_takes_part(tiny, capsys):
    bundle = str(tiny.with_name("bundle_litert"))
    assert main(["select", bundle, "--samples", "40", "--max-us", "1e9", "--json"]) == 0
    engines = {one["engine"] for one in json.loads(capsys.readouterr().out)["feasible"]}
    assert engines == {"onnxruntime", "litert"}


def test_no_limit_is_one_line(capsys):
    assert main(["select"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
