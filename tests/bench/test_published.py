"""The papers' numbers: complete, as printed, and well formed."""

import csv
import re
from pathlib import Path

import pytest

from lib.bench import published
from lib.bench.published import COLUMNS, list_papers, load_paper, load_tables, match_band
from lib.errors import DataMissing, SpecError
from lib.paths import Paths, paths

# (cells, sum of the values), added up by hand from the papers' tables
EXPECTED = {
    ("zero_tig", "table_1"): (42, 320.749),
    ("context_fusion", "text"): (1, 1.0),
    ("fodvid", "table_1"): (15, 1029.41),
    ("fodvid", "table_2"): (4, 299.04),
    ("fodvid", "table_3"): (18, 1226.66),
    ("fodvid", "table_4"): (6, 465.90),
    ("fodvid", "text"): (1, 9.88),
    ("ir_tracking", "table_1"): (15, 2586.0),
    ("ir_tracking", "text"): (12, 685.9),
    ("context_reg", "table_1"): (19, 859.1),
    ("context_reg", "table_2"): (11, 784.3),
    ("context_reg", "table_3"): (16, 558.4),
    ("context_reg", "text"): (4, 15.7),
}
SPOTS = [
    ("zero_tig", "table_1", "Zero-TIG", "PSNR", "19.340", "dB", "higher"),
    ("zero_tig", "table_1", "Zero-IG", "LPIPS HM", "0.370", "1", "lower"),
    ("zero_tig", "table_1", "BVI-Mamba", "SSIM", "0.912", "1", "higher"),
    ("context_fusion", "text", "Algorithm 2, video of 320x240", "time per frame", "1", "s", "lower"),
    ("fodvid", "table_1", "FODVid", "mean J", "78.71", "%", "higher"),
    ("fodvid", "table_2", "DINO ViT-B/16", "mean J", "74.08", "%", "higher"),
    ("fodvid", "table_3", "edge threshold 0.25", "mean J", "76.76", "%", "higher"),
    ("fodvid", "table_3", "image weight 0.2", "mean J", "35.22", "%", "higher"),
    ("fodvid", "table_4", "ARFlow", "refined + CRF", "77.57", "%", "higher"),
    ("ir_tracking", "table_1", "[10]", "ILSVRC", "182", "frame/s", "higher"),
    ("ir_tracking", "text", "proposed", "AOR", "0.9", "1", "higher"),
    ("context_reg", "table_1", "Gupta et al.", "frequency-weighted IU", "47", "%", "higher"),
    ("context_reg", "table_2", "FCN + context", "mean accuracy", "80.3", "%", "higher"),
    ("context_reg", "table_3", "SegNet HHA", "mean IU", "21.0", "%", "higher"),
]
SHEET_SECTIONS = {"zero_tig": "## 11.", "fodvid": "## 9.", "ir_tracking": "## 8.", "context_reg": "## 8."}


def test_all_five_papers_are_there_in_their_order() -> None:
    assert list_papers() == ["zero_tig", "context_fusion", "fodvid", "ir_tracking", "context_reg"]


def test_every_table_has_its_cells_and_their_sum() -> None:
    found = {
        (paper, table.name): (len(table.cells), round(sum(cell.value for cell in table.cells), 3))
        for paper in list_papers()
        for table in load_tables(paper)
    }
    assert found == EXPECTED


@pytest.mark.parametrize(("paper", "table", "row", "column", "printed", "unit", "better"), SPOTS)
def test_spot_value(paper: str, table: str, row: str, column: str, printed: str, unit: str, better: str) -> None:
    cells = next(found for found in load_tables(paper) if found.name == table).cells
    cell = next(cell for cell in cells if (cell.row, cell.column) == (row, column))
    assert (cell.printed, cell.unit, cell.better, cell.value) == (printed, unit, better, float(printed))


@pytest.mark.parametrize("paper", SHEET_SECTIONS)
def test_values_stand_in_the_fact_sheet_as_printed(paper: str, reference: Path) -> None:
    sheet = reference / "papers" / f"{paper}.md"
    if not sheet.is_file():
        pytest.skip(f"no fact sheet {sheet.name} in the reference material")
    section = sheet.read_text(encoding="utf-8").split(SHEET_SECTIONS[paper], 1)[1]
    there = set(re.findall(r"\d+(?:\.\d+)?", section))
    cells = [cell for table in load_tables(paper) if table.name != "text" for cell in table.cells]
    assert len(cells) > 10
    assert [cell for cell in cells if cell.printed not in there] == []


