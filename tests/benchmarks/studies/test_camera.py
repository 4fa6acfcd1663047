"""The camera study: what it runs and reports, not how quick it is."""

import json
from pathlib import Path

import pytest

pytest.importorskip("cv2")

from benchmarks.cli import main
from benchmarks.studies.camera import StreamRun

TINY = Path(__file__).parents[2] / "tiny" / "bundle"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system has no /proc")
def test_every_frame_of_a_file_is_classified(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["camera", str(TINY), "--frames", "100", "--json"]) == 0
    full, large, played = json.loads(capsys.readouterr().out)["runs"]
    assert (full["width"], full["height"], full["classified"], full["dropped"]) == (
        640,
        480,
        100,
        0,
    )
    assert (large["width"], large["classified"], large["dropped"]) == (1920, 10, 0)
    assert (played["realtime"], played["classified"]) == (True, 10)
    assert played["fps"] < 40  # no quicker than its own 30, but for the start
    assert 20 < full["memory_mb"] < 1000


def test_too_few_frames_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["camera", "--frames", "99"])
    assert "must be at least 100" in capsys.readouterr().err


def test_a_run_is_checked() -> None:
    with pytest.raises(ValueError, match="two answers"):
        StreamRun(640, 480, False, 1, 0, 30.0, 50.0, 50.0)
    with pytest.raises(ValueError, match="above 0"):
        StreamRun(640, 480, False, 2, 0, 0.0, 50.0, 50.0)
    assert StreamRun(640, 480, False, 2, 0, 30.0, 50.0, 51.5).growth_mb == 1.5
