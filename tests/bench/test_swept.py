"""The sweeps that the store holds: found whether declared or not, with means, intervals and every cell's key."""

import csv
import io
from dataclasses import replace

import pytest

from lib.bench.layout import Entry, draw
from lib.bench.record import Score
from lib.bench.swept import found_sweeps
from lib.paths import paths

DECLARED = """\
about: What the threshold does
notebook: toy/1_method
axes: {threshold: [0.1, 0.3, 0.1], rule: [max, max, threshold]}
zip: [[threshold, rule]]
"""
PLAIN = {"profile": "smoke", "seed": 0, "device": "cpu", "threshold": 0.1, "is_fast": True, "sizes": [1, 2]}
PLAIN |= {"rule": "max", "data": ""}


@pytest.fixture
def put(toys, record):
    """Leaves the record of a cell: put(J, threshold=0.3, seed=1); `rows` are numbers of a table of several rows."""
    toys.write()
    count = iter(range(1000))

    def leave(value, *, rows=(), **changes):
        number = next(count)
        scores = [Score("cell", "this", "J", value, "%", "higher", "mean over frames", "scene")]
        scores += [Score("many", f"way {i}", "F", it, "1", "lower", "p", "scene") for i, it in enumerate(rows)]
        parameters = PLAIN | changes
        run = replace(
            record,
            key=f"{number:064x}"[::-1],
            parameters=parameters,
            seed=parameters["seed"],
            profile=parameters["profile"],
            changed=[name for name in changes if name not in ("profile", "data", "device")],
            scores=scores,
            started=f"2001-01-01T00:{number:02d}:00.000+00:00",
        )
        folder = paths().runs / run.notebook / run.key[:12]
        folder.mkdir(parents=True)
        run.save(folder / "record.json")
        return run

    return leave


@pytest.fixture
def declared(toys):
    """A declared sweep of three settings."""
    folder = toys.root / "toy" / "sweeps"
    folder.mkdir(parents=True)
    (folder / "table_9.yaml").write_text(DECLARED)


def test_a_declared_sweep_is_found_with_what_is_done_of_it(put, declared):
    put(10.0, threshold=0.3)
    put(30.0, threshold=0.3, seed=1)
    put(7.0, rule="threshold")
    put(1.0, threshold=0.2)  # not asked for
    put(20.0, threshold=0.3)  # newer than the first
    found, own = found_sweeps("toy")
    assert (found.title, found.sweep.about) == ("toy/table_9", "What the threshold does")
    assert (len(found.records), found.total, found.seeds) == (3, 6, [0, 1])
    (grid,) = found.grids
    assert grid.heads == ("J (%) ↑",)
    # half of Student's 95 % interval of two values ten apart: 12.706 * 7.071 / sqrt(2)
    assert grid.rows == (
        ("threshold 0.3, rule max", (Entry(ours="25", interval="[-38.53, 88.53]"),)),
        ("threshold 0.1, rule threshold", (Entry(ours="7"),)),
    )
    assert "95 % interval (Student's t) over 2 seeds" in grid.notes[0]
    assert own.title == "threshold of toy/1_method"


def test_no_run_of_a_declared_sweep_no_sweep(put, declared):
    put(1.0, profile="teach")
    assert found_sweeps("toy") == []


def test_runs_with_changed_parameters_are_a_sweep_of_their_own_with_the_plain_run(put):
    plain = put(1.0)
    put(2.0, threshold=0.2)
    put(3.0, threshold=0.2, sizes=[12])
    put(4.0, threshold=0.2, sizes=[3])
    put(5.0, is_fast=False)
    fast, both = found_sweeps("toy")
    assert [it.title for it in (fast, both)] == ["is_fast of toy/1_method", "sizes and threshold of toy/1_method"]
    assert [row for row, _ in both.grids[0].rows] == [
        "sizes [1, 2], threshold 0.1",
        "sizes [1, 2], threshold 0.2",
        "sizes [3], threshold 0.2",
        "sizes [12], threshold 0.2",
    ]
    assert plain.key in {it.key for it in fast.records}
    assert len({grid.id for it in (both, fast) for grid in it.grids}) == 2


def test_seeds_alone_are_a_sweep_of_one_setting(put):
    for seed in range(3):
        put(1.0 + seed, seed=seed)
    (found,) = found_sweeps("toy")
    assert (found.title, found.grids[0].rows[0][0]) == ("seed of toy/1_method", "as the profile has it")
    assert found.grids[0].rows[0][1][0].ours == "2"


def test_other_data_and_profiles_stand_apart(put):
    for values in ({}, {"data": "mine.png"}, {"profile": "teach"}):
        put(1.0, threshold=0.2, **values)
        put(2.0, threshold=0.3, **values)
    assert [len(it.records) for it in found_sweeps("toy")] == [2, 2, 2]


def test_what_all_settings_share_is_said_once_and_not_in_each_row(put):
    for threshold in (0.2, 0.3):
        put(1.0, threshold=threshold, rule="threshold")
    (found,) = found_sweeps("toy")
    assert (found.title, found.fixed) == ("threshold of toy/1_method", "rule threshold")
    assert [row for row, _ in found.grids[0].rows] == ["threshold 0.2", "threshold 0.3"]
    assert found.grids[0].caption == "toy/1_method, profile smoke, rule threshold, on scene."
    assert found.grids[0].notes[0] == "A sweep of this project; not a reproduction."


def test_one_run_is_no_sweep(put):
    put(1.0, threshold=0.2)
    assert found_sweeps("toy") == []


def test_a_table_of_several_rows_keeps_what_moves(put):
    put(1.0, threshold=0.2, rows=[0.5, 0.25])
    put(1.0, threshold=0.3, rows=[0.5, 0.75])
    (found,) = found_sweeps("toy")
    _, many = found.grids
    assert many.rows == (
        ("threshold 0.2: way 1", (Entry(ours="0.25"),)),
        ("threshold 0.3: way 1", (Entry(ours="0.75"),)),
    )
    assert many.notes[1] == "Rows that are the same at every setting are left out."


def test_the_csv_has_the_axes_and_the_keys_of_all_seeds(put):
    kept = [put(1.0, threshold=0.2), put(3.0, threshold=0.2, seed=1), put(5.0, threshold=0.3)]
    (found,) = found_sweeps("toy")
    first, second = csv.DictReader(io.StringIO(draw("", found.grids, "csv")))
    assert (first["threshold"], first["seeds"], first["column"], first["ours"]) == ("0.2", "2", "J", "2")
    assert first["key"].split() == [kept[0].key, kept[1].key]
    assert (second["ours"], second["low"], second["protocol"]) == ("5", "", "mean over frames")


def test_cells_of_two_states_of_the_source_are_counted(put, record):
    put(1.0, threshold=0.2)
    put(2.0, threshold=0.3)
    (found,) = found_sweeps("toy")
    assert found.num_sources == 1
    other = replace(found.records[0], code=replace(record.code, lib_sha256="another"))
    assert replace(found, records=(*found.records, other)).num_sources == 2
