"""The papers' own numbers: read from `data/papers`, checked, never typed anywhere else.

`data/papers/<paper>/paper.yaml` says what the paper is and, per table, what a reproduction needs; `<table>.csv` beside
it holds the cells: row, column, value, unit, better, band, relation, protocol, note. A cell that the paper leaves empty
has no line. `relation` is `equal`, or how the text hedges a number: about, above, below, at most.

The band of a cell (absolute, in its unit) is the difference up to which a score counts as a match. `match_band` is
the rule that fills it:

* at least half a unit of the last printed digit, because the paper rounded there;
* dB: 0.3, the spread of retrained enhancement networks;
* unit "1" (SSIM, LPIPS, overlap): 0.01;
* % and points (J, accuracies, IU): 1.0, by which known variants of the same protocol differ;
* times and rates (s, ms, frame/s): a tenth of the value, the spread of a machine under light load.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml

from lib.bench.record import BENCH
from lib.errors import DataMissing, SpecError
from lib.paths import paths

Better = Literal["higher", "lower", "none"]
Relation = Literal["equal", "about", "above", "below", "at most"]

COLUMNS = ("row", "column", "value", "unit", "better", "band", "relation", "protocol", "note")
TIMING_UNITS = ("s", "ms", "frame/s")
UNIT_BANDS = {"dB": 0.3, "1": 0.01, "%": 1.0, "points": 1.0}
TIMING_BAND = 0.1  # of the value
EVERY_ROW = "*"


@dataclass(frozen=True)
class PublishedCell:
    """One number of a paper: `value` to compute with, `printed` with the digits of the paper."""

    row: str
    column: str
    value: float
    printed: str
    unit: str
    better: Better
    band: float
    relation: Relation
    protocol: str
    note: str


@dataclass(frozen=True)
class PublishedTable:
    """One table of a paper and what a reproduction of it needs.

    data: names of the benchmark data sets that the table is measured on.
    weights: pretrained weights by row ("*" for every row); a row without an entry takes none.
    hardware: the machine of the paper's timings, as the paper names it.
    own_rows: rows of methods that this project implements ("*" for all); the others are listed for context.
    needs: one phrase for people, what must be there to fill the table.
    """

    paper: str
    name: str
    title: str
    caption: str
    cells: tuple[PublishedCell, ...]
    data: tuple[str, ...]
    weights: dict[str, str]
    hardware: str
    own_rows: tuple[str, ...]
    needs: str
    remarks: tuple[str, ...]

    @property
    def rows(self) -> list[str]:
        """Row names in the paper's order."""
        return unique(cell.row for cell in self.cells)

    @property
    def columns(self) -> list[str]:
        """Column names in the paper's order: that of the fullest row, because a sparse one may skip some."""
        fullest = sorted(self.rows, key=lambda row: -sum(cell.row == row for cell in self.cells))
        return unique(cell.column for row in fullest for cell in self.cells if cell.row == row)

    def is_own(self, row: str) -> bool:
        """Whether this project implements the method of that row."""
        return EVERY_ROW in self.own_rows or row in self.own_rows

    def weights_of(self, row: str) -> str:
        """Pretrained weights that the row is measured with, "" for none."""
        return self.weights.get(row, self.weights.get(EVERY_ROW, ""))


@dataclass(frozen=True)
class Paper:
    """What a paper is, in its own terms; `number` is None for ACROSS, which is no paper."""

    name: str
    number: int | None
    title: str
    authors: tuple[str, ...]
    venue: str
    year: int | None
    about: str
    remarks: tuple[str, ...]


ACROSS = Paper(
    name=BENCH,
    number=None,
    title="Across the papers",
    authors=(),
    venue="",
    year=None,
    about="Notebooks that belong to no paper: what the five methods do together. Nothing here has a published number.",
    remarks=(),
)


def unique(names: Iterable[str]) -> list[str]:
    """Names without repeats, in order of first appearance."""
    return list(dict.fromkeys(names))


