"""The parameters cell of a notebook as a typed schema, read without starting a kernel.

One line per parameter: `name: type = literal  # help, unit, range`. The range is the last field, `LOW..HIGH` or
`a | b | c`; the unit may be left out; the unit word `path` marks a file or folder whose content goes into the run key.
"""

import ast
import difflib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.errors import SpecError

TYPES: dict[str, type] = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
FIRST_THREE = ("profile", "seed", "device")
MAX_PARAMETERS = 12
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
RANGE = re.compile(r"(-?[\d.]*\d(?:[eE]-?\d+)?|-inf)\.\.(-?[\d.]*\d(?:[eE]-?\d+)?|inf)")
EXAMPLES = {"bool": "true or false", "list": "a JSON list such as [1, 2]", "dict": 'a JSON object such as {"a": 1}'}


@dataclass(frozen=True)
class Parameter:
    """One typed parameter; `low`..`high` bounds a number, or every number of a list or dict."""

    name: str
    type: str
    default: Any
    help: str = ""
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[Any, ...] = ()

    @property
    def is_path(self) -> bool:
        """Whether the value names a file or folder; "" stands for the embedded data."""
        return self.unit == "path"

    @property
    def range(self) -> str:
        """The permitted values as text, or "" where everything of the type is permitted."""
        if self.choices:
            return " | ".join(map(str, self.choices))
        return "" if self.low == -math.inf and self.high == math.inf else f"{self.low:g}..{self.high:g}"

    def check(self, value: Any) -> Any:
        """The value in its declared type: an int becomes a float where one is asked for, a bool never a number.

        Raises SpecError for another type, a number that is not finite, or a value outside the range.
        """
        if self.type == "float" and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, TYPES[self.type]) or (self.type == "int" and isinstance(value, bool)):
            raise SpecError(f"{self.name} must be {_wanted(self.type)}: got {value!r} ({type(value).__name__})")
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise SpecError(f"{self.name} must hold finite numbers and plain JSON values: got {value!r}") from error
        items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
        for item in items:
            self._check_range(item)
        if self.name == "device" and not DEVICE.fullmatch(str(value)):
            raise SpecError(f"device must be auto, cpu, cuda, cuda:N or mps: got {value!r}")
        return value

    def from_text(self, text: str) -> Any:
        """The checked value that a command line's text stands for: true/false, numbers, JSON for list and dict."""
        try:
            if self.type == "bool":
                return self.check({"true": True, "false": False}[text.lower()])
            return self.check(json.loads(text) if self.type in ("list", "dict") else TYPES[self.type](text))
        except SpecError:
            raise
        except (ValueError, KeyError) as error:
            raise SpecError(f"{self.name} must be {_wanted(self.type)}: got {text!r}") from error

    def _check_range(self, item: Any) -> None:
        if self.choices and item not in self.choices:
            raise SpecError(f"{self.name} must be one of {self.range}: got {item!r}{nearest(item, self.choices)}")
        bounded = self.low > -math.inf or self.high < math.inf
        is_number = isinstance(item, int | float) and not isinstance(item, bool)
        if bounded and not (is_number and self.low <= item <= self.high):
            raise SpecError(f"{self.name} must lie within {self.range}: got {item!r}")


def read_schema(path: Path) -> dict[str, Parameter]:
    """Parameters of a notebook file in their order, by name.

    Raises SpecError where the file is no notebook, has no cell tagged `parameters`, or a line breaks the convention.
    """
    cell = next((cell for cell in read_cells(path) if "parameters" in cell["tags"]), None)
    if cell is None:
        raise SpecError(f"{path.name} has no cell tagged 'parameters'; add one that declares profile, seed and device")
    schema = parse_parameters(cell["source"], where=path.name)
    if tuple(schema)[:3] != FIRST_THREE or len(schema) > MAX_PARAMETERS:
        raise SpecError(
            f"{path.name} must declare profile, seed and device first and at most {MAX_PARAMETERS} parameters: "
            f"got {', '.join(schema) or 'none'}"
        )
    return schema


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Cells of a notebook file as {kind, source, tags}, without outputs; SpecError when it is not a notebook."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [
            {
                "kind": cell["cell_type"],
                "source": "".join(cell["source"]),
                "tags": cell.get("metadata", {}).get("tags", []),
            }
            for cell in cells
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise SpecError(f"{path.name} is not a notebook of format 4: {error!r}; save it again in JupyterLab") from error


def parse_parameters(source: str, *, where: str) -> dict[str, Parameter]:
    """Parameters declared by the source of a parameters cell; `where` names the notebook in errors."""
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise SpecError(f"{where}: the parameters cell is not Python: {error.msg} in line {error.lineno}") from error
    lines = source.splitlines()
    parameters = [_parse_line(node, lines[node.lineno - 1], where=where) for node in statements]
    return {parameter.name: parameter for parameter in parameters}


def nearest(word: object, valid: Iterable[object]) -> str:
    """The end of an error sentence: the valid names nearest to `word`, or all of them when none is near."""
    names = [str(name) for name in valid]
    close = difflib.get_close_matches(str(word), names, n=3)
    return f"; nearest: {', '.join(close)}" if close else f"; valid: {', '.join(names) or 'none'}"


def _parse_line(node: ast.stmt, line: str, *, where: str) -> Parameter:
    form = f"{where}: write one `name: type = literal  # help, unit, range` per line, with no second '=': got {line!r}"
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
        raise SpecError(form)
    # papermill's inspector reads line by line and skips one with a second '='
    if node.end_lineno != node.lineno or line.count("=") > 1:
        raise SpecError(form)
    kind = ast.unparse(node.annotation)
    if kind not in TYPES:
        raise SpecError(f"{where}: {node.target.id} has type {kind}; valid: {', '.join(TYPES)}")
    try:
        default = ast.literal_eval(node.value)
    except ValueError as error:
        raise SpecError(form) from error
    comment = line.encode()[node.end_col_offset :].decode().strip().removeprefix("#").strip()
    parameter = Parameter(node.target.id, kind, default, **_parse_comment(comment, kind, form=form))
    if parameter.is_path and kind != "str":
        raise SpecError(f"{where}: {parameter.name} is a path and must be str: got {kind}")
    try:
        parameter.check(default)
    except SpecError as error:
        raise SpecError(f"{where}: default of {error}") from error
    return parameter


def _parse_comment(comment: str, kind: str, *, form: str) -> dict[str, Any]:
    fields = [field.strip() for field in comment.split(",")]
    found: dict[str, Any] = {}
    bounds = RANGE.fullmatch(fields[-1])
    if bounds:
        found["low"], found["high"] = float(bounds[1]), float(bounds[2])
    elif " | " in fields[-1]:
        words = [word.strip() for word in fields[-1].split("|")]
        found["choices"] = tuple(word if kind == "str" else _literal(word) for word in words)
    if found:
        fields.pop()
    if len(fields) > 2:
        raise SpecError(f"{form}; the help has a comma")
    return found | dict(zip(("help", "unit"), fields, strict=False))


def _literal(word: str) -> Any:
    try:
        return ast.literal_eval(word)
    except (ValueError, SyntaxError):
        return word


def _wanted(kind: str) -> str:
    return f"{kind} ({EXAMPLES[kind]})" if kind in EXAMPLES else kind
