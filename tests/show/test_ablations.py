"""Interval tables and ablation panels."""

import pytest

from lib.errors import SpecError
from lib.show.ablations import ablation_plot, interval_table

ROWS = {"a": {"score": [1.0, 2.0, 3.0], "error": [5.0, 5.0, 5.0]}, "b": {"score": [4.0, 4.0, 4.0]}}
LOOK = {"digits": {"score": 1, "error": 0}, "better": {"score": "higher", "error": "lower"}}


def test_a_cell_is_mean_interval_and_a_star_for_the_best():
    lines = repr(interval_table(ROWS, **LOOK)).splitlines()
    assert lines[-2].split() == ["a", "2.0", "±", "2.5", "5", "±", "0*"]
    assert lines[-1].split() == ["b", "4.0", "±", "0.0*", "-"]


def test_unranked_rows_get_no_star_and_one_value_has_no_interval():
    lines = repr(interval_table({**ROWS, "c": {"score": [9.0]}}, **LOOK, unranked=["c"])).splitlines()
    assert lines[-1].split() == ["c", "9.0", "-"]
    assert "*" in lines[-2]


def test_no_direction_means_no_star():
    shown = repr(interval_table(ROWS, digits={"score": 1}, better={"score": "none"}))
    assert "*" not in shown


def test_one_panel_a_measure_with_floor_ring_and_direction():
    changes = {name: {"on": [0.0, 0.0, 0.0], "off": [1.0, 1.2, 0.8]} for name in ("x", "y", "z")}
    better = {"x": "higher", "y": "lower", "z": "none"}
    floor = dict.fromkeys(changes, 0.1)
    figure = ablation_plot(changes, noise_floor=floor, better=better, default="on", published="off", columns=2)
    assert [axes.get_title() or axes.get_title("left") for axes in figure.axes] == ["x", "y", "z"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["better →", "← better", ""]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["on (default)", "off"]
    assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1], "first setting on top"


def test_nothing_to_plot_is_refused():
    with pytest.raises(SpecError):
        ablation_plot({}, noise_floor={}, better={}, default="")


def test_settings_that_change_nothing_get_an_axis_that_can_be_read():
    changes = {"x": {"on": [0.0, 0.0], "off": [0.0, 1e-17]}, "y": {"on": [0.0, 0.0], "off": [1.0, 2.0]}}
    figure = ablation_plot(
        changes, noise_floor=dict.fromkeys(changes, 0.0), better=dict.fromkeys(changes, "higher"), default="on"
    )
    assert figure.axes[0].get_xlim() == (-1, 1)
    assert figure.axes[1].get_xlim()[1] > 1.5
