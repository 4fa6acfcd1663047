"""tune: what may win, what is kept, and when it is used. Which one wins is the device's affair."""

import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tinysight import Accuracy, Classifier, TinysightError, load_bundle
from tinysight.benchmark.timing import Latency
from tinysight.benchmark.tuning import Exclusion, TuningCandidate, choose_winner, tune
from tinysight.bundle import Golden
from tinysight.cli.main import main
from tinysight.device import info, tuned_profile
from tinysight.device.tuned_profile import TunedProfile
from tinysight.engines.registry import installed, open_engine
from tinysight.integrity.golden import compare, inputs
from tinysight.stats import PairedRatio, paired_ratio

BUNDLE = Path(__file__).parents[2] / "tiny" / "bundle_litert"
needs_litert = pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")


def profile(artifact: str, threads: int) -> TunedProfile:
    return TunedProfile(artifact, threads, 10.0, PairedRatio(0.5, 0.4, 0.6))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TINYSIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the bundle, with its second artifact changed."""

    def copy(**changes: object) -> Path:
        folder = tmp_path / "changed"
        shutil.copytree(BUNDLE, folder)
        content = json.loads((folder / "bundle.json").read_text())
        content["artifacts"][1].update(changes)
        (folder / "bundle.json").write_text(json.dumps(content))
        return folder

    return copy


@needs_litert
def test_every_engine_and_thread_count_is_measured() -> None:
    tuning = tune(load_bundle(BUNDLE), max_threads=2, runs=40)
    assert {(c.engine, c.threads) for c in tuning.candidates} == {
        (engine, threads) for engine in ("onnxruntime", "litert") for threads in (1, 2)
    }
    assert tuning.winner in tuning.candidates
    assert (tuning.default.engine, tuning.default.threads) == ("onnxruntime", 1)
    assert tuning.default.ratio_to_default.value == 1
    medians = [c.median_us for c in tuning.candidates]
    assert medians == sorted(medians)


@needs_litert
def test_a_profile_is_used_unless_something_is_named(cache: Path) -> None:
    bundle = load_bundle(BUNDLE)
    path = tuned_profile.save(bundle, profile("float32.tflite", 2))
    assert path.parent == cache / "profiles"
    tuned = Classifier.load(BUNDLE)
    assert (tuned.artifact.name, tuned.engine, tuned.threads) == ("float32.tflite", "litert", 2)
    assert Classifier.load(BUNDLE, artifact="float32").engine == "onnxruntime"
    assert Classifier.load(BUNDLE, threads=1).engine == "onnxruntime"
    assert tuned_profile.delete(bundle)
    assert not tuned_profile.delete(bundle)
    assert Classifier.load(BUNDLE).engine == "onnxruntime"


DAMAGE: dict[str, Callable[[str], str]] = {
    "empty": lambda text: "",
    "a list": lambda text: "[]",
    "of an earlier format": lambda text: text.replace('"format": 2', '"format": 1'),
    "an unknown artifact": lambda text: text.replace('"artifact": "float32"', '"artifact": "x"'),
    "no thread": lambda text: text.replace('"threads": 1', '"threads": 0'),
    "an unknown key": lambda text: text.replace('"format"', '"more": 1, "format"'),
    "too long": lambda text: text + " " * tuned_profile.MAX_BYTES,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_profile_is_a_warning_and_the_default_answers(name: str) -> None:
    bundle = load_bundle(BUNDLE)
    file = tuned_profile.save(bundle, profile("float32", 1))
    file.write_text(DAMAGE[name](file.read_text()))
    with pytest.warns(UserWarning, match="is ignored") as warned:
        Classifier.load(BUNDLE)
    assert "\n" not in str(warned[0].message)


@pytest.mark.parametrize(
    "change", [{"artifact": ""}, {"threads": 0}, {"median_us": 0.0}, {"median_us": float("nan")}]
)
def test_a_profile_is_checked(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs an artifact|above 0|at least 1"):
        dataclasses.replace(profile("float32", 1), **change)  # type: ignore[arg-type]


def test_a_profile_belongs_to_one_bundle_and_one_device(
    changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(BUNDLE)
    tuned_profile.save(bundle, profile("float32", 2))
    assert tuned_profile.load(bundle) is not None
    assert tuned_profile.load(load_bundle(changed(recipe="float16"))) is None
    another = dataclasses.replace(info.describe(), cpu="another")
    monkeypatch.setattr(info, "describe", lambda: another)
    assert tuned_profile.load(bundle) is None


def test_without_any_profile_there_is_no_warning(cache: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Classifier.load(BUNDLE)
    assert not cache.exists()


@needs_litert
def test_what_gives_other_answers_here_cannot_win() -> None:
    bundle = load_bundle(BUNDLE)
    first, second = bundle.artifacts
    assert second.golden is not None
    rows = [list(row) for row in second.golden.logits]
    rows[3][0] += 1
    golden = Golden(tuple(map(tuple, rows)), second.golden.tolerance)
    changed = dataclasses.replace(second, golden=golden)
    tuning = tune(dataclasses.replace(bundle, artifacts=(first, changed)), runs=40)
    assert tuning.excluded == (
        Exclusion("float32.tflite", "does not give the golden answers here"),
    )
    assert tuning.winner is tuning.default


@needs_litert
def test_what_names_another_class_here_cannot_win_however_small_the_error() -> None:
    """The two first logits of one answer are moved past each other, each by less than is allowed
    of the error."""
    bundle = load_bundle(BUNDLE)
    first, second = bundle.artifacts
    engine = open_engine(bundle, second)
    logits = np.concatenate([engine.run(image[None]) for image in inputs(bundle)]).astype(float)
    ranked = np.sort(logits, axis=1)
    gaps = ranked[:, -1] - ranked[:, -2]
    row = int(np.where(gaps > 0, gaps, np.inf).argmin())
    order = logits[row].argsort()
    logits[row, order[-1]] -= 1.8 * gaps[row]
    logits[row, order[-2]] += 1.8 * gaps[row]
    golden = Golden(tuple(map(tuple, logits.tolist())), float(2 * gaps[row] / np.ptp(logits)))
    compared = compare(engine.run, golden, bundle)
    assert compared.max_relative_error < golden.tolerance
    assert compared.clear_top1_changes == 1
    changed = dataclasses.replace(second, golden=golden)
    tuning = tune(dataclasses.replace(bundle, artifacts=(first, changed)), runs=40)
    assert [one.artifact for one in tuning.excluded] == ["float32.tflite"]


@needs_litert
def test_what_is_too_inaccurate_cannot_win() -> None:
    bundle = load_bundle(BUNDLE)
    first, second = (
        dataclasses.replace(artifact, accuracy=Accuracy(correct, 100))
        for artifact, correct in zip(bundle.artifacts, (90, 80), strict=True)
    )
    bundle = dataclasses.replace(bundle, artifacts=(first, second))
    tuning = tune(bundle, runs=40, max_accuracy_drop=9.0)
    assert tuning.excluded == (
        Exclusion("float32.tflite", "is 10.00 points less accurate than the best"),
    )
    assert len(tune(bundle, runs=40, max_accuracy_drop=11.0).candidates) == 2


def test_a_default_that_gives_other_answers_is_an_error(tiny: Path) -> None:
    bundle = load_bundle(tiny)
    artifact = dataclasses.replace(bundle.artifact(), golden=Golden(((1.0, 2.0, 3.0),), 1e-5))
    with pytest.raises(TinysightError, match="golden"):
        tune(dataclasses.replace(bundle, artifacts=(artifact,)), runs=40)


def test_only_what_is_significantly_faster_replaces_the_default() -> None:
    rng = np.random.default_rng(0)
    base = rng.integers(9_000, 11_000, 400)

    def candidate(times: NDArray[np.int64]) -> TuningCandidate:
        latency, ratio = Latency(times), paired_ratio(times, base)
        return TuningCandidate("a", "litert", 1, times.size, latency.median_us, ratio)

    default = candidate(base)
    noisy = candidate(rng.permutation(base))
    faster, fastest = candidate(base * 9 // 10), candidate(base * 8 // 10)
    assert choose_winner([default, noisy]) is default
    assert choose_winner([default, faster, noisy, fastest]) is fastest


def test_the_command_saves_prints_and_resets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--bundle", str(BUNDLE), "--runs", "40", "--max-threads", "1"]) == 0
    assert "Written to" in capsys.readouterr().out
    assert tuned_profile.load(load_bundle(BUNDLE)) is not None
    assert main(["tune", "--bundle", str(BUNDLE), "--runs", "40", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["winner"] in result["candidates"]
    assert main(["tune", "--bundle", str(BUNDLE), "--reset"]) == 0
    assert tuned_profile.load(load_bundle(BUNDLE)) is None


def test_a_negative_drop_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", "--bundle", str(BUNDLE), "--max-accuracy-drop", "-1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
