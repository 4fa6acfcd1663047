"""`python -m export RUN --out BUNDLE`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tinysight.console import Counter, fail, guarded, need, table
from tinysight.errors import TinysightError

# The recipes' module stays out of --help, which must answer without numpy's second of imports.
_RECIPES = ("float32", "static_w8a8")
_FORMATS = ("onnx", "tflite")


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m export",
        description="Makes a bundle of a finished run: converts the model by every recipe to ONNX "
        "and TFLite, compares each artifact with the trained model on real images, and writes "
        "those that are near enough. Exit code 1 when one was not.",
        epilog="recipes:\n"
        "  float32      as it was trained\n"
        "  static_w8a8  8-bit weights and activations, calibrated on training images\n"
        "\nexample:\n"
        "  python -m export runs/cifar --recipes float32,static_w8a8 --out bundles/cifar",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("run", type=Path, help="the run folder that `python -m training` wrote")
    main.add_argument("--out", type=Path, required=True, help="the bundle folder to write")
    main.add_argument("--recipes", type=_choices(_RECIPES), default=_RECIPES, help="(all)")
    main.add_argument("--formats", type=_choices(_FORMATS), default=_FORMATS, help="(onnx,tflite)")
    main.add_argument("--name", help="the bundle's name (that of the folder)")
    main.add_argument("--data", help="where the run's data is now, if it has moved")
    main.add_argument("--overwrite", action="store_true", help="replace the bundle that is there")
    return main


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    return guarded("export", lambda: export(args))


def export(args: argparse.Namespace) -> int:
    need("export", "tensorflow", "tf_keras", "sklearn", "onnx", "tf2onnx", "ai_edge_litert")
    from training.data import load_dataset
    from training.run import load_run

    run = load_run(args.run)
    data = run.record["data"]
    counter = Counter()
    size = tuple(data["shape"][:2])
    dataset = load_dataset(args.data or data["source"], size=size, progress=counter)
    from export.build import build

    reports = build(
        run,
        dataset,
        args.out,
        name=_slug(args.name or args.out.resolve().name),
        recipes=args.recipes,
        formats=args.formats,
        overwrite=args.overwrite,
        count=counter,
    )
    counter.clear()
    header = ("artifact", "KB", "largest / mean logit difference", "same top-1", "test accuracy")
    rows = [
        (
            report.name,
            f"{report.size / 1000:.1f}",
            f"{report.test.max_difference:.2g} / {report.test.mean_difference:.2g}",
            f"{report.test.same_top1:,} of {report.test.images:,}",
            str(report.test.accuracy),
        )
        for report in reports
    ]
    print(table(header, rows))
    refused = [report for report in reports if report.objection]
    for report in refused:
        fail("export", f"{report.name} was not written: {report.objection}")
    print(f"\nWritten to {args.out}/. Next: tinysight classify --bundle {args.out} PICTURE…")
    return 1 if refused else 0


def _choices(known: tuple[str, ...]):  # type: ignore[no-untyped-def]
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            what = f"unknown: {', '.join(unknown)}" if unknown else "nothing named"
            raise argparse.ArgumentTypeError(f"{what}; known are {', '.join(known)}")
        return names

    return parse


def _slug(name: str) -> str:
    slug = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name.lower())
    if not slug.strip("_.-"):
        raise TinysightError(f"{name!r} cannot be a bundle's name: use letters and digits")
    return slug.strip("_.-")
