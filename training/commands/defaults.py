"""What the help says of the recipes' defaults."""

from collections.abc import Sequence

from training.recipes import RECIPES

_TABLE = ("epochs", "batch_size", "optimizer", "learning_rate", "l2", "ema_decay", "cutout")
"""The settings of each model's default recipe that the help shows."""


def default_help(models: Sequence[str], name: str) -> str:
    """What a help line says of the default of a recipe's field, for these models."""
    by_model = {model: getattr(RECIPES[model], name) for model in models}
    usual = by_model["edge_s"]
    if len(set(by_model.values())) == 1:
        return _show(usual)
    if name in _TABLE:
        return "see below"
    by_value: dict[str, list[str]] = {}
    for model, value in by_model.items():
        if value != usual:
            by_value.setdefault(_show(value), []).append(model)
    others = (f"{value} for {', '.join(names)}" for value, names in by_value.items())
    return "; ".join((_show(usual), *others))


def defaults_table(models: Sequence[str]) -> str:
    """A table of the models' default settings."""
    header = ["model", *(name.replace("_", "-") for name in _TABLE)]
    rows = [[model, *(_show(getattr(RECIPES[model], name)) for name in _TABLE)] for model in models]
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  "
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return "\n".join(["defaults by model (a stack has those of edge_s):", *lines])


def _show(value: object) -> str:
    if value is None:  # of --xla alone
        return "on a single GPU that it works on, without --deterministic"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
