"""Who helps whom: effects by hand, their verdicts and their table."""

import math

import pytest

from lib.night_watch.chain import BRIGHTENED, ENHANCED, ENHANCED_IN_DAY, NIGHT, NIGHT_IN_DAY
from lib.night_watch.effects import STEPS, TASKS, effect_entries, effect_table, effects, quality_floor
from lib.night_watch.measure import MEAN_OF_ALL, MEAN_OF_STILL, MEASURES


@pytest.fixture(scope="module")
def scores():
    """Three rooms of different hardness; each version adds the same to each of them, but for the last task."""
    base = [10.0, 20.0, 30.0]
    worth = {NIGHT: 0.0, BRIGHTENED: 1.0, ENHANCED: 5.0, NIGHT_IN_DAY: -3.0, ENHANCED_IN_DAY: 4.0}
    rows = {
        name: {measure: [one + gain for one in base] for measure in MEASURES if measure != "iu"}
        for name, gain in worth.items()
    }
    for row in rows.values():
        row["aor_without"] = [one - 2 for one in row["aor"]]
        row["iu"] = [40.0, 50.0, 60.0]
    rows[ENHANCED]["iu"] = [45.0, 48.0, 63.0]  # +5, -2, +3: nobody can tell
    rows[MEAN_OF_ALL], rows[MEAN_OF_STILL] = {"iu": [50.0, 60.0, 70.0]}, {"iu": [51.0, 61.0, 71.0]}
    return rows


def test_effects_by_hand(scores):
    found = {(one.step, one.task): one for one in effects(scores)}
    enhancement = found["enhancement", "j"]
    assert (enhancement.before, enhancement.after, enhancement.change.mean) == (20, 25, 5)
    assert enhancement.change.verdict == "better"
    fusion = found["fusion with the day", "aor"]
    assert (fusion.change.mean, fusion.change.verdict) == (-1, "worse")
    assert found["background filter", "aor"].change.mean == 2
    assert found["discovery", "iu"].change.mean == 1
    assert found["enhancement before fusion", "psnr"].change.mean == 7
    unclear = found["enhancement", "iu"].change
    assert (unclear.mean, unclear.verdict) == (2, "not shown")
    assert found["enhancement and fusion", "iu"].change.mean == 0


def test_table_has_a_row_a_step_and_words_where_an_effect_is_shown(scores):
    shown = effect_table(effects(scores))
    cells = {row[0]: row[1:] for row in shown.rows}
    assert list(cells) == [step.name for step in STEPS]
    assert len(shown.columns) == 1 + len(TASKS)
    assert cells["enhancement"][1] == "20.0 → 25.0 (+5.0 ± 0.0) helps"
    assert cells["fusion with the day"][2] == "25.00 → 24.00 (-1.00 ± 0.00) hurts"
    assert cells["enhancement"][3].startswith("50.0 → 52.0 (+2.0 ± ")
    assert not cells["enhancement"][3].endswith(("helps", "hurts"))
    assert cells["background filter"][:2] == ("-", "-")


def test_one_room_has_no_interval_and_no_verdict(scores):
    one_room = {row: {name: values[:1] for name, values in held.items()} for row, held in scores.items()}
    cells = {row[0]: row[1:] for row in effect_table(effects(one_room)).rows}
    assert cells["enhancement"][1] == "10.0 → 15.0 (+5.0)"


def test_entries_are_what_a_record_takes(scores):
    entries = effect_entries(effects(scores), data="watched room")
    assert len(entries) == sum(len(step.places) for step in STEPS)
    assert len({(one["row"], one["column"]) for one in entries}) == len(entries)
    assert all(math.isfinite(one["value"]) and all(map(math.isfinite, one["interval"])) for one in entries)


def test_quality_floor_by_hand(scores):
    found = list(quality_floor(scores).values())
    assert found == [False, False, True, False]  # 4 dB; J 24; AOR 25; 50 as at night
    better = {row: dict(held) for row, held in scores.items()}
    better[ENHANCED_IN_DAY] |= {"psnr": [40.0] * 3, "j": [51.0] * 3, "iu": [51.0] * 3}
    assert list(quality_floor(better).values()) == [True, True, True, True]
