"""`tinysight stream` on one core: how many frames a second, and whether its memory grows."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from tinysight.errors import TinysightError

VIDEO_FPS = 30
_LARGE_SHARE = 10
"""One in so many frames is run at the large size too, and in real time."""
_WARM_UP = 10
"""Memory is compared with what it was after one in so many frames."""


@dataclass(frozen=True, slots=True)
class StreamRun:
    """One process of `tinysight stream` that was bound to one core."""

    DERIVED: ClassVar = ("growth_mb",)

    width: int
    height: int
    realtime: bool
    """Played at 30 frames a second as a camera does; else as quickly as possible."""
    classified: int
    """Frames that were answered."""
    dropped: int
    """Frames of the source, up to the last that was answered, that were not."""
    fps: float
    """Answers a second, from the first to the last; starting the process is not counted."""
    memory_mb: float
    """Resident memory of the process after a tenth of its answers, in 2^20 bytes."""
    final_memory_mb: float
    """The same after its last answer."""

    def __post_init__(self) -> None:
        if self.classified < 2 or self.dropped < 0:
            raise ValueError("a run needs two answers, and drops no fewer than 0 frames")
        if not (self.fps > 0 and self.memory_mb > 0 and self.final_memory_mb > 0):
            raise ValueError("the rate and the memory of a run must be above 0")

    @property
    def growth_mb(self) -> float:
        """Of the resident memory, over the last nine tenths of the answers."""
        return self.final_memory_mb - self.memory_mb


def measure_streams(
    bundle: Path | None, frames: int, progress: Callable[[str, int, int], None]
) -> tuple[StreamRun, ...]:
    """Runs 640 x 480 in full; of a tenth of the frames, 1920 x 1080, and 640 x 480 in real time.

    Args:
        bundle: its folder, or the name of one in the wheel; None is the wheel's default.
        frames: of the 640 x 480 video, at least 100.
        progress: takes what is done, how much of it, of how much.

    Raises TinysightError where a process fails, or the system is not Linux.
    """
    if not hasattr(os, "sched_setaffinity") or not Path("/proc/self/status").exists():
        raise TinysightError("the camera study needs Linux, for /proc and for binding to a core")
    few = frames // _LARGE_SHARE
    options = [] if bundle is None else ["--bundle", str(bundle)]
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.mp4", Path(folder) / "large.mp4"
        write_video(small, 640, 480, frames, progress)
        write_video(large, 1920, 1080, few, progress)
        in_real_time = [*options, "--realtime", "--frames", str(few)]
        return (
            _run(small, (640, 480), frames, options, progress),
            _run(large, (1920, 1080), few, options, progress),
            _run(small, (640, 480), few, in_real_time, progress),
        )


def write_video(
    path: Path, width: int, height: int, frames: int, progress: Callable[[str, int, int], None]
) -> None:
    """A view that pans over smooth random colours: MPEG-4, 30 frames a second."""
    import cv2

    coarse = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), VIDEO_FPS, (width, height))
    if not writer.isOpened():
        raise TinysightError("OpenCV cannot write MPEG-4 videos here")
    for number in range(frames):
        # Back and forth, at another pace in each direction: no two views are alike for long.
        x = abs((3 * number) % (2 * width) - width)
        y = abs((2 * number) % (2 * height) - height)
        writer.write(np.ascontiguousarray(scene[y : y + height, x : x + width]))
        progress(f"writing {width} x {height}", number + 1, frames)
    writer.release()


def _run(
    video: Path,
    size: tuple[int, int],
    frames: int,
    options: Sequence[str],
    progress: Callable[[str, int, int], None],
) -> StreamRun:
    """Runs the command on the last core that this process may use, and reads its lines."""
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "tinysight", "stream", str(video), "--json", *options]
    what = f"{'playing' if '--realtime' in options else 'reading'} {size[0]} x {size[1]}"
    count, line = 0, ""
    began = last = memory = final = 0.0
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:  # noqa: B007  # the last is read below
            last = time.perf_counter()
            began = began or last
            count += 1
            if count % (frames // _WARM_UP) == 0:
                final = _resident_mb(process.pid) or final
                memory = memory or final
            progress(what, count, frames)
        process.wait()
        complaints.seek(0)
        if process.returncode != 0 or count < 2:
            reason = complaints.read().strip().splitlines() or ["no message"]
            raise TinysightError(f"tinysight stream failed: {reason[-1]}")
    dropped = json.loads(line)["frame"] + 1 - count
    rate = (count - 1) / (last - began)
    return StreamRun(*size, "--realtime" in options, count, dropped, rate, memory, final)


def _resident_mb(process: int) -> float:
    """Of another process, in 2^20 bytes; 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(row.split()[1]) / 1024 for row in lines if row.startswith("VmRSS")), 0.0)
