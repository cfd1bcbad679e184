"""Tables of a paper, published against ours: which cells there are, and what stands in and below each of them."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from lib.bench.compare import VERDICTS, Cell, MeasureTable, Verdict, compare, measures
from lib.bench.layout import Entry, Format, Grid, check_format, draw, grouped
from lib.bench.plan import KEY_LENGTH
from lib.bench.published import Paper, PublishedCell, load_paper, unique
from lib.bench.record import Record, Score, records, swept_records
from lib.bench.schema import nearest
from lib.errors import SpecError

# rounding noise of float64 sums: shown as 0 beside measures of the order of 1
NOTHING = 1e-12
ARROWS = {"higher": "↑", "lower": "↓", "none": ""}
RELATION_SIGNS = {"equal": "", "about": "≈ ", "above": "> ", "below": "< ", "at most": "≤ "}
COMPARABLE: tuple[Verdict, ...] = ("match", "close", "off")
PLAIN_PROFILE = "smoke"  # goes without saying in the name of a table


def render(paper: str, format: Format = "text", table: str = "", *, runs: Sequence[Record] | None = None) -> str:
    """The paper's tables in the format asked for.

    table: only those of this name or id, which may also be a sweep's; "" for all but the sweeps.
    runs: records to compare; by default the newest complete ones of this checkout.
    Raises SpecError for an unknown paper, format or table.
    """
    check_format(format)
    facts = load_paper(paper)
    layout = grids(paper, records(paper), swept_records(paper)) if runs is None else grids(paper, runs)
    if table:
        from lib.bench.swept import found_sweeps

        swept = found_sweeps(paper) if runs is None else []
        layout = _named([*layout, *(grid for it in swept for grid in it.grids)], table)
    return draw(title_of(facts), layout, format)


def title_of(paper: Paper) -> str:
    """Title that stands over tables of a paper: its own, venue and year."""
    where = ", ".join(filter(None, (paper.venue, str(paper.year or ""))))
    return f"{paper.title} ({where})" if where else paper.title


def _named(layout: Sequence[Grid], name: str) -> list[Grid]:
    found = [grid for grid in layout if name in (grid.id, grid.name)]
    if not found:
        known = unique(grid.id for grid in layout)
        raise SpecError(f"no table {name!r}{nearest(name, known)}")
    return found


def grids(paper: str, runs: Iterable[Record], swept: Iterable[Record] = ()) -> list[Grid]:
    """Layout of every published table of the paper, then of our own measures.

    swept: runs with changed parameters, which fill published cells that `runs` leave open.
    """
    runs = list(runs)
    cells = compare(paper, [*runs, *swept])
    layout = [_published_grid(list(group)) for _, group in groupby(cells, key=lambda cell: cell.table.name)]
    ids = {grid.id for grid in layout}
    for table in measures(paper, runs):
        grid_id = fresh_id(_measure_name(table), ids)
        ids.add(grid_id)
        layout.append(_measure_grid(table, grid_id))
    return layout


def fresh_id(text: str, taken: Iterable[str]) -> str:
    """The text as a name for files, with a number behind it where it is taken."""
    plain = re.sub(r"[^a-z0-9_]+", "-", text.casefold()).strip("-")
    taken = set(taken)
    return next(
        name
        for number in range(1, len(taken) + 2)
        if (name := f"{plain}-{number}" if number > 1 else plain) not in taken
    )


def _measure_name(table: MeasureTable) -> str:
    record = table.record
    profile = "" if record.profile == PLAIN_PROFILE else record.profile
    return f"{record.notebook.split('/')[-1]} {profile} {table.name}"


def _published_grid(cells: Sequence[Cell]) -> Grid:
    table = cells[0].table
    by_place = {(cell.published.row, cell.published.column): _entry(cell) for cell in cells}
    heads = tuple(
        column_head(column, [cell.published for cell in cells if cell.published.column == column])
        for column in table.columns
    )
    counted = Counter(cell.verdict for cell in cells)
    open_cells = [cell for cell in cells if table.is_own(cell.published.row) and cell.verdict not in COMPARABLE]
    return Grid(
        id=table.name,
        name=table.name,
        title=table.title,
        caption=table.caption,
        heads=heads,
        rows=tuple((row, tuple(by_place.get((row, column)) for column in table.columns)) for row in table.rows),
        notes=(*_reasons(cells), *table.remarks, *_cell_notes(cells)),
        row_notes=_row_notes(cells),
        counts={verdict: counted[verdict] for verdict in VERDICTS if counted[verdict]},
        lines=tuple(map(_published_line, cells)),
        needs=table.needs if open_cells else "",
        num_context=sum(cell.score is None and not table.is_own(cell.published.row) for cell in cells),
    )


def _measure_grid(table: MeasureTable, grid_id: str) -> Grid:
    record = table.record
    by_place = {
        (score.row, score.column): Entry(ours=_number(score), interval=_interval(score)) for score in table.scores
    }
    heads = tuple(
        column_head(column, [score for score in table.scores if score.column == column]) for column in table.columns
    )
    origin = next((origin for origin in record.origins if origin.name == table.data), None)
    kind = f" ({origin.kind} data, {origin.licence})" if origin else ""
    source = f"{record.notebook}, profile {record.profile}, seed {record.seed}, run {record.key[:KEY_LENGTH]}"
    notes = [
        "A measure of this project, without a published value; not a reproduction.",
        f"Measured on {table.data}{kind} by {source}, on {record.hardware.gpu or record.hardware.cpu}.",
    ]
    for protocol, scores in grouped(table.scores, key=lambda score: score.protocol):
        notes.append(f"{', '.join(unique(score.column for score in scores))}: {protocol}.")
    place = {"paper": record.paper, "table": table.name}
    own = {"note": "our own measure, no published value"}
    return Grid(
        id=grid_id,
        name=table.name,
        title=table.name.replace("_", " ").capitalize(),
        caption=f"Our own measure, on {table.data}; {record.notebook}, profile {record.profile}.",
        heads=heads,
        rows=tuple((row, tuple(by_place.get((row, column)) for column in table.columns)) for row in table.rows),
        notes=tuple(notes),
        row_notes={},
        counts={},
        lines=tuple(place | _score_facts(score) | _ours(score, record) | own for score in table.scores),
    )


def _entry(cell: Cell) -> Entry:
    published = RELATION_SIGNS[cell.published.relation] + cell.published.printed
    if cell.score is None:
        return Entry(published, verdict=cell.verdict)
    decimals = len(cell.published.printed.partition(".")[2]) if cell.score.unit == cell.published.unit else None
    return Entry(published, _number(cell.score, decimals), _interval(cell.score, decimals), cell.verdict)


def _number(score: Score, decimals: int | None = None) -> str:
    return digits(score.value, decimals)


def _interval(score: Score, decimals: int | None = None) -> str:
    if score.interval is None:
        return ""
    return f"[{digits(score.interval[0], decimals)}, {digits(score.interval[1], decimals)}]"


def digits(value: float, decimals: int | None = None) -> str:
    """The value with the decimals of the published number, but with no less than two significant digits."""
    if decimals is not None and (value == 0 or abs(value) >= 10.0 ** (1 - decimals)):
        return f"{value:.{decimals}f}"
    if abs(value) < NOTHING:
        return "0"
    return f"{value:.2g}" if decimals is not None else f"{value:.4g}"


def column_head(column: str, scores: Sequence[PublishedCell | Score]) -> str:
    """A column's name with unit and direction, as far as the scores share them."""
    units = unique("" if score.unit == "1" else score.unit for score in scores)
    arrows = unique(ARROWS[score.better] for score in scores)
    unit = f" ({units[0]})" if len(units) == 1 and units[0] else ""
    return f"{column}{unit} {arrows[0] if len(arrows) == 1 else ''}".strip()


