"""`tinysight stream`: a line for each frame of a camera, a video file or a network stream."""

import argparse
import contextlib
import itertools
import json
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

from tinysight.camera import Frame, classify_frames, read_frames
from tinysight.classifier import Prediction
from tinysight.cli.arguments import add_classifier_options, load_classifier, positive_number
from tinysight.cli.predictions import prediction_fields, prediction_text
from tinysight.console import HelpFormatter, positive

TERMINATED = 128 + signal.SIGTERM
"""What a shell expects after SIGTERM, and systemd once `SuccessExitStatus=143` tells it."""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "stream",
        description="Says what the frames of a camera, a video file or a network stream show, a "
        "line each. A camera or stream is live: frames that arrive while one is classified are "
        "dropped, and the newest comes next. Ctrl-C or SIGTERM ends it; so does a camera that "
        "vanishes, with a line on stderr and exit code 1.",
        epilog="examples:\n"
        "  tinysight stream 0 --smoothing 0.8 --on-change\n"
        "  tinysight stream picamera --fps 5 --min-confidence auto --json\n"
        "  tinysight stream rtsp://camera.local/stream1\n"
        "  tinysight stream video.mp4 --top-k 3\n"
        "needs OpenCV: pip install 'tinysight[camera]'; `picamera` needs picamera2 instead",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="camera number (0) or device (/dev/video0); picamera, or picamera1 for the second, on "
        "a Raspberry Pi's camera connector; video file; or URL (rtsp://…, http://…)",
    )
    add_classifier_options(command)
    command.add_argument(
        "--smoothing",
        type=_weight,
        default=0.0,
        metavar="W",
        help="weight of the past in an exponential moving average of the probabilities, frame by "
        "frame: s = W * s + (1 - W) * p, in [0, 1); 0.8 averages over about 5 frames (default: 0, "
        "each frame for itself)",
    )
    command.add_argument(
        "--on-change",
        action="store_true",
        help="print a line only when the label differs from the frame before",
    )
    command.add_argument(
        "--fps",
        type=positive_number,
        metavar="F",
        help="frames to classify per second, at most, above 0; of a video file, by its own clock "
        "(default: all)",
    )
    command.add_argument(
        "--frames",
        type=positive,
        metavar="N",
        help="end after so many classified frames, from 1 (default: when the source ends)",
    )
    command.add_argument(
        "--realtime",
        action="store_true",
        help="play a video file at its own pace and drop frames as for a camera (default: every "
        "frame, as quickly as possible)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    classifier = load_classifier(args)
    with (
        _sigterm_exits(),
        contextlib.closing(
            read_frames(args.source, fps=args.fps, realtime=args.realtime)
        ) as frames,
    ):
        answers = classify_frames(
            classifier,
            frames,
            smoothing=args.smoothing,
            top_k=args.top_k,
            min_confidence=args.min_confidence,
        )
        chosen = itertools.islice(answers, args.frames)
        for frame, prediction in _changes(chosen) if args.on_change else chosen:
            line = _json_line(frame, prediction) if args.json else _text_line(frame, prediction)
            print(line, flush=True)  # whoever reads it, reads it now
    return 0


def _changes(answers: Iterator[tuple[Frame, Prediction]]) -> Iterator[tuple[Frame, Prediction]]:
    """The first answer, and each whose label differs from the one before."""
    for _, group in itertools.groupby(answers, key=lambda answer: answer[1].label):
        yield next(group)


@contextlib.contextmanager
def _sigterm_exits() -> Iterator[None]:
    """Lets SIGTERM unwind the stack, so that the camera is given back."""

    def exit_(_signal: int, _frame: FrameType | None) -> None:
        print("tinysight: stopped", file=sys.stderr)
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, exit_)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _weight(text: str) -> float:
    """A number in [0, 1), for argparse."""
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("must be in [0, 1)")
    return value


def _json_line(frame: Frame, prediction: Prediction) -> str:
    place = {"frame": frame.index, "time_s": round(frame.time_s, 3)}
    return json.dumps({**place, **prediction_fields(prediction)})


def _text_line(frame: Frame, prediction: Prediction) -> str:
    return f"{frame.time_s:9.3f} s  {prediction_text(prediction)}"
