"""Axes of a sweep: what `name=a:b:step` and `name=x,y` stand for, and which cells several axes make together."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import product
from typing import Any

from lib.bench.schema import Parameter, nearest
from lib.errors import SpecError

MAX_CELLS = 100_000
Values = list[Any]


def axis_from_text(parameter: Parameter, text: str) -> Values:
    """Checked values that a command line's text stands for, at least one.

    text: `a:b:step` for int and float, b included where a step falls on it; else values with commas between them:
    `0.2,0.7`, `max,threshold`, `true,false`, JSON for list and dict (`[1,2],[3]`), quotes around a text that holds a
    comma. Raises SpecError for a value that the parameter does not admit.
    """
    if parameter.type in ("int", "float") and ":" in text:
        return [parameter.from_text(number) for number in _steps(parameter, text)]
    if parameter.type in ("list", "dict"):
        return [parameter.check(value) for value in _json_values(parameter, text)]
    texts = next(csv.reader([text], skipinitialspace=True, strict=True), [""])
    return [parameter.from_text(one.strip()) for one in texts or [""]]


def axis_from_yaml(parameter: Parameter, value: Any) -> Values:
    """Checked values of one axis of a sweep file: a text as on the command line, or a list of values.

    Raises SpecError for anything else, and for a value that the parameter does not admit.
    """
    if isinstance(value, str):
        return axis_from_text(parameter, value)
    if not isinstance(value, list) or not value:
        raise SpecError(f"{parameter.name} takes a list of values or a text such as 0:0.4:0.05: got {value!r}")
    return [parameter.check(one) for one in value]


def cells_of(axes: Mapping[str, Values], zips: Sequence[Sequence[str]] = ()) -> list[dict[str, Any]]:
    """Parameters of every cell, in the order of the axes, the last one changing fastest.

    axes: values by parameter. zips: groups of parameters that step together instead of making a grid; a group takes
    the place of its first parameter, and may repeat values, which an axis of the grid has once.
    Raises SpecError for a group with axes of different lengths, for an unknown or repeated name, and for more than
    MAX_CELLS cells.
    """
    group_of: dict[str, tuple[str, ...]] = {}
    for names in zips:
        _check_zip(names, axes, group_of)
        group_of |= dict.fromkeys(names, tuple(names))
    groups = list(dict.fromkeys(group_of.get(name, (name,)) for name in axes))
    held = {name: values if name in group_of else _unrepeated(values) for name, values in axes.items()}
    rows = [[dict(zip(names, row, strict=True)) for row in zip(*map(held.get, names), strict=True)] for names in groups]
    if math.prod(map(len, rows)) > MAX_CELLS:
        raise SpecError(f"the axes make {math.prod(map(len, rows))} cells, at most {MAX_CELLS} are taken; use fewer")
    cells = [{name: value for part in combination for name, value in part.items()} for combination in product(*rows)]
    return [{name: cell[name] for name in axes} for cell in cells]


def zip_from_text(text: str) -> list[str]:
    """Names in `--zip a,b`."""
    return [name.strip() for name in text.split(",")]


def _check_zip(names: Sequence[str], axes: Mapping[str, Values], taken: Mapping[str, object]) -> None:
    if unknown := [name for name in names if name not in axes]:
        raise SpecError(f"--zip names {unknown[0]!r}, which is no axis of this sweep{nearest(unknown[0], axes)}")
    if len(set(names)) != len(names) or len(names) < 2 or any(name in taken for name in names):
        raise SpecError(f"--zip takes two or more axes, each in one group only: got {','.join(names)}")
    lengths = {name: len(axes[name]) for name in names}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise SpecError(f"axes that step together need equally many values: {told}")


def _steps(parameter: Parameter, text: str) -> list[str]:
    """Numbers of `a:b:step` as texts, computed in decimal so that 0:0.4:0.05 holds 0.15 and not 0.15000000000000002."""
    form = f"{parameter.name} takes first:last:step, as in 0:0.4:0.05: got {text!r}"
    try:
        first, last, step = map(Decimal, text.split(":"))
    except (ValueError, InvalidOperation) as error:
        raise SpecError(form) from error
    if not all(number.is_finite() for number in (first, last, step)) or step == 0 or (last - first) / step < 0:
        raise SpecError(f"{form}; the step must be finite, not 0, and lead from first to last")
    count = int((last - first) / step) + 1
    if count > MAX_CELLS:
        raise SpecError(f"{parameter.name} has {count} values, at most {MAX_CELLS} are taken; use a larger step")
    numbers = [first + idx * step for idx in range(count)]
    return [str(int(number)) if number == number.to_integral_value() else f"{number:f}" for number in numbers]


def _json_values(parameter: Parameter, text: str) -> Values:
    try:
        values: Values = json.loads(f"[{text}]")
    except ValueError as error:
        raise SpecError(f"{parameter.name} takes JSON values with commas between them: got {text!r}") from error
    return values or [parameter.from_text(text)]


def _unrepeated(values: Values) -> Values:
    kept: Values = []
    for value in values:
        # 1 and True are equal in Python, and different parameters
        if not any(value == known and type(value) is type(known) for known in kept):
            kept.append(value)
    return kept