def test_every_file_belongs_to_a_table_and_every_table_says_what_it_needs() -> None:
    for paper in list_papers():
        tables = load_tables(paper)
        assert {path.stem for path in (paths().papers / paper).glob("*.csv")} == {table.name for table in tables}
        for table in tables:
            assert table.needs
            assert table.caption
            assert any(table.is_own(row) for row in table.rows)
            named = {*table.weights, *table.own_rows} - {"*"}
            assert named <= set(table.rows), f"{paper}/{table.name}"


def test_bands_follow_the_rule_in_every_file() -> None:
    cells = [cell for paper in list_papers() for table in load_tables(paper) for cell in table.cells]
    assert [cell for cell in cells if cell.band != pytest.approx(match_band(cell.printed, cell.unit))] == []
    assert all(cell.protocol for cell in cells)


@pytest.mark.parametrize(
    ("printed", "unit", "band"),
    [("19.340", "dB", 0.3), ("35", "dB", 0.5), ("0.9", "1", 0.05), ("0.370", "1", 0.01), ("201", "frame/s", 20.1)],
)
def test_match_band_is_rounding_or_the_band_of_the_unit(printed: str, unit: str, band: float) -> None:
    assert match_band(printed, unit) == pytest.approx(band)


def test_match_band_of_an_unknown_unit_names_the_known_ones() -> None:
    with pytest.raises(SpecError, match=r"dB.*frame/s: got 'parsec'"):
        match_band("1", "parsec")


def test_columns_follow_the_fullest_row() -> None:
    (table,) = load_tables("zero_tig")
    assert table.columns == ["PSNR", "PSNR HM", "SSIM", "SSIM HM", "LPIPS", "LPIPS HM"]


def test_weights_and_own_rows_know_the_star() -> None:
    table_3 = load_tables("fodvid")[2]
    assert table_3.weights_of("edge threshold 0.25") == "DINO ViT-B/8, GMFlow"
    assert table_3.is_own("image weight 0.7")
    (table_1,) = load_tables("zero_tig")
    assert table_1.weights_of("Zero-IG") == ""
    assert not table_1.is_own("RUAS")


def test_unknown_paper_is_answered_with_the_known_ones() -> None:
    for load in (load_paper, load_tables):
        with pytest.raises(SpecError, match=r"context_fusion.*got 'zerotig'"):
            load("zerotig")


GOOD = {
    **{"row": "a", "column": "b", "value": "1.5", "unit": "dB", "better": "higher", "band": "0.3"},
    **{"relation": "equal", "protocol": "p", "note": ""},
}


@pytest.fixture
def toy_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A paper of one table in a folder of its own; the fixture gives back the path of its CSV file."""
    folder = tmp_path / "toy"
    folder.mkdir()
    facts = "number: 0\ntitle: T\nvenue: V\nyear: 2000\nabout: A\ntables:\n  table_1:\n    title: T\n"
    (folder / "paper.yaml").write_text(facts + "    caption: C\n    own_rows: [a]\n    needs: N\n")
    places = paths()
    monkeypatch.setattr(published, "paths", lambda: Paths(**{**vars(places), "papers": tmp_path}))
    return folder / "table_1.csv"


def write(path: Path, *lines: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


def test_good_line_is_read(toy_paper: Path) -> None:
    write(toy_paper, GOOD)
    assert load_tables("toy")[0].cells[0].value == 1.5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"better": "up"}, r"line 2: better must be one of higher, lower, none: got 'up'"),
        ({"relation": "~"}, r"relation must be one of"),
        ({"value": "much"}, r"value and band must be numbers"),
        ({"band": "0.1"}, r"a band of at least 0.3: got 0.1"),
        ({"protocol": ""}, r"needs a protocol"),
        ({"unit": "furlong"}, r"unit must be one of"),
    ],
)
def test_bad_line_is_named(toy_paper: Path, change: dict[str, str], said: str) -> None:
    write(toy_paper, GOOD | change)
    with pytest.raises(SpecError, match=said):
        load_tables("toy")


def test_cell_given_twice_is_refused(toy_paper: Path) -> None:
    write(toy_paper, GOOD, GOOD)
    with pytest.raises(SpecError, match="holds the cell a / b twice"):
        load_tables("toy")


def test_other_columns_are_refused(toy_paper: Path) -> None:
    write(toy_paper, GOOD, columns=COLUMNS[:-1])
    with pytest.raises(SpecError, match="must have the columns row,column,value"):
        load_tables("toy")


def test_missing_file_is_named(toy_paper: Path) -> None:
    with pytest.raises(DataMissing, match=r"table_1.csv is named by paper.yaml of toy"):
        load_tables("toy")
