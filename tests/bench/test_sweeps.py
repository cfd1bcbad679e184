"""Sweeps as they are declared, planned and told; what runs them is replaced here and real in test_cluster."""

import contextlib
from dataclasses import replace

import pytest

from lib.bench import cluster
from lib.bench.catalogue import find_notebook
from lib.bench.cluster import Outcome
from lib.bench.plan import make_plan, make_plans
from lib.bench.record import all_records
from lib.bench.sweeps import Progress, estimate_s, find_sweep, list_sweeps, run_plans, sweep
from lib.errors import LabError, SpecError, Unavailable

DECLARED = """\
about: how the threshold matters
notebook: toy/1_method
axes:
  threshold: "0:0.2:0.1"
  rule: [max, threshold]
zip: []
seeds: 2
"""


@pytest.fixture
def declare(toys):
    """Writes a sweep file of the paper `toy`, and its notebook."""
    toys.write("1_method", profiles={"teach": "profile: teach\nthreshold: 0.5\n"})
    folder = toys.root / "toy" / "sweeps"
    folder.mkdir()
    return lambda text, name="table_1": (folder / f"{name}.yaml").write_text(text)


def save(plan, record, **changes):
    """Leave a record of the plan without running it."""
    plan.folder.mkdir(parents=True)
    made = replace(
        record, key=plan.key, key_parts=plan.key_parts, parameters=plan.values, changed=plan.changed, **changes
    )
    made.save(plan.folder / "record.json")


@pytest.fixture
def done(monkeypatch, record):
    """Cells carried out in this process without a kernel; one whose threshold is in `fails` fails."""
    fails, ran = set(), []

    def outcomes(client, plans, *, force=False):
        for plan in plans:
            ran.append(plan)
            if plan.values["threshold"] in fails:
                yield plan, Outcome(plan.key, 1.0, error="toy/1_method failed: told to")
            else:
                save(plan, record)
                yield plan, Outcome(plan.key, 2.0, "first run of this profile")

    monkeypatch.setattr(cluster, "outcomes", outcomes)
    monkeypatch.setattr(cluster, "local_cluster", lambda workers, wants_gpu: contextlib.nullcontext())
    monkeypatch.setattr(cluster, "num_workers", lambda client: 2)
    outcomes.fails, outcomes.ran = fails, ran
    return outcomes


def test_a_declared_sweep_is_found_by_its_id_and_makes_its_cells(declare):
    declare(DECLARED)
    found = find_sweep("toy/table_1")
    assert (found.id, found.notebook, found.profile) == ("toy/table_1", "toy/1_method", "smoke")
    assert [tuple(cell.values()) for cell in found.cells()][:3] == [
        (0.0, "max", 0),
        (0.0, "max", 1),
        (0.0, "threshold", 0),
    ]
    assert len(found.plans()) == 12
    assert [one.id for one in list_sweeps()] == ["toy/table_1"]


def test_a_command_line_replaces_axes_and_adds_some(declare):
    declare(DECLARED)
    chosen = find_sweep("toy/table_1").but(profile="teach", axes={"rule": "max", "sizes": "[1],[2]"}, seeds=1)
    assert (chosen.profile, chosen.axes) == (
        "teach",
        {"threshold": [0.0, 0.1, 0.2], "rule": ["max"], "sizes": [[1], [2]], "seed": [0]},
    )
    assert chosen.label(chosen.plans()[1]) == "threshold 0.0, sizes [2]"


def test_a_notebook_is_a_sweep_of_one_cell(declare):
    bare = find_sweep("toy/1_method")
    assert bare.cells() == [{}]
    assert bare.label(bare.plans()[0]) == "the notebook as it is"


def test_cells_of_equal_key_are_planned_once(declare):
    zipped = find_sweep("toy/1_method").but(
        axes={"threshold": "0.1,0.2,0.1", "rule": "max,max,max"}, zips=[["threshold", "rule"]]
    )
    assert len(zipped.cells()) == 3
    assert [plan.values["threshold"] for plan in zipped.plans()] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("axes: {threshold: [0.1]}", "sweep toy/table_1 needs notebook and axes"),
        ("notebook: toy/1_method\naxes: {}\nworkers: 3", "may have about, notebook, profile, axes, zip, seeds"),
        ("notebook: toy/2_method\naxes: {}", "no notebook 'toy/2_method'"),
        (
            "notebook: toy/1_method\naxes: {treshold: [1]}",
            "sweep toy/table_1: toy/1_method has no parameter 'treshold'",
        ),
        ("notebook: toy/1_method\naxes: {threshold: [7]}", r"threshold must lie within 0\.\.1: got 7"),
        ("notebook: toy/1_method\naxes: {profile: [smoke]}", "profile is chosen by its own argument"),
        ("notebook: toy/1_method\naxes: {}\nseeds: 0", "seeds must be a whole number from 1 on: got 0"),
        ("a: [", "sweep toy/table_1 is not YAML"),
    ],
)
def test_a_file_of_another_form_is_refused_with_its_reason(declare, text, said):
    declare(text)
    with pytest.raises(SpecError, match=said):
        find_sweep("toy/table_1")


