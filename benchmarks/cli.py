"""`python -m benchmarks sweep BUNDLE…`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tinysight.console import Counter, guarded, need, positive, table
from tinysight.errors import TinysightError


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure bundles on this machine."
    )
    commands = main.add_subparsers(title="commands", metavar="COMMAND", required=True)
    command = commands.add_parser(
        "sweep",
        help="latency against accuracy for every artifact",
        description="Times every artifact of every bundle at batch 1, all in turns in one process, "
        "and answers the test images with it. Writes OUT/sweep.json (with the raw samples), "
        "OUT/sweep.md and OUT/sweep.png, in which the Pareto front is drawn.",
        epilog="example:\n"
        "  python -m benchmarks sweep bundles/a bundles/b --data cifar10 --out results/today",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    command.add_argument(
        "--data", help="as for training; its test part is answered (default: the accuracy that "
        "each bundle recorded at its export)"
    )  # fmt: skip
    command.add_argument("--out", type=Path, required=True, help="the folder to write")
    command.add_argument("--samples", type=positive, default=3000, help="timed calls each (3000)")
    command.add_argument("--threads", type=positive, default=1, help="cores for one call (1)")
    command.add_argument("--overwrite", action="store_true", help="replace results that are there")
    command.set_defaults(run=run_sweep)
    overhead = commands.add_parser(
        "overhead",
        help="what classify(array) adds to the engine's own call",
        description="Times onnxruntime's run and Classifier.classify(array) in turns.",
    )
    overhead.add_argument("bundle", nargs="?", type=Path, help="(CIFAR-10, shipped)")
    overhead.add_argument("--samples", type=positive, default=10_000, help="calls each (10000)")
    overhead.add_argument("--json", action="store_true", help="as JSON")
    overhead.set_defaults(run=run_overhead)
    demo = commands.add_parser(
        "demo",
        help="the whole line once: train, export, classify, measure (make demo)",
        description="Runs the four commands that a user would type, one after the other, and "
        "prints each of them first. What an earlier demo wrote is replaced.",
    )
    demo.add_argument("--data", default="digits", help="as for training (digits)")
    demo.add_argument("--out", type=Path, default=Path("runs/demo"), help="(runs/demo)")
    demo.set_defaults(run=run_demo)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return guarded("benchmarks", lambda: int(args.run(args)))


def run_sweep(args: argparse.Namespace) -> int:
    if (args.out / "sweep.json").exists() and not args.overwrite:
        raise TinysightError(f"{args.out}/sweep.json exists: --overwrite replaces it")
    need("bench", "matplotlib", "ai_edge_litert")
    from benchmarks import sweep
    from benchmarks.picture import draw
    from tinysight.bundle import load_bundle

    bundles = [load_bundle(path) for path in args.bundles]
    counter = Counter()
    dataset = None
    if args.data is not None:
        from training.data import load_dataset

        size = (bundles[0].height, bundles[0].width)
        dataset = load_dataset(args.data, size=size, progress=counter)
    measured = sweep.sweep(
        bundles, dataset, samples=args.samples, threads=args.threads, progress=counter
    )
    counter.clear()
    front = sweep.pareto_front(measured)
    header = ("artifact", "median us", "p90", "p99", "KB", "test accuracy", "on the front")
    rows = [
        (
            entry.name,
            f"{entry.latency.median:.1f}",
            *(_percentile(entry.latency.percentile(p)) for p in (90, 99)),
            f"{entry.artifact.bytes / 1000:.0f}",
            str(entry.accuracy),
            "yes" if entry in front else "no",
        )
        for entry in sorted(measured, key=lambda m: m.latency.median)
    ]
    args.out.mkdir(parents=True, exist_ok=True)
    title = f"Latency against accuracy{f', {dataset.title}' if dataset else ''}"
    draw(measured, title, args.out / "sweep.png")
    markdown = ["| " + " | ".join(line) + " |" for line in (header, ["---"] * len(header), *rows)]
    (args.out / "sweep.md").write_text("\n".join(markdown) + "\n", encoding="utf-8")
    result = sweep.as_json(measured, dataset, args.samples, args.threads)
    (args.out / "sweep.json").write_text(result, encoding="utf-8")
    print(table(header, rows))
    print(f"\nWritten to {args.out}/: sweep.json, sweep.md, sweep.png")
    return 0


def run_overhead(args: argparse.Namespace) -> int:
    from benchmarks.overhead import report

    return report(args.bundle, args.samples, args.json)


def run_demo(args: argparse.Namespace) -> int:
    need("train", "tensorflow", "tf_keras", "sklearn", "matplotlib", "rich")
    need("export", "onnx", "tf2onnx", "ai_edge_litert")
    from benchmarks.demo import demo

    return demo(args.data, args.out)


def _percentile(value: float | None) -> str:
    return "too few" if value is None else f"{value:.1f}"
