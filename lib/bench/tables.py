"""Tables of a paper, published against ours, as plain text, Markdown, LaTeX, CSV or HTML.

Every format but CSV is drawn from one layout, `Grid`: the paper's rows and columns, in each place the published number,
our number and the verdict, and below it the reasons. CSV has one line per number, with nothing left out.
"""

import csv
import io
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, TypeVar, get_args

from lib.bench.compare import VERDICTS, Cell, MeasureTable, Verdict, compare, measures
from lib.bench.published import PublishedCell, load_paper, unique
from lib.bench.record import Record, Score, records, swept_records
from lib.errors import SpecError

Item = TypeVar("Item")
Key = TypeVar("Key")
Format = Literal["text", "markdown", "latex", "csv", "html"]
ABSENT = "\N{EN DASH}"
# rounding noise of float64 sums: shown as 0 beside measures of the order of 1
NOTHING = 1e-12
ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
RELATION_SIGNS = {"equal": "", "about": "≈ ", "above": "> ", "below": "< ", "at most": "≤ "}
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

    row_notes: what is to be said of a whole row, by row.
    counts: number of cells by verdict, in the order of VERDICTS; empty for our own measures.
    """

    name: str
    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry | None, ...]], ...]
    notes: tuple[str, ...]
    row_notes: dict[str, str]
    counts: dict[Verdict, int]

    @property
    def has_ours(self) -> bool:
        """Whether at least one place holds a number of ours."""
        return any(entry is not None and entry.ours for _, entries in self.rows for entry in entries)


def render(paper: str, format: Format = "text", *, runs: Sequence[Record] | None = None) -> str:
    """The paper's tables in the format asked for.

    runs: records to compare; by default the newest complete ones of this checkout.
    Raises SpecError for an unknown paper or format.
    """
    if format not in get_args(Format):
        raise SpecError(f"format must be one of {', '.join(get_args(Format))}: got {format!r}")
    facts = load_paper(paper)
    swept = swept_records(paper) if runs is None else []
    runs = records(paper) if runs is None else runs
    if format == "csv":
        return _csv(paper, runs, swept)
    where = ", ".join(filter(None, (facts.venue, str(facts.year or ""))))
    title = f"{facts.title} ({where})" if where else facts.title
    layout = grids(paper, runs, swept)
    draw: dict[str, Callable[[str, Sequence[Grid]], str]]
    draw = {"text": _text, "markdown": _markdown, "latex": _latex, "html": _html}
    return draw[format](title, layout)


def grids(paper: str, runs: Iterable[Record], swept: Iterable[Record] = ()) -> list[Grid]:
    """Layout of every published table of the paper, then of our own measures.

    swept: runs with changed parameters, which fill published cells that `runs` leave open.
    """
    runs = list(runs)
    cells = compare(paper, [*runs, *swept])
    published = [_published_grid(list(group)) for _, group in groupby(cells, key=lambda cell: cell.table.name)]
    return published + [_measure_grid(table) for table in measures(paper, runs)]


def _published_grid(cells: Sequence[Cell]) -> Grid:
    table = cells[0].table
    by_place = {(cell.published.row, cell.published.column): _entry(cell) for cell in cells}
    heads = tuple(
        _head(column, [cell.published for cell in cells if cell.published.column == column]) for column in table.columns
    )
    counted = Counter(cell.verdict for cell in cells)
    return Grid(
        name=table.name,
        title=table.title,
        caption=table.caption,
        heads=heads,
        rows=tuple((row, tuple(by_place.get((row, column)) for column in table.columns)) for row in table.rows),
        notes=(*_reasons(cells), *table.remarks, *_cell_notes(cells)),
        row_notes=_row_notes(cells),
        counts={verdict: counted[verdict] for verdict in VERDICTS if counted[verdict]},
    )


def _measure_grid(table: MeasureTable) -> Grid:
    record = table.record
    by_place = {
        (score.row, score.column): Entry(ours=_number(score), interval=_interval(score)) for score in table.scores
    }
    heads = tuple(
        _head(column, [score for score in table.scores if score.column == column]) for column in table.columns
    )
    origin = next((origin for origin in record.origins if origin.name == table.data), None)
    kind = f" ({origin.kind} data, {origin.licence})" if origin else ""
    source = f"{record.notebook}, profile {record.profile}, seed {record.seed}, run {record.key[:12]}"
    notes = [
        "A measure of this project, without a published value; not a reproduction.",
        f"Measured on {table.data}{kind} by {source}, on {record.hardware.gpu or record.hardware.cpu}.",
    ]
    for protocol, scores in _grouped(table.scores, key=lambda score: score.protocol):
        notes.append(f"{', '.join(unique(score.column for score in scores))}: {protocol}.")
    return Grid(
        name=table.name,
        title=table.name.replace("_", " ").capitalize(),
        caption=f"Our own measure, on {table.data}.",
        heads=heads,
        rows=tuple((row, tuple(by_place.get((row, column)) for column in table.columns)) for row in table.rows),
        notes=tuple(notes),
        row_notes={},
        counts={},
    )


def _entry(cell: Cell) -> Entry:
    published = RELATION_SIGNS[cell.published.relation] + cell.published.printed
    if cell.score is None:
        return Entry(published, verdict=cell.verdict)
    decimals = len(cell.published.printed.partition(".")[2]) if cell.score.unit == cell.published.unit else None
    return Entry(published, _number(cell.score, decimals), _interval(cell.score, decimals), cell.verdict)


def _number(score: Score, decimals: int | None = None) -> str:
    return _digits(score.value, decimals)


def _interval(score: Score, decimals: int | None = None) -> str:
    if score.interval is None:
        return ""
    return f"[{_digits(score.interval[0], decimals)}, {_digits(score.interval[1], decimals)}]"


def _digits(value: float, decimals: int | None) -> str:
    """The value with the decimals of the published number, but with no less than two significant digits."""
    if decimals is not None and (value == 0 or abs(value) >= 10.0 ** (1 - decimals)):
        return f"{value:.{decimals}f}"
    if abs(value) < NOTHING:
        return "0"
    return f"{value:.2g}" if decimals is not None else f"{value:.4g}"


def _head(column: str, scores: Sequence[PublishedCell | Score]) -> str:
    units = unique("" if score.unit == "1" else score.unit for score in scores)
    arrows = unique(ARROWS[score.better] for score in scores)
    unit = f" ({units[0]})" if len(units) == 1 and units[0] else ""
    return f"{column}{unit} {arrows[0] if len(arrows) == 1 else ''}".strip()


def _reasons(cells: Sequence[Cell]) -> list[str]:
    """One sentence per verdict and reason, with the places it holds for, in the order of VERDICTS."""
    ordered = sorted(cells, key=lambda cell: VERDICTS.index(cell.verdict))
    sentences = []
    for (verdict, reason), group in _grouped(ordered, key=lambda cell: (cell.verdict, cell.reason)):
        # a reason that all cells share needs no list of places
        places = "" if len(group) == len(cells) else f" ({_places(group, cells)})"
        sentences.append(f"{verdict.capitalize()}{places}: {reason}.")
    return sentences


def _row_notes(cells: Sequence[Cell]) -> dict[str, str]:
    """Notes that all published cells of a row share, by row."""
    noted = _grouped(cells, key=lambda cell: cell.published.row)
    shared = {row: unique(cell.published.note for cell in group) for row, group in noted}
    return {row: notes[0] for row, notes in shared.items() if len(notes) == 1 and notes[0]}


def _cell_notes(cells: Sequence[Cell]) -> list[str]:
    """Notes of single cells, those of whole rows left out."""
    rows = _row_notes(cells)
    single = [cell for cell in cells if cell.published.note and cell.published.row not in rows]
    return [
        f"{_places(group, cells)}: {note}." for note, group in _grouped(single, key=lambda cell: cell.published.note)
    ]


def _all_notes(grid: Grid) -> list[str]:
    """Notes of the table and of its rows, for formats that write them below."""
    by_note = _grouped(grid.row_notes.items(), key=lambda entry: entry[1])
    return [*grid.notes, *(f"{', '.join(row for row, _ in rows)}: {note}." for note, rows in by_note)]


def _places(group: Sequence[Cell], cells: Sequence[Cell]) -> str:
    """The rows of the group; a row of which only a part belongs to it names its columns."""
    names = []
    for row, part in _grouped(group, key=lambda cell: cell.published.row):
        columns = [cell.published.column for cell in part]
        whole = len(columns) == sum(cell.published.row == row for cell in cells)
        names.append(row if whole else f"{row} {' and '.join(columns)}")
    return ", ".join(names)


def _grouped(items: Iterable[Item], *, key: Callable[[Item], Key]) -> list[tuple[Key, list[Item]]]:
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
        notes = [textwrap.fill(note, 110, initial_indent="  ", subsequent_indent="    ") for note in _all_notes(grid)]
        parts.append("\n".join([head, "", *(line.rstrip() for line in drawn), "", *notes]))
    return "\n\n".join(parts) + "\n"


def _markdown(title: str, layout: Sequence[Grid]) -> str:
    parts = [f"## {title}"]
    for grid in layout:
        lines = [["", *grid.heads], ["---"] * (len(grid.heads) + 1)]
        lines += [[row, *map(_flat, entries)] for row, entries in grid.rows]
        drawn = ["| " + " | ".join(re.sub(r"([|*_<`\\])", r"\\\1", text) for text in line) + " |" for line in lines]
        drawn[1] = "|" + " --- |" * (len(grid.heads) + 1)
        notes = [f"- {note}" for note in _all_notes(grid)]
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
                    *(rf"\par\footnotesize {_tex(note)}" for note in _all_notes(grid)),
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


def _csv(paper: str, runs: Sequence[Record], swept: Sequence[Record]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, CSV_COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    for cell in compare(paper, [*runs, *swept]):
        published = cell.published
        line = {
            "relation": published.relation,
            "published": published.printed,
            "band": f"{published.band:g}",
            "difference": "" if cell.difference is None else f"{cell.difference:.6g}",
            "verdict": cell.verdict,
            "reason": cell.reason,
            "note": published.note,
        }
        writer.writerow(_csv_place(paper, cell.table.name, published) | _csv_ours(cell.score, cell.record) | line)
    for table in measures(paper, runs):
        for score in table.scores:
            line = {"note": "our own measure, no published value"}
            writer.writerow(_csv_place(paper, table.name, score) | _csv_ours(score, table.record) | line)
    return buffer.getvalue()


def _csv_place(paper: str, table: str, cell: PublishedCell | Score) -> dict[str, str]:
    return {"paper": paper, "table": table} | {
        name: getattr(cell, name) for name in ("row", "column", "unit", "better", "protocol")
    }


def _csv_ours(score: Score | None, record: Record | None) -> dict[str, str]:
    if score is None or record is None:
        return {}
    low, high = score.interval or ("", "")
    return {
        "ours": f"{score.value:.10g}",
        "low": str(low),
        "high": str(high),
        "data": score.data,
        "weights": score.weights,
        "notebook": record.notebook,
        "profile": record.profile,
        "seed": str(record.seed),
        "key": record.key,
    }
