"""Published against ours, cell by cell, each with a verdict and its reason.

The rules, in the order in which they are applied to a cell of a published table:

1. `not run`: no record holds a score at this paper, table, row and column. The reason says what is missing.
2. Of several scores the newest comparable one speaks, else the newest; never the closest. A run with the profile's
   own values goes before one with changed parameters, such as a cell of a sweep.
3. `not comparable`, whatever the difference, when one of these holds (all that hold are named):
   its data are not of kind `benchmark`, or are another data set than the table's; its pretrained weights are not the
   ones the paper used; it was not run at the profile `paper`, which has the paper's sizes; its protocol or its unit is
   not the one of the published cell; it is a timing and the machine is not the paper's.
4. A number that is not finite is `off`.
5. Else by the distance from what the paper claims: `match` within the band of the cell, `close` within three bands,
   `off` beyond. For a plain or an "about" number the distance is |ours - published|; for a bound ("above", "below",
   "at most") it is what is missing to fulfil the bound. A score that is better than published by more than the band is
   not a match either: the reason says on which side it lies.

Scores at places that no published table has are the project's own measures; `measures` collects them, without verdict.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from lib.bench.published import TIMING_UNITS, PublishedCell, PublishedTable, load_tables, unique
from lib.bench.record import Record, Score

Verdict = Literal["match", "close", "off", "not comparable", "not run"]
VERDICTS: tuple[Verdict, ...] = ("match", "close", "off", "not comparable", "not run")
CLOSE_BANDS = 3.0
PAPER_PROFILE = "paper"


@dataclass(frozen=True)
class Cell:
    """One published number, our score for it where there is one, and the verdict.

    difference: ours minus published, in the unit of the cell; None where the units differ or nothing was run.
    """

    table: PublishedTable
    published: PublishedCell
    verdict: Verdict
    reason: str
    score: Score | None = None
    record: Record | None = None
    difference: float | None = None


@dataclass(frozen=True)
class MeasureTable:
    """Scores of one run on one data origin that no published table holds, under the notebook's name for their table."""

    name: str
    data: str
    record: Record
    scores: tuple[Score, ...]

    @property
    def rows(self) -> list[str]:
        """Row names in the order of the notebook."""
        return unique(score.row for score in self.scores)

    @property
    def columns(self) -> list[str]:
        """Column names in the order of the notebook."""
        return unique(score.column for score in self.scores)


def compare(paper: str, records: Iterable[Record]) -> list[Cell]:
    """Every published cell of the paper with its verdict, by the rules of this module.

    records: of any papers; those of other papers are passed over.
    Raises SpecError for an unknown paper.
    """
    mine = _of_paper(paper, records)
    return [_judge(table, cell, mine) for table in load_tables(paper) for cell in table.cells]


def measures(paper: str, records: Iterable[Record]) -> list[MeasureTable]:
    """The paper's scores that no published table holds, one table per run, table name and data."""
    places = {(table.name, cell.row, cell.column) for table in load_tables(paper) for cell in table.cells}
    found = []
    for record in sorted(_of_paper(paper, records), key=lambda record: record.notebook):
        extra = [score for score in record.scores if (score.table, score.row, score.column) not in places]
        for name, data in dict.fromkeys((score.table, score.data) for score in extra):
            scores = tuple(score for score in extra if (score.table, score.data) == (name, data))
            found.append(MeasureTable(name, data, record, scores))
    return found


def _of_paper(paper: str, records: Iterable[Record]) -> list[Record]:
    mine = [record for record in records if record.paper == paper]
    newest_first = sorted(mine, key=lambda record: record.started, reverse=True)
    return sorted(newest_first, key=lambda record: bool(record.changed))


