"""Small tables for notebooks: HTML for readers, plain text that stays the same from run to run for nbval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from lib.errors import ShapeError

NOT_RUN = "not run"


@dataclass(frozen=True)
class Table:
    """A finished table: every cell is text. `numeric` says which columns align to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...]
    caption: str = ""

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [self._text_line(row, widths) for row in (self.columns, ["-" * width for width in widths], *self.rows)]
        return "\n".join([self.caption, *lines] if self.caption else lines)

    def _text_line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, self.numeric, strict=True)
        ]
        return "  ".join(padded).rstrip()

    def _repr_html_(self) -> str:
        caption = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        head = self._html_line(self.columns, "th")
        body = "".join(self._html_line(row, "td") for row in self.rows)
        return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"

    def _html_line(self, cells: Sequence[str], tag: str) -> str:
        aligned = (
            f'<{tag} style="text-align:{"right" if right else "left"}">{escape(cell)}</{tag}>'
            for cell, right in zip(cells, self.numeric, strict=True)
        )
        return f"<tr>{''.join(aligned)}</tr>"


def table(
    rows: Sequence[Sequence[object]], columns: Sequence[str], *, digits: int | Mapping[str, int] = 3, caption: str = ""
) -> Table:
    """A table of these rows under these column names.

    rows: one sequence of cells a row; numbers, texts, or None for what was not run. columns: name with its unit.
    digits: decimals of floats, for all columns or by column name (3 where a name is missing).
    Raises ShapeError when a row has another number of cells than there are columns.
    """
    for row_idx, row in enumerate(rows):
        if len(row) != len(columns):
            raise ShapeError(f"row {row_idx} must have {len(columns)} cells, one a column: got {len(row)}")
    decimals = [digits if isinstance(digits, int) else digits.get(name, 3) for name in columns]
    texts = tuple(tuple(_text(cell, places) for cell, places in zip(row, decimals, strict=True)) for row in rows)
    numeric = tuple(
        bool(rows) and all(_is_number(row[idx]) or row[idx] is None for row in rows) for idx in range(len(columns))
    )
    return Table(tuple(columns), texts, numeric, caption)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _text(cell: object, places: int) -> str:
    """A cell as text; a rounded zero has no sign, so that it doesn't change with the last bit."""
    if cell is None:
        return NOT_RUN
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.{places}f}".replace("-0", "0") if round(cell, places) == 0 else f"{cell:.{places}f}"
    return str(cell)
