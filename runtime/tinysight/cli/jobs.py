"""`tinysight classify --jobs N`: the same lines, from several processes."""

import argparse
import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from tinysight.classifier import Classifier
from tinysight.cli.arguments import load_classifier
from tinysight.cli.classify import answer_lines
from tinysight.errors import ImageError, TinysightError

_FILES = 256
"""Of one task: so many that handing them over costs nothing beside reading them."""

_classifier: Classifier
"""Of a worker process: a session does not go from process to process."""


def answers_of_jobs(
    names: Sequence[str | ImageError], args: argparse.Namespace, width: int
) -> Iterator[list[str | ImageError]]:
    """What `answer_lines` gives for all names, in their order.

    Raises TinysightError where a worker process is killed, for want of memory say.
    """
    tasks = [names[begin : begin + _FILES] for begin in range(0, len(names), _FILES)]
    # Not forked: onnxruntime's threads of this process would be missing in a copy.
    context = multiprocessing.get_context("spawn")
    workers = max(min(args.jobs, len(tasks)), 1)
    with ProcessPoolExecutor(workers, context, _start, (args,)) as pool:
        try:
            yield from pool.map(_answer, tasks, [args] * len(tasks), [width] * len(tasks))
        except BrokenProcessPool:
            raise TinysightError("a process of --jobs ended early: too little memory?") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _start(args: argparse.Namespace) -> None:
    global _classifier
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends on Ctrl-C, and ends these
    _classifier = load_classifier(args)


def _answer(
    names: Sequence[str | ImageError], args: argparse.Namespace, width: int
) -> list[str | ImageError]:
    return answer_lines(_classifier, names, args, width)