def _judge(table: PublishedTable, cell: PublishedCell, records: Sequence[Record]) -> Cell:
    place = (table.name, cell.row, cell.column)
    held = [
        (score, record, objections(table, cell, score, record))
        for record in records
        for score in record.scores
        if (score.table, score.row, score.column) == place
    ]
    if not held:
        return Cell(table, cell, "not run", _why_not_run(table, cell))
    score, record, against = next((entry for entry in held if not entry[2]), held[0])
    difference = score.value - cell.value if score.unit == cell.unit else None
    if against:
        return Cell(table, cell, "not comparable", "; ".join(against), score, record, difference)
    verdict, reason = verdict_of(cell, score.value)
    return Cell(table, cell, verdict, reason, score, record, difference)


def _why_not_run(table: PublishedTable, cell: PublishedCell) -> str:
    if not table.is_own(cell.row):
        return "a method that the paper compares with, listed for context; this project does not implement it"
    return f"no record holds this cell; it needs {table.needs}"


def objections(table: PublishedTable, cell: PublishedCell, score: Score, record: Record) -> list[str]:
    """Why a score may not be set against the published cell; empty when it may."""
    against = [*_data_objections(table, score, record)]
    weights = table.weights_of(cell.row)
    if not _same(score.weights, weights):
        against.append(f"weights are {score.weights or 'none'}, the paper used {weights or 'none'}")
    if record.profile != PAPER_PROFILE:
        against.append(f"run at profile {record.profile}, the paper's sizes are profile {PAPER_PROFILE}")
    if score.unit != cell.unit:
        against.append(f"unit is {score.unit!r}, the paper's is {cell.unit!r}")
    if not _same(score.protocol, cell.protocol):
        against.append(f"protocol is {score.protocol!r}, the cell's is {cell.protocol!r}")
    if cell.unit in TIMING_UNITS:
        machine = machine_of(record)
        if not table.hardware or table.hardware.casefold() not in machine.casefold():
            against.append(f"timed on {machine}, the paper on {table.hardware or 'a machine it does not name'}")
    return against


def _data_objections(table: PublishedTable, score: Score, record: Record) -> list[str]:
    origin = next((origin for origin in record.origins if origin.name == score.data), None)
    wanted = ", ".join(table.data) or "data it does not name"
    if origin is None:
        return [f"the record does not say where its data {score.data!r} come from"]
    if origin.kind != "benchmark":
        return [f"measured on {origin.kind} data ({origin.name}), the paper on {wanted}"]
    if not any(_same(origin.name, name) for name in table.data):
        return [f"measured on {origin.name}, the paper on {wanted}"]
    return []


def machine_of(record: Record) -> str:
    """The GPU that a run used, else its processor."""
    return record.hardware.gpu or record.hardware.cpu


def verdict_of(cell: PublishedCell, value: float) -> tuple[Verdict, str]:
    """Verdict and reason for a comparable value, by the distance rule of this module."""
    if not math.isfinite(value):
        return "off", f"the score is not a finite number: {value}"
    difference = value - cell.value
    distance = abs(difference)
    if cell.relation == "above":
        distance = max(0.0, -difference)
    elif cell.relation in ("below", "at most"):
        distance = max(0.0, difference)
    bands = distance / cell.band
    # a hair of slack, so that 0.3 away with a band of 0.3 is inside in binary arithmetic too
    verdict: Verdict = "match" if bands <= 1 + 1e-9 else "close" if bands <= CLOSE_BANDS + 1e-9 else "off"
    side = {"higher": difference > 0, "lower": difference < 0}.get(cell.better)
    quality = "" if side is None or not difference else " (better)" if side else " (worse)"
    words = {"match": "within the band", "close": "within three bands", "off": "beyond three bands"}[verdict]
    return verdict, f"{difference:+.4g}{_unit(cell.unit)} from published{quality}, {words} of {cell.band:g}"


def _unit(unit: str) -> str:
    # a difference of percentages is in points, "+1 %" would read as relative
    return {"1": "", "%": " points"}.get(unit, f" {unit}")


def _same(first: str, second: str) -> bool:
    return " ".join(first.casefold().split()) == " ".join(second.casefold().split())