def test_names_that_are_neither_sweep_nor_notebook_get_the_nearest(declare):
    declare(DECLARED)
    with pytest.raises(SpecError, match="no declared sweep and no notebook 'toy/table_2'; nearest: toy/table_1"):
        find_sweep("toy/table_2")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "threshold=0:2:1"], "threshold must lie within 0..1: got 2.0"),
        (["-p", "treshold=1"], "toy/1_method has no parameter 'treshold'; nearest: threshold"),
        (["-p", "threshold=0.1", "--zip", "threshold,rule"], "--zip names 'rule', which is no axis of this sweep"),
        (["-p", "seed=1,2", "--seeds", "2"], "give --seeds or -p seed=..., not both"),
        (["--profile", "smok"], "toy/1_method has no profile 'smok'; nearest: smoke"),
        (["-p", "threshold"], "-p takes name=value: got 'threshold'"),
    ],
)
def test_a_wrong_request_stops_before_anything_starts(declare, done, nocturne, arguments, said):
    answer = nocturne("sweep", "toy/1_method", *arguments)
    assert answer.code == 2
    assert answer.err.startswith(f"nocturne: {said}")
    assert done.ran == []


def test_a_dry_run_shows_cells_and_time_and_runs_nothing(declare, done, nocturne, record):
    (first, *_) = find_sweep("toy/1_method").but(axes={"threshold": "0.2,0.3"}).plans()
    save(first, record, wall_time_s=30.0)
    arguments = ["-p", "threshold=0.2,0.3,0.4", "--workers", "2", "--dry-run"]
    assert nocturne("sweep", "toy/1_method", *arguments).out.splitlines() == [
        "done    threshold 0.2",
        "to run  threshold 0.3",
        "to run  threshold 0.4",
        "toy/1_method at smoke: 3 cells of toy/1_method, 1 done before, 2 to run on 2 workers: about 30 s",
    ]
    assert done.ran == []


def test_a_failing_cell_stops_no_other_and_is_told_at_the_end(declare, done, nocturne):
    done.fails.add(0.1)
    answer = nocturne("sweep", "toy/1_method", "-p", "threshold=0:0.3:0.1", "--workers", "2")
    assert answer.code == 1
    head, *cells = answer.out.splitlines()
    assert head.endswith("0 done before, 4 to run on 2 workers: no run yet to tell the time from")
    assert cells[:5] == [
        "[1/4] threshold 0.0: 2.0 s, about 4 s left",
        "[2/4] threshold 0.1: failed, about 2 s left",
        "[3/4] threshold 0.2: 2.0 s, about 2 s left",
        "[4/4] threshold 0.3: 2.0 s",
        "3 of 4 cells done, 1 failed",
    ]
    assert [line.split() for line in cells[5:9]] == [
        ["threshold", "c", "(dB)"],
        *([it, "1.5"] for it in ("0.0", "0.2", "0.3")),
    ]
    assert answer.err == "nocturne: threshold 0.1: toy/1_method failed: told to\n"

    done.fails.clear()
    done.ran.clear()
    again = nocturne("sweep", "toy/1_method", "-p", "threshold=0:0.3:0.1", "--workers", "2")
    assert (again.code, [plan.values["threshold"] for plan in done.ran]) == (0, [0.1])
    third = nocturne("sweep", "toy/1_method", "-p", "threshold=0:0.3:0.1")
    assert third.out.startswith("toy/1_method at smoke: 4 cells of toy/1_method, all done before\n")


def test_from_python_a_sweep_gives_the_records_in_the_order_of_the_cells(declare, done):
    found = sweep("toy/1_method", axes={"threshold": "0.3,0.1"}, seeds=2, workers=2)
    assert [(it.parameters["threshold"], it.parameters["seed"]) for it in found] == [
        (0.3, 0),
        (0.3, 1),
        (0.1, 0),
        (0.1, 1),
    ]
    assert [it.changed for it in found] == [["threshold"], ["seed", "threshold"], [], ["seed"]]
    done.fails.add(0.7)
    with pytest.raises(LabError, match="1 of 1 cells failed: toy/1_method failed: told to"):
        sweep("toy/1_method", axes={"threshold": "0.7"})


