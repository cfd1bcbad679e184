"""The sweeps that the store holds, declared or not, each with its tables: what the report shows of them.

A declared sweep is looked for at every profile and on every data that its cells were run with. Runs with changed
parameters that no declared sweep asks for are taken together by the largest sets of parameters that were changed
together. Of several runs of one setting and seed the newest counts, whatever source it was made with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib.bench.axes import Values
from lib.bench.catalogue import find_notebook
from lib.bench.layout import Entry, Grid
from lib.bench.published import unique
from lib.bench.record import Record, Score, all_records
from lib.bench.schema import read_schema
from lib.bench.summary import SEED, Summary, label_of, shown_axes, summary_of
from lib.bench.sweeps import Sweep, list_sweeps
from lib.bench.tables import PLAIN_PROFILE, column_head, digits, fresh_id
from lib.errors import SpecError
from lib.seeds import mean_interval

Place = tuple[str, str, str]


@dataclass(frozen=True)
class SweptCells:
    """A sweep with the cells of it that the store holds; `total` is how many it has, `grids` are its tables."""

    sweep: Sweep
    records: tuple[Record, ...]
    total: int
    summary: Summary
    grids: tuple[Grid, ...]

    @property
    def title(self) -> str:
        """The declared name, or what was changed of which notebook."""
        return _title(self.sweep)

    @property
    def fixed(self) -> str:
        """What all settings have in common and the profile has not: "num_frames 4", "" for nothing."""
        return _fixed(self.sweep, self.records[0])

    @property
    def profile(self) -> str:
        """Profile of the cells."""
        return self.records[0].profile

    @property
    def seeds(self) -> list[int]:
        """Seeds that were run, sorted."""
        return sorted({record.seed for record in self.records})

    @property
    def num_sources(self) -> int:
        """States of the source that the cells were run with."""
        return len({record.code.lib_sha256 for record in self.records})

    def label(self, record: Record) -> str:
        """The setting of a cell."""
        return label_of(self.sweep, record.parameters)


def found_sweeps(paper: str, known: Sequence[Record] | None = None) -> list[SweptCells]:
    """Sweeps of a paper with at least one complete cell: the declared ones, then what else was swept.

    known: records of the paper, newest first; by default all complete ones.
    """
    known = all_records(paper) if known is None else known
    found: list[SweptCells] = []
    claimed: set[str] = set()
    ids: set[str] = set()
    for sweep in list_sweeps(paper):
        for group in _by_data([it for it in known if it.notebook == sweep.notebook]):
            wanted = _declared_cells(sweep, group)
            if wanted and (wanted[0].profile == sweep.profile or any(it.changed for it in wanted)):
                claimed |= {it.key for it in wanted}
                found.append(_swept(sweep, wanted, _num_cells(sweep, wanted), ids))
    for notebook in unique(it.notebook for it in known):
        for group in _by_data([it for it in known if it.notebook == notebook]):
            for own in _own_sweeps(notebook, group):
                if len(own) > 1 and any(it.changed and it.key not in claimed for it in own):
                    found.append(_swept(_sweep_over(notebook, own), own, len(own), ids))
    return found


def _title(sweep: Sweep) -> str:
    return sweep.id or f"{' and '.join(shown_axes(sweep) or [SEED])} of {sweep.notebook}"


def _fixed(sweep: Sweep, record: Record) -> str:
    apart = shown_axes(sweep)
    return ", ".join(f"{name} {record.parameters[name]}" for name in sweep.axes if name not in (*apart, SEED))


def _by_data(records: Sequence[Record]) -> list[list[Record]]:
    """Records of one notebook by profile and by the files and folders that they were given."""
    if not records:
        return []
    try:
        schema = read_schema(find_notebook(records[0].notebook).path)
    except SpecError:  # the notebook is gone, its records are not
        schema = {}
    files = [name for name, parameter in schema.items() if parameter.is_path]
    groups: dict[Any, list[Record]] = {}
    for record in records:
        groups.setdefault((record.profile, *(record.parameters.get(name) for name in files)), []).append(record)
    return list(groups.values())


def _declared_cells(sweep: Sweep, records: Sequence[Record]) -> list[Record]:
    """The newest record of each cell of the sweep, at any seed, in the order of the cells."""
    axes = [name for name in sweep.axes if name != SEED]
    held = _newest([it for it in records if set(it.changed) <= {*axes, SEED}], axes)
    return [
        it for wanted in _settings(sweep, axes) for it in held if [it.parameters.get(name) for name in axes] == wanted
    ]


def _settings(sweep: Sweep, axes: Sequence[str]) -> list[Values]:
    """Values on these axes of every cell, each once."""
    settings: list[Values] = []
    for cell in sweep.cells():
        values = [cell[name] for name in axes]
        if values not in settings:
            settings.append(values)
    return settings


def _num_cells(sweep: Sweep, found: Sequence[Record]) -> int:
    """Cells of the sweep at the seeds that were run, or at its own where it declares them."""
    settings = _settings(sweep, [name for name in sweep.axes if name != SEED])
    seeds = {it.seed for it in found} | set(sweep.axes.get(SEED, []))
    return len(settings) * len(seeds)


def _own_sweeps(notebook: str, records: Sequence[Record]) -> list[list[Record]]:
    """For each largest set of parameters that were changed together: the runs in which nothing else was changed."""
    sets = {frozenset(it.changed) - {SEED} for it in records if it.changed}
    largest = [names for names in sets if not any(names < other for other in sets)]
    groups = []
    for names in sorted(largest, key=sorted):
        axes = [name for name in records[0].parameters if name in names]
        within = [it for it in records if set(it.changed) <= names | {SEED} and names <= it.parameters.keys()]
        groups.append(_newest(within, axes))
    return groups


def _newest(records: Sequence[Record], axes: Sequence[str]) -> list[Record]:
    """The first of each setting and seed, sorted by both: numbers, and lists of them, by size."""
    held: dict[Any, Record] = {}
    for record in records:
        held.setdefault(repr([record.parameters.get(name) for name in axes] + [record.seed]), record)

    def place(record: Record) -> list[tuple[bool, Any]]:
        return [_size(it) for it in (*(record.parameters.get(name) for name in axes), record.seed)]

    return sorted(held.values(), key=place)


def _size(value: Any) -> tuple[bool, Any]:
    numbers = value if isinstance(value, list) else [value]
    are_numbers = all(isinstance(it, int | float) for it in numbers)
    return (False, numbers) if are_numbers else (True, str(value))


def _sweep_over(notebook: str, records: Sequence[Record]) -> Sweep:
    """The sweep that would ask for these records: the values of what was changed in any of them."""
    names = {name for it in records for name in it.changed if name != SEED}
    axes: dict[str, list[Any]] = {}
    for name in (name for name in records[0].parameters if name in names):
        values = {repr(it.parameters[name]): it.parameters[name] for it in records}
        axes[name] = list(values.values())
    return Sweep(notebook, records[0].profile, axes)


def _swept(sweep: Sweep, records: Sequence[Record], total: int, ids: set[str]) -> SweptCells:
    summary = summary_of(sweep, records)
    profile = "" if records[0].profile == PLAIN_PROFILE else f" {records[0].profile}"
    name = sweep.id.split("/")[-1] or f"{sweep.notebook.split('/')[-1]} {' '.join(sweep.axes)}"
    tables = [_grid(summary, records, fresh_id(f"sweep {name}{profile}", ids))] if summary.units else []
    ids |= {grid.id for grid in tables}
    rows = {(it.table, it.row, it.column): it for record in records for it in record.scores}
    for table in unique(place[0] for place in rows):
        places = [place for place in rows if place[0] == table and place[2] not in summary.units]
        if grid := _grid_by_row(sweep, records, places, fresh_id(f"sweep {name}{profile} {table}", ids)):
            tables.append(grid)
            ids.add(grid.id)
    return SweptCells(sweep, tuple(records), total, summary, tuple(tables))


def _grid(summary: Summary, records: Sequence[Record], grid_id: str) -> Grid:
    """A row a setting, a column a measure: what each cell has one number of."""
    sweep = summary.sweep
    by_setting = _by_setting(sweep, records)
    columns = list(summary.units)
    rows, lines = [], []
    scores: dict[str, list[Score]] = {name: [] for name in columns}
    for label, held in by_setting.items():
        entries = []
        for name in columns:
            found = [(it.measures[name], it) for it in held if name in it.measures]
            scores[name] += [score for score, _ in found]
            entries.append(_entry([score for score, _ in found]))
            if found:
                lines.append(_line(sweep, found, place=("", label)))
        rows.append((label, tuple(entries)))
    heads = tuple(column_head(name, scores[name]) for name in columns)
    every = [score for held in scores.values() for score in held]
    return _made(sweep, records, grid_id, "measures of a cell", heads, rows, _notes(every), lines)


def _grid_by_row(sweep: Sweep, records: Sequence[Record], places: Sequence[Place], grid_id: str) -> Grid | None:
    """A row a setting and row of the table; rows that are the same at every setting are left out. None if all are."""
    by_setting = _by_setting(sweep, records)
    columns = unique(column for _, _, column in places)
    moved = []
    for row in unique(row for _, row, _ in places):
        drawn = {label: _row_of(held, places, row, columns) for label, held in by_setting.items()}
        if len(drawn) == 1 or len({tuple(map(_entry, map(_scores, entries))) for entries in drawn.values()}) > 1:
            moved.append((row, drawn))
    rows, lines, every = [], [], []
    for label in by_setting:
        for row, drawn in moved:
            if any(drawn[label]):
                rows.append((f"{label}: {row}", tuple(_entry(_scores(found)) for found in drawn[label])))
                lines += [_line(sweep, found, place=(places[0][0], row)) for found in drawn[label] if found]
                every += [score for found in drawn[label] for score in _scores(found)]
    if not rows:
        return None
    heads = tuple(column_head(name, [it for it in every if it.column == name]) for name in columns)
    said = "Rows that are the same at every setting are left out." if len(by_setting) > 1 else ""
    notes = [*([said] if said else []), *_notes(every)]
    return _made(sweep, records, grid_id, places[0][0], heads, rows, notes, lines)


def _row_of(
    held: Sequence[Record], places: Sequence[Place], row: str, columns: Sequence[str]
) -> list[list[tuple[Score, Record]]]:
    table = places[0][0]
    return [
        [(it, record) for record in held for it in record.scores if (it.table, it.row, it.column) == (table, row, name)]
        for name in columns
    ]


def _scores(found: Sequence[tuple[Score, Record]]) -> list[Score]:
    return [score for score, _ in found]


def _by_setting(sweep: Sweep, records: Sequence[Record]) -> dict[str, list[Record]]:
    held: dict[str, list[Record]] = {}
    for record in records:
        held.setdefault(label_of(sweep, record.parameters), []).append(record)
    return held


def _entry(scores: Sequence[Score]) -> Entry | None:
    """Mean and interval over the seeds; a single seed has the interval that its notebook noted, if any."""
    if not scores:
        return None
    mean, low, high = _statistics(scores)
    return Entry(ours=digits(mean), interval="" if low is None or high is None else f"[{digits(low)}, {digits(high)}]")


def _statistics(scores: Sequence[Score]) -> tuple[float, float | None, float | None]:
    if len(scores) == 1:
        low, high = scores[0].interval or (None, None)
        return scores[0].value, low, high
    mean, half = mean_interval([it.value for it in scores])
    return mean, mean - half, mean + half


def _line(sweep: Sweep, found: Sequence[tuple[Score, Record]], *, place: tuple[str, str]) -> dict[str, str]:
    """One line of the CSV form, with the values of the axes before it."""
    score, record = found[0]
    mean, low, high = _statistics(_scores(found))
    axes = {name: str(record.parameters[name]) for name in sweep.axes if name != SEED}
    return axes | {
        "seeds": str(len(found)),
        "paper": record.paper,
        "table": place[0] or sweep.id or sweep.notebook,
        "row": place[1],
        "column": score.column,
        "unit": score.unit,
        "better": score.better,
        "ours": f"{mean:.10g}",
        "low": "" if low is None else f"{low:.10g}",
        "high": "" if high is None else f"{high:.10g}",
        "protocol": score.protocol,
        "data": ", ".join(unique(it.data for it, _ in found)),
        "weights": score.weights,
        "notebook": record.notebook,
        "profile": record.profile,
        "key": " ".join(it.key for _, it in found),
        "note": "cell of a sweep",
    }


def _notes(scores: Sequence[Score]) -> list[str]:
    protocols: dict[str, list[str]] = {}
    for score in scores:
        protocols.setdefault(score.protocol, []).append(score.column)
    return [f"{', '.join(unique(columns))}: {protocol}." for protocol, columns in protocols.items()]


def _made(
    sweep: Sweep,
    records: Sequence[Record],
    grid_id: str,
    table: str,
    heads: tuple[str, ...],
    rows: Sequence[tuple[str, tuple[Entry | None, ...]]],
    notes: Sequence[str],
    lines: Sequence[dict[str, str]],
) -> Grid:
    num_seeds = len({it.seed for it in records})
    spread = f"the 95 % interval (Student's t) over {num_seeds} seeds" if num_seeds > 1 else "what its notebook noted"
    brackets = any(entry is not None and entry.interval for _, entries in rows for entry in entries)
    said = f" The interval in brackets is {spread}." if brackets else ""
    fixed = _fixed(sweep, records[0])
    data = ", ".join(unique(it.data for record in records for it in record.scores))
    return Grid(
        id=grid_id,
        name=grid_id,
        title=f"{table.replace('_', ' ').capitalize()}, sweep {_title(sweep)}",
        caption=", ".join(filter(None, (sweep.notebook, f"profile {records[0].profile}", fixed, f"on {data}."))),
        heads=heads,
        rows=tuple(rows),
        notes=(f"A sweep of this project; not a reproduction.{said}", *notes),
        row_notes={},
        counts={},
        lines=tuple(lines),
    )
