from dataclasses import replace

import pytest

from lib.bench.differences import compare_runs, find_record, what_changed
from lib.bench.record import Code, Hardware, OriginEntry, Score
from lib.errors import SpecError
from lib.paths import paths


def run_of(record, key, *, seed=0, tau=0.1, value=1.0, lib="1", **changes):
    """A run at a seed and a tau with one score that is better when higher, and one that never moves."""
    scores = [
        Score("t", "ours", "PSNR", value, "dB", "higher", "p", "scene"),
        Score("t", "ours", "still", 5.0, "1", "none", "p", "scene"),
    ]
    parts = {"lib source": lib, "parameter": {"seed": seed, "tau": tau}, "version of": {"torch": "2.11"}}
    code = Code("c0ffee0000", False, lib, "2")
    given = {"scores": scores, "key_parts": parts, "code": code, "parameters": parts["parameter"], **changes}
    return replace(record, key=key * 64, seed=seed, **given)


def test_one_pair_shows_what_changed_and_the_difference(record):
    before, after = run_of(record, "a"), run_of(record, "b", tau=0.3, value=3.0)
    found = compare_runs(before, after, runs=[before, after])
    assert found.changes == ("parameter tau 0.1 -> 0.3",)
    psnr, still = found.scores
    assert (psnr.before, psnr.after, psnr.change.mean, psnr.change.verdict) == (1.0, 3.0, 2.0, "too few seeds")
    assert still.change.mean == 0.0
    assert found.seeds == (0,)


def test_siblings_at_the_same_seeds_are_paired(record):
    """Seeds differ by a hundred, the change by a tenth: only pairs can show it."""
    left = [run_of(record, "abc"[seed], seed=seed, value=100.0 * seed) for seed in range(3)]
    gained = {0: 1.0, 1: 1.1, 2: 0.9, 5: 0.0}
    right = [run_of(record, "d", seed=seed, tau=0.3, value=100.0 * seed + more) for seed, more in gained.items()]
    found = compare_runs(left[1], right[2], runs=[*left, *right])
    assert found.seeds == (0, 1, 2)
    assert found.changes == ("parameter seed 1 -> 2", "parameter tau 0.1 -> 0.3")
    assert found.scores[0].change.mean == pytest.approx(1.0)
    assert found.scores[0].change.verdict == "better"
    assert (found.scores[0].before, found.scores[0].after) == (100.0, pytest.approx(101.0))


def test_runs_of_another_source_are_no_siblings(record):
    left = [run_of(record, "a", value=1.0), run_of(record, "b", seed=1, lib="old", value=9.0)]
    right = [run_of(record, "c", tau=0.3, value=2.0), run_of(record, "d", tau=0.3, seed=1, value=9.0)]
    assert compare_runs(left[0], right[0], runs=[*left, *right]).seeds == (0,)


@pytest.mark.parametrize("tau", [0.1, 0.3])
def test_runs_without_a_common_seed_are_the_one_pair(record, tau):
    before, after = run_of(record, "a"), run_of(record, "b", seed=4, tau=tau, value=2.0)
    found = compare_runs(before, after, runs=[before, after])
    assert found.seeds == ()
    assert found.scores[0].change.mean == 1.0


def test_source_data_versions_and_machine_are_named(record):
    before = run_of(record, "a")
    origins = [OriginEntry("scene", "simulated", "MIT", "cd", ""), OriginEntry("more", "sample", "MIT", "", "")]
    parts = before.key_parts | {"lib source": "new", "version of": {"torch": "3.0"}}
    after = run_of(
        record,
        "b",
        lib="new",
        key_parts=parts,
        origins=origins,
        device="cuda",
        hardware=Hardware("b cpu", 2, 8.0, "H100"),
    )
    assert what_changed(before, after) == [
        "lib source",
        "version of torch 2.11 -> 3.0",
        "data now 'more'",
        "content of 'scene'",
        "device cpu -> cuda",
        "processor a cpu -> b cpu",
        "gpu in use none -> H100",
    ]
    assert what_changed(before, before) == []


def test_commits_are_named_where_the_source_differs(record):
    before, after = run_of(record, "a"), run_of(record, "b", lib="new")
    after = replace(after, code=replace(after.code, git_commit="decaf00000", git_dirty=True))
    assert "commit c0ffee0000 -> decaf00000 (with uncommitted changes)" in what_changed(before, after)


def test_scores_of_one_side_only_are_counted(record):
    before = run_of(record, "a")
    after = run_of(record, "b", tau=0.3, scores=[Score("new", "r", "c", 1.0, "dB", "higher", "p", "scene")])
    found = compare_runs(before, after, runs=[before, after])
    assert (found.scores, found.only_before, found.only_after) == ((), 2, 1)


def test_cells_of_a_sweep_are_compared_by_what_they_measured(record):
    """Table and row of a cell name its setting; a column with several numbers a run measures nothing of the whole."""

    def cell(key, tau, value):
        rows = [("a", f"tau {tau}", value), ("published", f"row {tau}", value)]
        scores = [Score(table, row, "J", number, "%", "higher", "p", "scene") for table, row, number in rows]
        scores += [Score(f"b {tau}", str(number), "many", number, "1", "none", "p", "scene") for number in (1.0, 2.0)]
        return run_of(record, key, tau=tau, scores=scores)

    before, after = cell("a", 0.1, 50.0), cell("b", 0.3, 53.0)
    (moved,) = compare_runs(before, after, runs=[before, after]).scores
    assert (moved.score.table, moved.score.column, moved.before, moved.after) == ("the whole run", "J", 50.0, 53.0)


def test_a_run_is_found_by_the_beginning_of_its_key(record):
    runs = [run_of(record, "a"), run_of(record, "b")]
    assert find_record("aaa", runs=runs) is runs[0]
    assert find_record("runs/toy/1_method/bbbbbbbbbbbb", runs=runs) is runs[1]
    with pytest.raises(SpecError, match="no run 'c'; `nocturne runs` lists the keys"):
        find_record("c", runs=runs)
    with pytest.raises(SpecError, match="no run ''"):
        find_record("", runs=runs)
    same = [run_of(record, "a"), replace(runs[0], key="a" * 20 + "b" * 44)]
    with pytest.raises(SpecError, match="the beginning of several runs"):
        find_record("aa", runs=same)


def test_the_command_shows_what_moved(toys, record, nocturne):
    for run in (run_of(record, "a"), run_of(record, "b", tau=0.3, value=3.25)):
        folder = paths().runs / run.notebook / run.key[:12]
        folder.mkdir(parents=True)
        run.save(folder / "record.json")
    said = nocturne("diff", "a", "b")
    assert said.out.splitlines() == [
        "changed: parameter tau 0.1 -> 0.3",
        "scores: 2 in both, paired over seeds 0",
        "table  row   column  before  after    change  95 % interval  verdict",
        "t      ours  PSNR    1 dB    3.25 dB  +2.25   -              too few seeds",
        "1 did not move",
    ]
    assert nocturne("diff", "a", "c").err == "nocturne: no run 'c'; `nocturne runs` lists the keys\n"
