"""A table ready to be drawn, and the formats it is drawn in: plain text, Markdown, LaTeX, CSV and HTML.

Every format but CSV is drawn from the layout of `Grid`: rows and columns, in each place the published number, our
number and the verdict, and below it the reasons. CSV has one line per number, with nothing left out.
"""

import csv
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from lib.bench.compare import Verdict
from lib.errors import SpecError

Item = TypeVar("Item")
Key = TypeVar("Key")
Format = Literal["text", "markdown", "latex", "csv", "html"]
ENDINGS: dict[Format, str] = {"markdown": "md", "latex": "tex", "csv": "csv"}
ABSENT = "\N{EN DASH}"
CSV_COLUMNS = (
    *("paper", "table", "row", "column", "unit", "better", "relation", "published", "band", "ours", "low", "high"),
    *("difference", "verdict", "reason", "protocol", "data", "weights", "notebook", "profile", "seed", "key", "note"),
)


@dataclass(frozen=True)
class Entry:
    """One place of a table. A place of our own measures has no published number and no verdict."""

    published: str = ""
    ours: str = ""
    interval: str = ""
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Grid:
    """A table ready to be drawn: heads with unit and direction, entries by row, sentences to stand below.

    id: name that no other table of the paper has, fit for a file. name: as a score names its table.
    row_notes: what is to be said of a whole row, by row.
    counts: number of cells by verdict, in the order of VERDICTS; empty for our own measures.
    lines: every number as a line of the CSV form, columns besides CSV_COLUMNS first.
    needs: what a reproduction needs; "" where every number of this project's methods is comparable.
    num_context: cells of methods that the paper compares with and this project does not implement.
    """

    id: str
    name: str
    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry | None, ...]], ...]
    notes: tuple[str, ...]
    row_notes: dict[str, str]
    counts: dict[Verdict, int]
    lines: tuple[dict[str, str], ...]
    needs: str = ""
    num_context: int = 0

    @property
    def has_ours(self) -> bool:
        """Whether at least one place holds a number of ours."""
        return any(entry is not None and entry.ours for _, entries in self.rows for entry in entries)

    @property
    def all_notes(self) -> list[str]:
        """Notes of the table and of its rows, for formats that write them below."""
        by_note = grouped(self.row_notes.items(), key=lambda entry: entry[1])
        return [*self.notes, *(f"{', '.join(row for row, _ in rows)}: {note}." for note, rows in by_note)]


def check_format(format: str) -> None:
    """Raise SpecError for a format that isn't one."""
    if format not in get_args(Format):
        raise SpecError(f"format must be one of {', '.join(get_args(Format))}: got {format!r}")


def draw(title: str, layout: Sequence[Grid], format: Format) -> str:
    """The tables below one title, in the format asked for; CSV has no title."""
    by_format: dict[str, Callable[[str, Sequence[Grid]], str]]
    by_format = {"text": _text, "markdown": _markdown, "latex": _latex, "csv": _csv, "html": _html}
    return by_format[format](title, layout)


def grouped(items: Iterable[Item], *, key: Callable[[Item], Key]) -> list[tuple[Key, list[Item]]]:
    """Items by key, keys in order of first appearance."""
    groups: dict[Key, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _flat(entry: Entry | None) -> str:
    """An entry on one line: published, ours and verdict, as far as they are there."""
    if entry is None:
        return ABSENT
    ours = f"{entry.ours} {entry.interval}".strip()
    if entry.verdict is None:
        return ours
    return " ".join(filter(None, (entry.published, ours and f"→ {ours}", f"({entry.verdict})")))


def _summary(grid: Grid) -> str:
    return ", ".join(f"{count} {verdict}" for verdict, count in grid.counts.items())


def _text(title: str, layout: Sequence[Grid]) -> str:
    parts = [title]
    for grid in layout:
        lines = [["", *grid.heads], *([row, *map(_flat, entries)] for row, entries in grid.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        drawn = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines]
        drawn.insert(1, "-" * len(drawn[0]))
        head = f"{grid.title}. {grid.caption}" + (f" [{_summary(grid)}]" if grid.counts else "")
        notes = [textwrap.fill(note, 110, initial_indent="  ", subsequent_indent="    ") for note in grid.all_notes]
        parts.append("\n".join([head, "", *(line.rstrip() for line in drawn), "", *notes]))
    return "\n\n".join(parts) + "\n"


def _markdown(title: str, layout: Sequence[Grid]) -> str:
    parts = [f"## {title}"]
    for grid in layout:
        lines = [["", *grid.heads], ["---"] * (len(grid.heads) + 1)]
        lines += [[row, *map(_flat, entries)] for row, entries in grid.rows]
        drawn = ["| " + " | ".join(re.sub(r"([|*_<`\\])", r"\\\1", text) for text in line) + " |" for line in lines]
        drawn[1] = "|" + " --- |" * (len(grid.heads) + 1)
        notes = [f"- {note}" for note in grid.all_notes]
        parts.append("\n".join([f"### {grid.title}", "", grid.caption, "", *drawn, "", *notes]))
    return "\n\n".join(parts) + "\n"


def _latex(title: str, layout: Sequence[Grid]) -> str:
    """booktabs tables; needs \\usepackage{booktabs} and an engine or inputenc that reads UTF-8."""
    parts = [f"% {title}"]
    for grid in layout:
        lines = [" & ".join(_tex(text) for text in [row, *map(_flat, entries)]) for row, entries in grid.rows]
        parts.append(
            "\n".join(
                [
                    r"\begin{table}",
                    r"\centering",
                    rf"\caption{{{_tex(f'{grid.title}. {grid.caption}')}}}",
                    rf"\begin{{tabular}}{{l{'r' * len(grid.heads)}}}",
                    r"\toprule",
                    " & ".join(_tex(text) for text in ["", *grid.heads]) + r" \\",
                    r"\midrule",
                    *(line + r" \\" for line in lines),
                    r"\bottomrule",
                    r"\end{tabular}",
                    *(rf"\par\footnotesize {_tex(note)}" for note in grid.all_notes),
                    r"\end{table}",
                ]
            )
        )
    return "\n\n".join(parts) + "\n"


TEX_SIGNS = {
    **{sign: rf"\{sign}" for sign in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"≈": r"$\approx$", "≤": r"$\leq$", "<": "$<$", ">": "$>$", "→": r"$\rightarrow$"},
    **{"↑": r"$\uparrow$", "↓": r"$\downarrow$", "\N{EN DASH}": "--", "‡": r"\ddag{}", "†": r"\dag{}"},
}


def _tex(text: str) -> str:
    return "".join(TEX_SIGNS.get(sign, sign) for sign in text)


def _html(title: str, layout: Sequence[Grid]) -> str:
    from lib.bench.pages import template

    return template("table.html.j2").render(title=title, grids=layout)


def _csv(title: str, layout: Sequence[Grid]) -> str:
    lines = [line for grid in layout for line in grid.lines]
    extra = dict.fromkeys(name for line in lines for name in line if name not in CSV_COLUMNS)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*extra, *CSV_COLUMNS], lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(lines)
    return buffer.getvalue()