def test_all_notebooks_run_on_workers_too(declare, done, nocturne, toys):
    toys.write("2_more")
    answer = nocturne("run", "--all", "--workers", "2")
    assert (answer.code, answer.out.splitlines()[-1]) == (0, "2 of 2 cells done, 0 failed")
    assert {plan.notebook.id for plan in done.ran} == {"toy/1_method", "toy/2_more"}


def test_the_time_is_that_of_the_nearest_runs(toys, record):
    notebook = toys.write()
    plans = make_plans(notebook, profile="smoke", cells=[{"threshold": value} for value in (0.2, 0.3, 0.4)])

    def known(seconds, **values):
        made = make_plan(notebook, profile="smoke", parameters=values)
        return replace(record, parameters=made.values, wall_time_s=seconds)

    assert estimate_s(plans, workers=2, records=[]) is None
    assert estimate_s(plans, workers=3, records=[known(10.0)]) == 10.0
    assert estimate_s(plans, workers=1, records=[known(10.0, threshold=0.9, seed=5), known(2.0)]) == 6.0
    assert estimate_s([], workers=1, records=[]) == 0.0


def test_progress_counts_what_is_left_and_how_long():
    progress = Progress(total=10, workers=2, cached=3)
    assert (progress.done, progress.left, progress.running, progress.left_s()) == (3, 7, 2, None)
    progress.durations += [4.0, 6.0]
    progress.failed["key"] = "cause"
    assert (progress.done, progress.left, progress.running, progress.left_s()) == (5, 4, 2, 10.0)


def test_nothing_to_do_starts_no_cluster(declare, done, monkeypatch, record):
    plan = make_plan(find_notebook("toy/1_method"), profile="smoke", parameters={})
    save(plan, record)
    monkeypatch.setattr(cluster, "local_cluster", None)
    assert run_plans([plan], workers=2).done == 1


def test_a_sweep_does_not_take_the_place_of_a_profile_s_run(declare, done, record):
    from lib.bench.record import records, swept_records

    plan = make_plan(find_notebook("toy/1_method"), profile="smoke", parameters={})
    save(plan, record)
    sweep("toy/1_method", axes={"threshold": "0.3,0.4"})
    assert [it.parameters["threshold"] for it in records()] == [0.1]
    assert sorted(it.parameters["threshold"] for it in swept_records()) == [0.3, 0.4]
    assert len(all_records()) == 3


def test_jobs_of_another_source_are_refused(declare, monkeypatch):
    plan = make_plan(find_notebook("toy/1_method"), profile="smoke", parameters={})
    job = cluster.job_of(plan)
    stale = replace(job, sources=job.sources | {"lib source": "older"})
    outcome = cluster.carry_out(stale)
    assert outcome.error == "the lib source changed after the start; start again"


def test_workers_are_one_a_gpu_else_one_a_core(monkeypatch):
    monkeypatch.setattr(cluster, "usable_cores", lambda: 4)
    monkeypatch.setattr(cluster, "MEMORY_PER_WORKER_GIB", 1e-6)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-abc")
    assert cluster.default_workers(9, wants_gpu=True) == 2
    assert cluster.default_workers(1, wants_gpu=True) == 1
    assert cluster.default_workers(9, wants_gpu=False) == 4
    with pytest.raises(SpecError, match="each worker takes a GPU of its own: got 3 workers for 2"):
        cluster.local_cluster(3, wants_gpu=True).__enter__()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert cluster.default_workers(9, wants_gpu=True) == 4


def test_a_scheduler_that_goes_away_is_passed_on(declare, done, monkeypatch, nocturne):
    def gone(client, plans, *, force=False):
        raise Unavailable("the scheduler went away; what is complete is kept, and the same call goes on")
        yield

    monkeypatch.setattr(cluster, "outcomes", gone)
    answer = nocturne("sweep", "toy/1_method", "--workers", "1")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith("nocturne: the scheduler went away")


def test_a_cell_that_kills_every_worker_is_given_up_with_the_usual_cause(declare):
    from distributed import KilledWorker

    class Future:
        def result(self):
            raise KilledWorker("nocturne-key", None, 3)

    outcome = cluster._outcome(Future(), make_plan(find_notebook("toy/1_method"), profile="smoke", parameters={}))
    assert outcome.error == "toy/1_method: its worker died 4 times, the usual cause being too little memory"


def test_an_error_that_nobody_expected_fails_its_cell_only(declare, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("first line\nsecond line")

    job = cluster.job_of(make_plan(find_notebook("toy/1_method"), profile="smoke", parameters={}))
    monkeypatch.setattr(cluster, "run_plan", broken)
    assert cluster.carry_out(job).error == "RuntimeError: first line second line"
