"""`python -m benchmarks gpu`, which `make gpu` runs."""

import argparse
from pathlib import Path
from typing import Any

from tinysight.console import HelpFormatter, require_extra
from tinysight.errors import TinysightError

STEPS = ("self-check", "comparison", "airbench", "edge_m")
RESULTS = Path("benchmarks/results/gpu")


def add(commands: Any) -> None:
    command = commands.add_parser(
        "gpu",
        help="check and measure the training stage on this machine's GPU (make gpu)",
        description="Checks for some two minutes that this machine's GPU trains as a CPU does: "
        "losses, augmented pixels, kernels, memory, images/s, XLA. Then trains the notebook's "
        "comparison with VGG16, airbench, and edge_m distilled from both, and writes times, "
        "images/s, the share of the card's peak and accuracy into OUT/report.md. Stopped at any "
        "time, the same command goes on.",
        epilog="examples:\n"
        "  python -m benchmarks gpu\n"
        "  python -m benchmarks gpu --steps self-check",
        formatter_class=HelpFormatter,
    )
    command.add_argument(
        "--steps",
        nargs="+",
        choices=STEPS,
        default=list(STEPS),
        metavar="STEP",
        help=f"what to do, after the self-check, which is done first in any case: "
        f"{', '.join(STEPS)} (default: all)",
    )
    command.add_argument(
        "--data",
        default="cifar10",
        help="dataset: digits, cifar10, a folder or a tar archive (default: cifar10)",
    )
    command.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="file of VGG16's ImageNet weights without top, .h5 (default: "
        "$TINYSIGHT_VGG16_WEIGHTS, or a download)",
    )
    command.add_argument(
        "--out", type=Path, help=f"folder of the report (default: {RESULTS}/<card>)"
    )
    command.add_argument(
        "--runs", type=Path, help="folder of the run folders (default: runs/gpu/<card>)"
    )
    command.add_argument(
        "--cpu",
        action="store_true",
        help="where there is no GPU, do it on the CPU; it takes days (default: fail)",
    )
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    require_extra("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich", "markdown_it")
    from training.gpu import GpuReport

    gpu = GpuReport.of_this_machine()
    if not gpu.names and not args.cpu:
        reason = gpu.line() or "no NVIDIA driver is loaded"
        raise TinysightError(
            f"no GPU to measure: {reason.replace(': training on the CPU', '')}; on a machine with "
            "one, make gpu sets everything up (--cpu tries the command here)"
        )
    from benchmarks.gpu.report import folder_name
    from benchmarks.gpu.runner import run_steps
    from benchmarks.gpu.trainings import Work
    from training.console import TrainingConsole
    from training.data import load_dataset
    from training.distribute import strategy

    strategy()  # before anything is computed: it sets how GPU memory is taken
    name = folder_name(gpu.names)
    with TrainingConsole() as console:
        console.print_gpus()
        dataset = load_dataset(args.data, progress=console.count)
        out, runs = args.out or RESULTS / name, args.runs or Path("runs/gpu") / name
        work = Work(dataset, runs, out, args.weights, console)
        result = run_steps(work, [step for step in STEPS[1:] if step in args.steps])
    print(f"Written to {out}/: report.md, gpu.json; the runs are in {runs}/")
    return 1 if result.self_check.problems else 0