def match_band(printed: str, unit: str) -> float:
    """Difference up to which a score matches the printed value, by the rule of this module.

    Raises SpecError for a unit that the rule does not know.
    """
    decimals = len(printed.partition(".")[2])
    rounding = 0.5 * 10.0**-decimals
    if unit in TIMING_UNITS:
        return max(rounding, TIMING_BAND * abs(float(printed)))
    if unit not in UNIT_BANDS:
        raise SpecError(f"unit must be one of {', '.join([*UNIT_BANDS, *TIMING_UNITS])}: got {unit!r}")
    return max(rounding, UNIT_BANDS[unit])


def list_papers() -> list[str]:
    """Names of the papers under `data/papers`, in the order of their numbers."""
    found = [path.parent.name for path in paths().papers.glob("*/paper.yaml")]
    return sorted(found, key=lambda name: int(_read_facts(name)["number"]))


def load_paper(paper: str) -> Paper:
    """What `data/papers/<paper>/paper.yaml` says about the paper; ACROSS for "bench".

    Raises SpecError for a paper that is not there.
    """
    if paper == BENCH:
        return ACROSS
    facts = _read_facts(paper)
    return Paper(
        name=paper,
        number=int(facts["number"]),
        title=facts["title"],
        authors=tuple(facts.get("authors") or ()),
        venue=facts["venue"],
        year=facts["year"],
        about=facts["about"],
        remarks=tuple(facts.get("remarks") or ()),
    )


def load_tables(paper: str) -> list[PublishedTable]:
    """Every published table of a paper, in the paper's order; none for "bench".

    Raises SpecError for an unknown paper and for a file that breaks the form, DataMissing for an absent table file.
    """
    tables: list[PublishedTable] = []
    if paper == BENCH:
        return tables
    for name, facts in _read_facts(paper)["tables"].items():
        cells = _read_cells(paths().papers / paper / f"{name}.csv")
        tables.append(
            PublishedTable(
                paper=paper,
                name=name,
                title=facts["title"],
                caption=facts["caption"],
                cells=cells,
                data=tuple(facts.get("data") or ()),
                weights=dict(facts.get("weights") or {}),
                hardware=facts.get("hardware") or "",
                own_rows=tuple(facts["own_rows"]),
                needs=facts["needs"],
                remarks=tuple(facts.get("remarks") or ()),
            )
        )
    return tables


def _read_facts(paper: str) -> dict[str, Any]:
    path = paths().papers / paper / "paper.yaml"
    if not path.is_file():
        known = sorted(found.parent.name for found in paths().papers.glob("*/paper.yaml"))
        raise SpecError(f"paper must be one of {', '.join(known)}: got {paper!r}")
    facts: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return facts


def _read_cells(path: Path) -> tuple[PublishedCell, ...]:
    if not path.is_file():
        raise DataMissing(f"{path.name} is named by paper.yaml of {path.parent.name} but is not beside it")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise SpecError(f"{path.name} must have the columns {','.join(COLUMNS)}: got {reader.fieldnames}")
        cells = tuple(_read_cell(line, where=f"{path.name} line {reader.line_num}") for line in reader)
    places = [(cell.row, cell.column) for cell in cells]
    twice = next((place for place in places if places.count(place) > 1), None)
    if twice:
        raise SpecError(f"{path.name} holds the cell {twice[0]} / {twice[1]} twice; keep one")
    return cells


def _read_cell(line: dict[str, str], *, where: str) -> PublishedCell:
    for field, choices in (("better", get_args(Better)), ("relation", get_args(Relation))):
        if line[field] not in choices:
            raise SpecError(f"{where}: {field} must be one of {', '.join(choices)}: got {line[field]!r}")
    try:
        value, band = float(line["value"]), float(line["band"])
    except ValueError as error:
        raise SpecError(f"{where}: value and band must be numbers: {error}") from error
    least = match_band(line["value"], line["unit"])
    if not line["protocol"] or band < least * (1 - 1e-9):
        raise SpecError(f"{where}: a cell needs a protocol and a band of at least {least:g}: got {band:g}")
    return PublishedCell(
        row=line["row"],
        column=line["column"],
        value=value,
        printed=line["value"],
        unit=line["unit"],
        better=cast(Better, line["better"]),
        band=band,
        relation=cast(Relation, line["relation"]),
        protocol=line["protocol"],
        note=line["note"],
    )
