"""The result of emulated CPUs as Markdown, and as the rows of a table on a terminal."""

from collections.abc import Iterator

from benchmarks.emulators.cpus import display_name
from benchmarks.emulators.records import Cell, EmulatorsResult

HEADER = ("CPU", "artifact", "engine", "golden answers", "same top-1", "largest difference")


def as_markdown(result: EmulatorsResult, command: str) -> str:
    """The page.

    Args:
        command: what to type to make it again.
    """
    return "\n".join(_lines(result, command)) + "\n"


def rows(result: EmulatorsResult) -> list[tuple[str, ...]]:
    """A row for each cell, as `HEADER` names its columns."""
    return [_row(cell) for cell in result.cells]


def verdict(result: EmulatorsResult) -> str:
    """One sentence."""
    good = sum(cell.ok for cell in result.cells)
    cpus = len(dict.fromkeys(cell.cpu for cell in result.cells))
    return (
        f"{good} of {len(result.cells)} artifacts on {cpus} emulated CPUs answer as the "
        "workstation: golden answers within tolerance, and the same top-1 on every image"
    )


def _lines(result: EmulatorsResult, command: str) -> Iterator[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(result.versions.items()))
    yield from (
        "# Emulated CPUs",
        "",
        f"{verdict(result)}.",
        "",
        f"Classified: {result.images}, one a call. Emulated by qemu {result.qemu}, with {versions} "
        f"and tinysight {result.tinysight}; the workstation is {result.workstation.cpu} "
        f"({', '.join(result.workstation.features)}). {result.date}.",
        "",
        "Golden answers: the largest error of a logit, relative to the logits' spread, and what "
        "the bundle allows. Largest difference: of a logit on the images, the workstation's "
        "spread (max - min) in brackets.",
        "",
        f"| {' | '.join(HEADER)} |",
        f"|{'---|' * len(HEADER)}",
    )
    for row in rows(result):
        yield f"| {' | '.join(row)} |"
    disagreements = [
        f"- {cell.cpu}, {cell.bundle}/{cell.artifact}: image {one.image} is {one.emulated}, on the "
        f"workstation {one.workstation}, whose logit leads by {one.margin:.3f}"
        for cell in result.cells
        if cell.images is not None
        for one in cell.images.disagreements
    ]
    if disagreements:
        yield from ("", "Other classes than on the workstation:", "", *disagreements)
    for cpu, reason in result.excluded.items():
        yield from ("", f"{cpu} was not emulated: {reason}.")
    yield from ("", "```", command, "```")


def _row(cell: Cell) -> tuple[str, ...]:
    names = (display_name(cell.cpu), f"{cell.bundle}/{cell.artifact}", cell.engine)
    if cell.images is None:
        return (*names, "FAIL", "FAIL", cell.error or "")
    kept, images = cell.golden, cell.images
    golden = "none kept" if kept is None else f"{kept.max_relative_error:.1g} of {kept.tolerance:g}"
    if kept is not None and not kept.ok:
        golden = f"FAIL {golden}"
    return (
        *names,
        golden,
        f"{images.same_top1:,} of {images.images:,}",
        f"{images.max_difference:.2g} ({images.spread:.3g})",
    )
