"""Verdicts: each rule by a case that it decides."""

from dataclasses import replace

import pytest

from lib.bench.compare import VERDICTS, Cell, compare, measures, verdict_of
from lib.bench.published import PublishedCell, PublishedTable, load_tables
from lib.bench.record import Hardware, OriginEntry, Record, Score
from lib.errors import SpecError

DAVIS = OriginEntry("DAVIS-2016", "benchmark", "CC BY-NC 4.0", "ab", "the data set's own site")


def published(paper: str = "fodvid", table: str = "table_4") -> PublishedTable:
    return next(found for found in load_tables(paper) if found.name == table)


def score_for(table: PublishedTable, cell: PublishedCell, value: float, **change: object) -> Score:
    """A score that is comparable with the cell in every respect, then changed."""
    data = table.data[0] if table.data else ""
    given: dict[str, object] = {
        **{"table": table.name, "row": cell.row, "column": cell.column, "value": value, "unit": cell.unit},
        **{"better": cell.better, "protocol": cell.protocol, "data": data, "weights": table.weights_of(cell.row)},
    }
    return Score(**(given | change))


@pytest.fixture
def run(record: Record) -> Record:
    """A record that may be compared: benchmark data, profile paper."""
    return replace(record, notebook="fodvid/3_table", profile="paper", origins=[DAVIS], scores=[])


def judged(run: Record, difference: float = 0.0, **change: object) -> Cell:
    """Verdict on the first cell of FODVid's table 4 (76.76 %, band 1)."""
    table = published()
    cell = table.cells[0]
    score = score_for(table, cell, cell.value + difference, **change)
    cells = compare("fodvid", [replace(run, scores=[score])])
    return next(found for found in cells if found.published == cell and found.table.name == "table_4")


def test_without_records_every_cell_is_not_run_and_says_what_is_missing() -> None:
    for paper in ("zero_tig", "context_fusion", "fodvid", "ir_tracking", "context_reg"):
        cells = compare(paper, [])
        assert {cell.verdict for cell in cells} == {"not run"}
        own = [cell for cell in cells if cell.table.is_own(cell.published.row)]
        assert own
        assert all(cell.reason == f"no record holds this cell; it needs {cell.table.needs}" for cell in own)
        assert all("listed for context" in cell.reason for cell in cells if cell not in own)
        assert all(cell.score is None and cell.difference is None for cell in cells)


@pytest.mark.parametrize(
    ("difference", "verdict", "said"),
    [
        (0.0, "match", "+0 points from published, within the band of 1"),
        (1.0, "match", "(better), within the band of 1"),
        (-1.0, "match", "(worse), within the band of 1"),
        (1.01, "close", "(better), within three bands"),
        (-3.0, "close", "(worse), within three bands"),
        (3.01, "off", "(better), beyond three bands"),
        (-40.0, "off", "-40 points from published (worse), beyond three bands"),
    ],
)
def test_verdict_by_distance_on_benchmark_data(run: Record, difference: float, verdict: str, said: str) -> None:
    cell = judged(run, difference)
    assert cell.verdict == verdict
    assert said in cell.reason
    assert cell.difference == pytest.approx(difference)


@pytest.mark.parametrize("kind", ["sample", "simulated"])
def test_sample_and_simulated_data_never_match(run: Record, kind: str) -> None:
    origin = OriginEntry("DAVIS-2016", kind, "MIT", "ab", "made here")
    cell = judged(replace(run, origins=[origin]))
    assert cell.verdict == "not comparable"
    assert cell.reason == f"measured on {kind} data (DAVIS-2016), the paper on DAVIS-2016"


def test_another_benchmark_is_not_comparable(run: Record) -> None:
    other = replace(DAVIS, name="FBMS-59")
    cell = judged(replace(run, origins=[other]), data="FBMS-59")
    assert (cell.verdict, cell.reason) == ("not comparable", "measured on FBMS-59, the paper on DAVIS-2016")


def test_score_without_origin_is_not_comparable(run: Record) -> None:
    cell = judged(replace(run, origins=[]))
    assert cell.verdict == "not comparable"
    assert "does not say where its data 'DAVIS-2016' come from" in cell.reason


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": ""}, "weights are none, the paper used DINO ViT-B/8, GMFlow"),
        ({"weights": "random"}, "weights are random, the paper used"),
        ({"protocol": "mean J, all frames"}, "protocol is 'mean J, all frames', the cell's is 'mean J over"),
        ({"unit": "1"}, "unit is '1', the paper's is '%'"),
    ],
)
def test_other_weights_protocol_or_unit_is_not_comparable(run: Record, change: dict[str, str], said: str) -> None:
    cell = judged(run, **change)
    assert cell.verdict == "not comparable"
    assert said in cell.reason


def test_difference_of_another_unit_is_not_computed(run: Record) -> None:
    assert judged(run, unit="1").difference is None


def test_profile_with_other_sizes_is_not_comparable(run: Record) -> None:
    cell = judged(replace(run, profile="smoke"))
    assert (cell.verdict, cell.reason) == (
        "not comparable",
        "run at profile smoke, the paper's sizes are profile paper",
    )


