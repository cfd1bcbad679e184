"""The records as pandas tables: one row a run, or one row a score, chosen by an expression over their columns."""

import ast
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lib.bench.plan import KEY_LENGTH
from lib.bench.record import Record, all_records
from lib.bench.schema import nearest
from lib.errors import SpecError

if TYPE_CHECKING:
    import pandas as pd

ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.BinOp),
    *(ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Name, ast.Load, ast.Constant, ast.List, ast.Tuple),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn),
)
EXAMPLE = "paper == 'fodvid' and tau > 0.2"


def runs_frame(where: str = "", *, runs: Iterable[Record] | None = None) -> "pd.DataFrame":
    """One row a run, newest first: key, paper, notebook, profile, when, where, how long, and every parameter by name.

    where: an expression over the columns, such as "paper == 'fodvid' and tau > 0.2"; a run that lacks a parameter
    fulfils no comparison with it. Lists and dicts are shown, and compared, as their JSON text.
    runs: by default every complete record. Raises SpecError for an expression that can't be understood.
    """
    import pandas as pd

    records = all_records() if runs is None else list(runs)
    frame = pd.DataFrame([_row(record) for record in records], columns=_columns(records))
    return select(frame, where)


def scores_frame(where: str = "", *, runs: Iterable[Record] | None = None) -> "pd.DataFrame":
    """One row a score: table, row, column, value, unit, better, protocol, data, and the columns of its run."""
    import pandas as pd

    records = all_records() if runs is None else list(runs)
    names = ("table", "row", "column", "value", "unit", "better", "data", "weights", "protocol")
    rows = [
        {name: getattr(score, name) for name in names} | _row(record) for record in records for score in record.scores
    ]
    columns = [*names, *(name for name in _columns(records) if name not in names)]
    return select(pd.DataFrame(rows, columns=columns), where)


def select(frame: "pd.DataFrame", where: str) -> "pd.DataFrame":
    """The rows that an expression holds for: names of columns, numbers, quoted texts, comparisons, `and`, `or`, `not`,
    `in [...]` and arithmetic, nothing else. Raises SpecError, one sentence, for anything that can't be understood.
    """
    if not where.strip():
        return frame
    _check(where, list(frame.columns))
    try:
        # no names but the columns: an expression can't reach what runs here
        chosen = frame.query(where, engine="python", local_dict={}, global_dict={})
    except (TypeError, ValueError, NotImplementedError, KeyError, SyntaxError) as error:
        raise SpecError(f"--where can't be applied to these columns: {_first_line(error)}; got {where!r}") from error
    return chosen


def names_in(where: str) -> list[str]:
    """Columns that an expression mentions, in its order."""
    return list(dict.fromkeys(node.id for node in ast.walk(_parse(where)) if isinstance(node, ast.Name)))


def _check(where: str, columns: Sequence[str]) -> None:
    for node in ast.walk(_parse(where)):
        if not isinstance(node, ALLOWED):
            kind = type(node).__name__
            raise SpecError(f"--where takes comparisons of columns, as in {EXAMPLE!r}: got {kind} in {where!r}")
        if isinstance(node, ast.Name) and node.id not in columns:
            raise SpecError(f"--where: no run has {node.id!r}{nearest(node.id, columns)}")


def _parse(where: str) -> ast.Expression:
    try:
        tree = ast.parse(where.strip(), mode="eval")
    except (SyntaxError, ValueError) as error:
        said = f"got {where!r} ({_first_line(error)})"
        raise SpecError(f"--where takes an expression such as {EXAMPLE!r}: {said}") from error
    if not isinstance(tree.body, ast.BoolOp | ast.UnaryOp | ast.Compare):
        raise SpecError(f"--where takes a comparison, as in {EXAMPLE!r}: got {where!r}")
    return tree


def _row(record: Record) -> dict[str, Any]:
    plain = {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in record.parameters.items()
    }
    return plain | {
        "key": record.key[:KEY_LENGTH],
        "paper": record.paper,
        "notebook": record.notebook,
        "profile": record.profile,
        "started": record.started,
        "wall_time_s": record.wall_time_s,
        "peak_memory_mib": record.peak_memory_mib,
        "used_device": record.device,
        "gpu": record.hardware.gpu,
        "cpu": record.hardware.cpu,
        "commit": record.code.git_commit[:10],
        "changed": ", ".join(f"{name}={plain[name]}" for name in record.changed),
        "num_scores": len(record.scores),
    }


def _columns(records: Sequence[Record]) -> list[str]:
    """Names of all columns: what every run has, then the parameters in order of first appearance."""
    first = ("key", "paper", "notebook", "profile", "seed", "changed", "started", "wall_time_s", "peak_memory_mib")
    rest = ("used_device", "gpu", "cpu", "commit", "num_scores")
    named = (name for record in records for name in record.parameters)
    return list(dict.fromkeys([*first, *named, *rest]))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
