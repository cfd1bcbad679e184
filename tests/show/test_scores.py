"""Scores over seeds: means, tables and record entries."""

import pytest

from lib.metrics.measure import Measure
from lib.show.scores import by_seed, column_of, label_of, mean_of, mean_scores, score_entries, score_table

MEASURES = {
    "gain": Measure("gain", "dB", "higher", 99.0, "over the input"),
    "noise": Measure("noise", "1", "lower", 0.0, "robust"),
}


def test_a_column_names_unit_and_better_side():
    assert column_of(MEASURES["gain"]) == "gain (dB) ↑"
    assert column_of(MEASURES["noise"]) == "noise ↓"
    assert label_of(MEASURES["noise"]) == "noise"


def test_seeds_become_lists_and_means():
    scores = by_seed({"ours": [{"gain": 1.0, "noise": 2.0}, {"gain": 3.0, "noise": 4.0}]})
    assert scores == {"ours": {"gain": [1.0, 3.0], "noise": [2.0, 4.0]}}
    assert mean_of(scores, "ours", "gain") == 2
    assert mean_scores([{"gain": 1.0, "noise": 2.0}, {"gain": 3.0}]) == {"gain": 2.0}


def test_the_best_gets_a_star_and_the_unranked_none():
    scores = {"ours": {"gain": [1.0]}, "input": {"gain": [5.0]}, "other": {"gain": [0.5]}}
    shown = score_table(scores, MEASURES, ["gain", "noise"], digits={"dB": 1, "1": 2}, unranked=["input"])
    assert shown.columns == ("", "gain (dB) ↑")
    assert [row[1] for row in shown.rows] == ["1.0*", "5.0", "0.5"]


def test_an_entry_holds_the_mean_and_its_interval():
    many, one = score_entries({"a": {"gain": [1.0, 3.0]}, "b": {"noise": [2.0]}}, MEASURES, table="t", data="d")
    assert (many["row"], many["column"], many["value"], many["unit"]) == ("a", "gain", 2.0, "dB")
    assert many["interval"] == pytest.approx((2 - 12.706, 2 + 12.706), abs=1e-2)  # Student's t, one degree of freedom
    assert one["interval"] is None
    assert one["protocol"] == "robust"