def _reasons(cells: Sequence[Cell]) -> list[str]:
    """One sentence per verdict and reason, with the places it holds for, in the order of VERDICTS."""
    ordered = sorted(cells, key=lambda cell: VERDICTS.index(cell.verdict))
    sentences = []
    for (verdict, reason), group in grouped(ordered, key=lambda cell: (cell.verdict, cell.reason)):
        # a reason that all cells share needs no list of places
        places = "" if len(group) == len(cells) else f" ({_places(group, cells)})"
        sentences.append(f"{verdict.capitalize()}{places}: {reason}.")
    return sentences


def _row_notes(cells: Sequence[Cell]) -> dict[str, str]:
    """Notes that all published cells of a row share, by row."""
    noted = grouped(cells, key=lambda cell: cell.published.row)
    shared = {row: unique(cell.published.note for cell in group) for row, group in noted}
    return {row: notes[0] for row, notes in shared.items() if len(notes) == 1 and notes[0]}


def _cell_notes(cells: Sequence[Cell]) -> list[str]:
    """Notes of single cells, those of whole rows left out."""
    rows = _row_notes(cells)
    single = [cell for cell in cells if cell.published.note and cell.published.row not in rows]
    return [
        f"{_places(group, cells)}: {note}." for note, group in grouped(single, key=lambda cell: cell.published.note)
    ]


def _places(group: Sequence[Cell], cells: Sequence[Cell]) -> str:
    """The rows of the group; a row of which only a part belongs to it names its columns."""
    names = []
    for row, part in grouped(group, key=lambda cell: cell.published.row):
        columns = [cell.published.column for cell in part]
        whole = len(columns) == sum(cell.published.row == row for cell in cells)
        names.append(row if whole else f"{row} {' and '.join(columns)}")
    return ", ".join(names)


def _published_line(cell: Cell) -> dict[str, str]:
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
    ours = {} if cell.score is None or cell.record is None else _ours(cell.score, cell.record)
    return {"paper": cell.table.paper, "table": cell.table.name} | _score_facts(published) | ours | line


def _score_facts(cell: PublishedCell | Score) -> dict[str, str]:
    return {name: getattr(cell, name) for name in ("row", "column", "unit", "better", "protocol")}


def _ours(score: Score, record: Record) -> dict[str, str]:
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
