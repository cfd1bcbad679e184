"""Tables in five formats: the same cells in each, nothing lost, nothing broken by odd signs."""

import csv
import io
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lib.bench.published import list_papers, load_tables
from lib.bench.record import OriginEntry, Record, Score
from lib.bench.tables import Entry, grids, render
from lib.errors import SpecError

DAVIS = OriginEntry("DAVIS-2016", "benchmark", "CC BY-NC 4.0", "ab", "the data set's own site")
CLIP = OriginEntry("a & b <clip>", "sample", "BSD", "cd", "a package")


@pytest.fixture
def run(record: Record) -> Record:
    """One comparable score of FODVid's table 4, one measure of ours with an odd name."""
    table = next(table for table in load_tables("fodvid") if table.name == "table_4")
    cell = table.cells[0]
    comparable = Score(
        *(
            "table_4",
            cell.row,
            cell.column,
            77.0,
            "%",
            "higher",
            cell.protocol,
            "DAVIS-2016",
            table.weights_of(cell.row),
        ),
        interval=(76.5, 77.5),
    )
    own = Score("seam_energy", "ours | 50% & <b>", "energy_x", 0.012345, "1", "lower", "mean_over border", CLIP.name)
    return replace(record, notebook="fodvid/3_table", profile="paper", origins=[DAVIS, CLIP], scores=[comparable, own])


class Cells(HTMLParser):
    """Counts table cells and keeps the text; fails on a tag that is closed out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.count = 0
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack.append(tag)
        self.count += tag == "td"

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("paper", ["zero_tig", "context_fusion", "fodvid", "ir_tracking", "context_reg"])
@pytest.mark.parametrize("format", ["text", "markdown", "latex", "csv", "html"])
def test_every_published_number_is_in_every_format(paper: str, format: str) -> None:
    drawn = render(paper, format, runs=[])
    for table in load_tables(paper):
        assert all(cell.printed in drawn for cell in table.cells)
    assert "not run" in drawn.casefold()


def test_csv_has_one_line_per_number_with_everything(run: Record) -> None:
    lines = list(csv.DictReader(io.StringIO(render("fodvid", "csv", runs=[run]))))
    assert len(lines) == 44 + 1
    (ours,) = [line for line in lines if line["verdict"] == "match"]
    assert (ours["published"], ours["ours"], ours["low"], ours["high"]) == ("76.76", "77", "76.5", "77.5")
    assert (ours["difference"], ours["band"], ours["notebook"], ours["seed"]) == ("0.24", "1", "fodvid/3_table", "0")
    assert lines[-1]["row"] == "ours | 50% & <b>"
    assert (lines[-1]["verdict"], lines[-1]["published"]) == ("", "")
    assert lines[-1]["note"] == "our own measure, no published value"


def test_csv_covers_all_papers_cells() -> None:
    assert sum(render(paper, "csv", runs=[]).count("\n") - 1 for paper in list_papers()) == 164


def test_text_shows_published_ours_interval_and_verdict(run: Record) -> None:
    drawn = render("fodvid", "text", runs=[run])
    assert "76.76 → 77.00 [76.50, 77.50] (match)" in drawn
    assert "[1 match, 5 not run]" in drawn
    assert "Match (GMFlow graph cut): +0.24 points from published (better), within the band of 1." in drawn
    assert "A measure of this project, without a published value; not a reproduction." in drawn
    flat = " ".join(drawn.split())
    assert "Measured on a & b <clip> (sample data, BSD) by fodvid/3_table, profile paper, seed 0" in flat
    assert all(line == line.rstrip() for line in drawn.splitlines())


def test_text_columns_are_aligned() -> None:
    lines = render("zero_tig", "text", runs=[]).splitlines()
    head = next(line for line in lines if "PSNR HM" in line)
    row = next(line for line in lines if line.startswith("Zero-TIG "))
    assert head.index("PSNR HM (dB)") == row.index("28.052")
    assert head.index("LPIPS HM") == row.index("0.368")


def test_markdown_escapes_what_would_break_a_table(run: Record) -> None:
    drawn = render("fodvid", "markdown", runs=[run])
    assert r"| ours \| 50% & \<b> | 0.01235 |" in drawn
    rows = [line for line in drawn.splitlines() if line.startswith("| GMFlow")]
    assert rows == [
        "| GMFlow | 76.76 → 77.00 [76.50, 77.50] (match) | 77.94 (not run) | 76.89 (not run) |",
    ]


def test_latex_escapes_and_uses_booktabs(run: Record) -> None:
    drawn = render("fodvid", "latex", runs=[run])
    assert r"ours | 50\% \& $<$b$>$ & 0.01235 \\" in drawn
    assert r" & energy\_x $\downarrow$ \\" in drawn
    assert drawn.count(r"\toprule") == drawn.count(r"\bottomrule") == drawn.count(r"\begin{table}") == 6
    for sign in "≈≤→↑↓\N{EN DASH}‡†":
        assert sign not in drawn


def test_html_is_well_formed_and_escaped(run: Record) -> None:
    parser = Cells()
    parser.feed(render("fodvid", "html", runs=[run]))
    assert parser.stack == []
    # an empty corner per table, 44 published places and 1 of ours; the tables of FODVid have no gaps
    assert parser.count == 6 + 44 + 1
    assert "ours | 50% & <b>" in parser.text


def test_absent_cell_of_the_paper_is_a_dash_not_a_verdict() -> None:
    (grid,) = grids("zero_tig", [])
    entries = dict(grid.rows)["BVI-CDM"]
    assert entries[1] is None
    assert entries[0] == Entry("30.51", verdict="not run")
    assert grid.counts == {"not run": 42}


def test_hedged_numbers_keep_their_hedge() -> None:
    drawn = render("ir_tracking", "text", runs=[])
    for said in ("> 0.9", "≈ 90", "≤ 30", "< 60", "> 70"):
        assert f"{said} (not run)" in drawn


def test_heads_name_unit_and_direction() -> None:
    (grid,) = grids("zero_tig", [])
    assert grid.heads[0] == "PSNR (dB) ↑"
    assert grid.heads[-1] == "LPIPS HM ↓"


def test_small_score_keeps_two_significant_digits_beside_a_coarse_number(record: Record) -> None:
    cell = load_tables("context_fusion")[0].cells[0]
    score = Score("text", cell.row, cell.column, 0.0213, "s", "lower", cell.protocol, "scene")
    drawn = render("context_fusion", "text", runs=[replace(record, notebook="context_fusion/3_table", scores=[score])])
    assert "≈ 1 → 0.021 (not comparable)" in drawn


def test_reason_names_rows_or_single_places(run: Record) -> None:
    grid = next(grid for grid in grids("fodvid", [run]) if grid.name == "table_4")
    assert grid.notes[1].startswith("Not run (GMFlow refined and refined + CRF, ARFlow): no record holds this cell")


def test_unknown_format_and_paper_are_refused() -> None:
    with pytest.raises(SpecError, match="format must be one of text, markdown, latex, csv, html: got 'pdf'"):
        render("fodvid", "pdf")
    with pytest.raises(SpecError, match="paper must be one of"):
        render("nobody", "text")
