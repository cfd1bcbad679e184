"""One setting at a time: axes, paired changes, and what counts as an effect."""

from dataclasses import dataclass

import pytest

from lib.metrics.measure import Measure
from lib.show.sweeps import (
    Sweep,
    axis_of,
    effects_table,
    floor_table,
    mean_change,
    numbers,
    run_sweep,
    sweep_entries,
    sweep_figure,
    sweep_table,
)

MEASURES = {name: Measure(name, "1", "higher", 1.0, "none") for name in ("double", "flat")}
DIGITS = {"1": 1}


@dataclass(frozen=True)
class Knobs:
    size: float = 2.0
    mode: str = "a"


@pytest.fixture
def sweep():
    axis = axis_of("size", Knobs(), numbers("size", (1.0, 2.0, 4.0), " px"), published="4 px")
    return run_sweep(
        axis, lambda knobs: [{"double": 2 * knobs.size + scene, "flat": scene} for scene in (0.0, 9.0, 4.0)]
    )


def test_the_default_is_the_label_that_equals_the_base():
    assert axis_of("mode", Knobs(), {"other": {"mode": "b"}, "plain": {}}).default == "plain"


def test_changes_are_paired_by_scene(sweep):
    assert sweep.axis.default == "2 px"
    assert sweep.scores["double"] == {"1 px": [2.0, 11.0, 6.0], "2 px": [4.0, 13.0, 8.0], "4 px": [8.0, 17.0, 12.0]}
    assert sweep.changes()["double"] == {"1 px": [-2.0] * 3, "2 px": [0.0] * 3, "4 px": [4.0] * 3}
    assert mean_change(sweep, "4 px", "double") == 4


def test_only_what_is_above_the_noise_floor_counts(sweep):
    quiet, loud = ({"double": level, "flat": 0.0} for level in (1.0, 5.0))
    rows = effects_table([sweep, sweep], [quiet, loud], MEASURES).rows
    assert rows == (("size", "+4.00", "."), ("size", ".", "."))
    assert floor_table({"here": quiet}, MEASURES).rows == (("here", "1.00", "0.00"),)


def test_two_scenes_can_not_show_an_effect(sweep):
    two = {name: {label: values[:2] for label, values in rows.items()} for name, rows in sweep.scores.items()}
    found = effects_table([Sweep(sweep.axis, two)], [{"double": 0.0, "flat": 0.0}], MEASURES)
    assert found.rows == (("size", ".", "."),)


def test_a_sweep_becomes_a_table_a_figure_and_entries(sweep):
    assert [row[0] for row in sweep_table(sweep, MEASURES, digits=DIGITS).rows] == ["1 px", "2 px", "4 px"]
    assert len(sweep_figure(sweep, MEASURES, {"double": 1.0, "flat": 0.0}).axes) == 2
    entries = sweep_entries(sweep, MEASURES, data="scenes")
    assert len(entries) == 6
    assert {entry["table"] for entry in entries} == {"ablation, size"}
