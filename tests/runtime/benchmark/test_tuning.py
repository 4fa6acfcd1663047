"""tune: who may win, what is kept, and when it is used. Which one wins is the device's affair."""

import dataclasses
import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinysight import Classifier, TinysightError, load_bundle
from tinysight.benchmark.timing import Latency
from tinysight.benchmark.tuning import TuningCandidate, _winner, tune
from tinysight.cli.main import main
from tinysight.device import tuned_profile
from tinysight.engines.registry import installed
from tinysight.stats import paired_ratio

BUNDLE = Path(__file__).parents[2] / "tiny" / "bundle_litert"
needs_litert = pytest.mark.skipif(not installed("litert"), reason="ai-edge-litert is not installed")


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
def test_every_engine_and_thread_count_takes_part() -> None:
    tuning = tune(load_bundle(BUNDLE), max_threads=2, samples=40)
    assert {(c.engine, c.threads) for c in tuning.contestants} == {
        (engine, threads) for engine in ("onnxruntime", "litert") for threads in (1, 2)
    }
    assert tuning.winner in tuning.contestants
    assert (tuning.default.engine, tuning.default.threads) == ("onnxruntime", 1)
    assert tuning.default.ratio.value == 1
    medians = [c.latency.median for c in tuning.contestants]
    assert medians == sorted(medians)


@needs_litert
def test_a_profile_is_used_unless_something_is_named(cache: Path) -> None:
    bundle = load_bundle(BUNDLE)
    path = tuned_profile.save(bundle, tuned_profile.Profile("float32.tflite", 2))
    assert path.parent == cache / "profiles"
    from tinysight.engines.litert import LiteRTEngine
    from tinysight.engines.ort import OnnxRuntimeEngine

    def engine(classifier: Classifier) -> object:
        return classifier._run.__self__  # type: ignore[attr-defined]

    tuned = engine(Classifier.load(BUNDLE))
    assert isinstance(tuned, LiteRTEngine)
    assert tuned._threads == 2
    assert isinstance(engine(Classifier.load(BUNDLE, artifact="float32")), OnnxRuntimeEngine)
    assert isinstance(engine(Classifier.load(BUNDLE, threads=1)), OnnxRuntimeEngine)
    assert tuned_profile.delete(bundle)
    assert not tuned_profile.delete(bundle)
    assert isinstance(engine(Classifier.load(BUNDLE)), OnnxRuntimeEngine)


@pytest.mark.parametrize("content", ["", "[]", '{"format": 1}', '{"format": 1, "artifact": "x", '
                                     '"threads": 1, "measured": {}}'])  # fmt: skip
def test_a_damaged_profile_is_a_warning_and_the_default_answers(content: str) -> None:
    bundle = load_bundle(BUNDLE)
    tuned_profile.save(bundle, tuned_profile.Profile("float32", 1)).write_text(content)
    with pytest.warns(UserWarning, match="is ignored"):
        Classifier.load(BUNDLE)


def test_a_profile_belongs_to_one_bundle_and_one_device(
    changed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(BUNDLE)
    tuned_profile.save(bundle, tuned_profile.Profile("float32", 2))
    assert tuned_profile.load(bundle) is not None
    assert tuned_profile.load(load_bundle(changed(recipe="float16"))) is None
    here = tuned_profile.info.describe()
    monkeypatch.setattr(tuned_profile.info, "describe", lambda: {**here, "cpu": "another"})
    assert tuned_profile.load(bundle) is None


def test_without_any_profile_nothing_is_said(cache: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Classifier.load(BUNDLE)
    assert not cache.exists()


@needs_litert
def test_what_answers_wrongly_here_cannot_win(changed: Callable[..., Path]) -> None:
    rows = json.loads((BUNDLE / "bundle.json").read_text())["artifacts"][1]["golden"]
    rows["logits"][3][0] += 1
    tuning = tune(load_bundle(changed(golden=rows)), samples=40)
    assert tuning.excluded == (("float32.tflite", "does not give the golden answers here"),)
    assert tuning.winner is tuning.default


@needs_litert
def test_what_is_too_inaccurate_cannot_win(changed: Callable[..., Path]) -> None:
    bundle = load_bundle(changed(accuracy={"value": 0.80}))
    first = dataclasses.replace(bundle.artifacts[0], accuracy={"value": 0.90})
    bundle = dataclasses.replace(bundle, artifacts=(first, bundle.artifacts[1]))
    tuning = tune(bundle, samples=40, max_drop=9.0)
    assert dict(tuning.excluded) == {
        "float32.tflite": "is 10.00 points less accurate than the best"
    }
    assert len(tune(bundle, samples=40, max_drop=11.0).contestants) == 2


def test_a_default_that_answers_wrongly_is_an_error(spoilt: Callable[..., Path]) -> None:
    golden = {"logits": [[1.0, 2.0, 3.0]], "tolerance": 1e-5}
    with pytest.raises(TinysightError, match="golden"):
        tune(load_bundle(spoilt({"golden": golden})), samples=40)


def test_only_what_is_quicker_for_certain_replaces_the_default() -> None:
    bundle = load_bundle(BUNDLE)
    rng = np.random.default_rng(0)
    base = rng.integers(9_000, 11_000, 400)

    def contestant(times: np.ndarray) -> TuningCandidate:
        return TuningCandidate(bundle.artifacts[1], 1, Latency(times), paired_ratio(times, base))

    default = contestant(base)
    noisy = contestant(rng.permutation(base))
    quicker, quickest = contestant(base * 9 // 10), contestant(base * 8 // 10)
    assert _winner([default, noisy]) is default
    assert _winner([default, quicker, noisy, quickest]) is quickest


def test_the_command_stores_tells_and_forgets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(BUNDLE), "--samples", "40", "--max-threads", "1"]) == 0
    told = capsys.readouterr().out
    assert "Written to" in told
    assert tuned_profile.load(load_bundle(BUNDLE)) is not None
    assert main(["tune", str(BUNDLE), "--samples", "40", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["winner"] in result["contestants"]
    assert main(["tune", str(BUNDLE), "--forget"]) == 0
    assert tuned_profile.load(load_bundle(BUNDLE)) is None
