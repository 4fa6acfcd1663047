"""How a field of a recipe becomes a command line option: its help, its range, its group.

The command line, the checks of `training.recipes.Recipe` and the commands that a model card prints
are all made from this one description, so that they cannot contradict each other.
"""

import argparse
import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

_KEY = "option"


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers that an option takes."""

    low: float
    high: float = math.inf
    low_open: bool = False
    """Whether `low` itself is excluded."""
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        open_ = self.high_open or math.isinf(self.high)  # infinity itself is no setting
        return above and (value < self.high if open_ else value <= self.high)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{'above' if self.low_open else 'at least'} {self.low:g}"
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}"


POSITIVE_COUNT = Interval(1)
NON_NEGATIVE = Interval(0)
POSITIVE = Interval(0, low_open=True)
FRACTION = Interval(0, 1)
FRACTION_ABOVE_0 = Interval(0, 1, low_open=True)
FRACTION_BELOW_1 = Interval(0, 1, high_open=True)


@dataclass(frozen=True, slots=True)
class Option:
    """What the command line says of a field."""

    help: str
    """What the value is, with its unit; range and default are added."""
    interval: Interval | None = None
    """Of a number."""
    distillation: bool = False
    """Whether it means something only with a teacher."""


def option(
    default: Any, text: str, interval: Interval | None = None, *, distillation: bool = False
) -> Any:
    """A dataclass field that the command line can set; the arguments are those of `Option`."""
    return dataclasses.field(default=default, metadata={_KEY: Option(text, interval, distillation)})


def options_of(recipe_class: type) -> Iterator[tuple["dataclasses.Field[Any]", Option]]:
    """The fields of a recipe class that have an option, in their order."""
    for field in dataclasses.fields(recipe_class):
        if _KEY in field.metadata:
            yield field, field.metadata[_KEY]


def check_ranges(recipe: Any) -> None:
    """Raises ValueError for a value outside its option's range."""
    for field, option_ in options_of(type(recipe)):
        value = getattr(recipe, field.name)
        if option_.interval is not None and value not in option_.interval:
            name = field.name.replace("_", " ")
            raise ValueError(f"{name} must be {option_.interval}, not {value}")


def add_options(
    group: argparse._ArgumentGroup,
    recipe_class: type,
    default_of: Callable[[str], str],
    *,
    distillation: bool,
    without: Collection[str] = (),
) -> None:
    """Adds the options of one kind to a group of a parser; what is not given stays None.

    Args:
        group: of a parser.
        recipe_class: a dataclass with `option` fields.
        default_of: from a field's name to what its help says of the default.
        distillation: which kind: those that need a teacher, or all others.
        without: names of fields that the command itself decides.
    """
    for field, option_ in options_of(recipe_class):
        if option_.distillation != distillation or field.name in without:
            continue
        kind = field.type
        arguments: dict[str, Any] = {}
        if kind in (bool, bool | None):
            arguments["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is Literal:
            arguments["choices"] = get_args(kind)
        else:
            arguments["type"] = kind
            arguments["metavar"] = {int: "N", float: "X"}[kind]  # type: ignore[index]
        range_ = "" if option_.interval is None else f"{option_.interval}; "
        help_ = f"{option_.help} ({range_}default: {default_of(field.name)})".replace("%", "%%")
        group.add_argument(_flag(field.name), default=None, help=help_, **arguments)


def words(
    recipe: Any, usual: Any, *, distillation: bool, without: Collection[str] = ()
) -> list[str]:
    """The command line words by which `recipe` differs from `usual`, of the same class.

    Args:
        recipe: an instance of a dataclass with `option` fields.
        usual: another instance.
        distillation: whether to include the options that need a teacher.
        without: names of fields that the command itself decides.
    """
    result: list[str] = []
    for field, option_ in options_of(type(recipe)):
        value = getattr(recipe, field.name)
        if (option_.distillation and not distillation) or field.name in without:
            continue
        if value == getattr(usual, field.name):
            continue
        if isinstance(value, bool):
            flag = _flag(field.name)
            result.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            result += [_flag(field.name), str(value)]
    return result


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