def test_every_objection_is_named(run: Record) -> None:
    cell = judged(replace(run, profile="smoke"), weights="random", protocol="other")
    assert cell.reason.count(";") == 2


def test_letter_case_and_spaces_of_protocol_do_not_matter(run: Record) -> None:
    protocol = published().cells[0].protocol
    assert judged(run, protocol=f"  {protocol.upper()} ").verdict == "match"


def test_timing_matches_on_the_papers_machine_only(run: Record) -> None:
    table = published("ir_tracking", "table_1")
    cell = table.cells[0]
    origin = replace(DAVIS, name="ILSVRC")
    base = replace(run, notebook="ir_tracking/3_table", origins=[origin], scores=[score_for(table, cell, 201.0)])
    there = replace(base, hardware=Hardware("a cpu", 4, 16.0, "NVIDIA GeForce GTX 980M"))
    assert compare("ir_tracking", [there])[0].verdict == "match"
    here = compare("ir_tracking", [base])[0]
    assert (here.verdict, here.reason) == ("not comparable", "timed on a cpu, the paper on GTX 980M")


def test_time_of_unnamed_hardware_and_data_never_matches(run: Record) -> None:
    table = published("context_fusion", "text")
    score = score_for(table, table.cells[0], 1.0, data="DAVIS-2016")
    cell = compare("context_fusion", [replace(run, notebook="context_fusion/3_table", scores=[score])])[0]
    assert cell.verdict == "not comparable"
    assert "the paper on data it does not name" in cell.reason
    assert "the paper on hardware of 2003, not named" in cell.reason


def test_newest_comparable_score_speaks_not_the_closest(run: Record) -> None:
    table = published()
    cell = table.cells[0]

    def at(started: str, difference: float, profile: str = "paper") -> Record:
        score = score_for(table, cell, cell.value + difference)
        return replace(run, started=f"2001-01-0{started}T00:00:00+00:00", profile=profile, scores=[score])

    runs = [at("1", 0.0), at("2", 2.0), at("3", 0.0, profile="smoke")]
    for order in (runs, runs[::-1]):
        found = next(judgement for judgement in compare("fodvid", order) if judgement.score)
        assert (found.verdict, found.difference) == ("close", pytest.approx(2.0))


def test_records_of_other_papers_are_passed_over(run: Record) -> None:
    table = published()
    score = score_for(table, table.cells[0], 76.76)
    assert {
        cell.verdict for cell in compare("fodvid", [replace(run, notebook="zero_tig/3_table", scores=[score])])
    } == {"not run"}


@pytest.mark.parametrize(
    ("relation", "value", "verdict"),
    [
        ("above", 0.97, "match"),
        ("above", 0.86, "match"),
        ("above", 0.80, "close"),
        ("above", 0.70, "off"),
        ("at most", 0.2, "match"),
        ("at most", 1.1, "off"),
        ("below", 1.0, "close"),
        ("about", 0.97, "close"),
    ],
)
def test_bounds_are_met_on_their_side(relation: str, value: float, verdict: str) -> None:
    cell = PublishedCell("r", "c", 0.9, "0.9", "1", "higher", 0.05, relation, "p", "")
    assert verdict_of(cell, value)[0] == verdict


def test_number_that_is_not_finite_is_off() -> None:
    cell = published().cells[0]
    assert verdict_of(cell, float("nan")) == ("off", "the score is not a finite number: nan")


def test_lower_is_better_for_distances() -> None:
    cell = next(cell for cell in load_tables("zero_tig")[0].cells if cell.better == "lower")
    assert "(better)" in verdict_of(cell, cell.value - 0.005)[1]


def test_distance_of_exactly_one_band_is_inside_in_binary_arithmetic() -> None:
    cell = load_tables("zero_tig")[0].cells[0]  # 30.51 dB, band 0.3
    assert cell.value + 0.3 - cell.value > 0.3
    assert verdict_of(cell, cell.value + 0.3)[0] == "match"


def test_measures_are_the_scores_without_a_published_place(run: Record) -> None:
    table = published()
    kept = score_for(table, table.cells[0], 76.0)
    seam = replace(kept, table="seams", row="ours", column="seam energy", unit="1")
    halo = replace(seam, column="halo")
    elsewhere = replace(seam, data="another clip")
    extra_row = replace(kept, row="our variant")
    (first, second, third) = measures("fodvid", [replace(run, scores=[kept, seam, halo, elsewhere, extra_row])])
    assert (first.name, first.data, first.columns, first.rows) == (
        *("seams", "DAVIS-2016"),
        *(["seam energy", "halo"], ["ours"]),
    )
    assert (second.name, second.data) == ("seams", "another clip")
    assert (third.name, third.rows) == ("table_4", ["our variant"])
    assert measures("fodvid", []) == []


def test_unknown_paper_is_refused() -> None:
    with pytest.raises(SpecError, match="paper must be one of"):
        compare("nobody", [])


def test_verdicts_are_the_five_of_the_contract() -> None:
    assert VERDICTS == ("match", "close", "off", "not comparable", "not run")
