from dataclasses import replace

import pytest

from lib.bench.record import Score
from lib.bench.summary import summarise, summary_of, write_summary
from lib.bench.sweeps import find_sweep
from lib.paths import paths
from tests.bench.conftest import PARAMETERS


@pytest.fixture
def swept(toys, record):
    """A sweep of two thresholds and two rules at three seeds; J is threshold + seed / 10, and every run has a table of
    several rows besides."""
    toys.write()
    chosen = find_sweep("toy/1_method").but(axes={"threshold": "0.1,0.2,0.3", "rule": "max,threshold"}, seeds=3)
    plans = chosen.plans()
    for plan in plans:
        j = plan.values["threshold"] + plan.values["seed"] / 10
        scores = [
            Score("a", "this", "J", j, "%", "higher", "p", "scene"),
            Score("published", "row 7", "J", j, "%", "higher", "p", "scene"),
            Score("b", "one", "many", 1.0, "1", "none", "p", "scene"),
            Score("b", "two", "many", 2.0, "1", "none", "p", "scene"),
        ]
        made = {"key": plan.key, "parameters": plan.values, "changed": plan.changed, "scores": scores}
        plan.folder.mkdir(parents=True)
        replace(record, **made).save(plan.folder / "record.json")
    return chosen, plans


def test_seeds_become_a_mean_and_an_interval(swept):
    found = summarise(*swept)
    assert found.units == {"J": "%"}, "a column of several numbers a run is no measure of a cell"
    assert [row.values["J"] for row in found.rows[:2]] == [pytest.approx([0.1, 0.2, 0.3])] * 2
    head, first, *_ = found.table()
    assert head == ("threshold", "rule", "J (%)")
    # half of Student's 95 % interval of three values a tenth apart: 4.303 * 0.1 / sqrt(3)
    assert first == ("0.1", "max", "0.2 ± 0.248")


def test_cells_that_are_not_complete_are_left_out(swept):
    chosen, plans = swept
    (plans[0].folder / "record.json").unlink()
    found = summarise(chosen, plans)
    assert [len(row.values["J"]) for row in found.rows] == [2, 3, 3, 3, 3, 3]
    assert summarise(chosen, []).rows == ()


def test_the_files_are_a_table_and_a_curve_a_measure(swept):
    found = summarise(*swept)
    table, figure = write_summary(found)
    assert table == paths().reports / "sweeps" / "toy_1_method.csv"
    head, line, *rest = table.read_text().splitlines()
    assert head == "threshold,rule,measure,unit,mean,low,high,seeds"
    assert line.startswith("0.1,max,J,%,0.2,-0.0484")
    assert len(rest) == 5
    assert figure.read_bytes().startswith(b"\x89PNG")
    (drawn,) = found.figures("J")
    axes = drawn.axes[0]
    assert axes.get_xlabel() == "threshold"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rule max", "rule threshold"]


@pytest.mark.parametrize(
    ("axes", "zips", "over"),
    [
        ({"threshold": "0.1,0.2,0.3"}, [], ["threshold"]),
        ({"threshold": "0.1,0.2,0.3", "rule": "max,threshold"}, [], ["threshold"]),
        ({"threshold": "0.1,0.2"}, [], []),
        ({"rule": "max,threshold"}, [], []),
        ({"threshold": "0.1,0.2,0.3", "sizes": "[1],[2],[3]"}, [["threshold", "sizes"]], []),
        ({"seed": "1,2,3"}, [], []),
        # a grid is drawn over its first axis; one axis after the other over each
        ({"threshold": "0.1,0.2,0.3", "level": "1,2,3"}, [], ["threshold"]),
        ({"threshold": "0.1,0.2,0.3,0.1,0.1", "level": "1,1,1,2,3"}, [["threshold", "level"]], ["threshold", "level"]),
    ],
)
def test_curves_are_drawn_over_numbers_that_step_while_the_others_stand(toys, record, axes, zips, over):
    toys.write(parameters=PARAMETERS + "level: int = 1  # of the light\n")
    chosen = find_sweep("toy/1_method").but(axes=axes, zips=zips)
    records = [replace(record, parameters=plan.values) for plan in chosen.plans()]
    assert summary_of(chosen, records).curves() == over


def test_settings_without_a_curve_are_drawn_one_below_the_other(toys, record):
    toys.write()
    chosen = find_sweep("toy/1_method").but(axes={"rule": "max,threshold"})
    records = [replace(record, parameters=plan.values) for plan in chosen.plans()]
    (drawn,) = summary_of(chosen, records).figures("c")
    assert [text.get_text() for text in drawn.axes[0].get_yticklabels()] == ["rule max", "rule threshold"]
    assert summary_of(chosen, records[:1]).figures("c") == []


def test_the_command_prints_the_table_and_the_files(swept, nocturne):
    said = nocturne("sweep", "toy/1_method", "-p", "threshold=0.1,0.2,0.3", "-p", "rule=max,threshold", "--seeds", "3")
    lines = said.out.splitlines()
    assert lines[0].endswith("18 cells of toy/1_method, all done before")
    assert lines[1].split() == ["threshold", "rule", "J", "(%)"]
    assert lines[-2:] == [str(paths().reports / "sweeps" / f"toy_1_method{end}") for end in (".csv", "_1.png")]
