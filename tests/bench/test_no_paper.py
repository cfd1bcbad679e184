"""A notebook beside the papers' folders, which belongs to no paper: found, run, recorded, tabled and reported."""

import pytest

from lib.bench import open_run, provenance
from lib.bench.catalogue import find_notebook, list_notebooks
from lib.bench.plan import make_plan
from lib.bench.prune import find_waste
from lib.bench.published import load_tables
from lib.bench.record import BENCH, Record, home_of, paper_of, records
from lib.bench.report import write_report
from lib.bench.runner import run, run_plan
from lib.bench.sweeps import find_sweep
from lib.errors import LabError, SpecError
from lib.paths import paths

PARAMETERS = 'profile: str = "smoke"  # sizes\nseed: int = 0  # randomness\ndevice: str = "cpu"  # where to compute\n'
PARAMETERS += "gain: float = 1.0  # of the lamp, 1, 0..9\n"
SCORES = """\
from types import SimpleNamespace
run.add_origin(SimpleNamespace(name="yard", kind="simulated", licence="MIT", sha256="", source="made here"))
run.add_score(table="night", row="seen", column="J", value=gain, unit="1", better="higher", protocol="p", data="yard")
"""


@pytest.fixture
def watch(toys):
    """The notebook `night_watch` and one of a paper."""
    toys.write()
    return toys.write(
        "night_watch",
        SCORES,
        "run.finish()",
        paper="",
        parameters=PARAMETERS,
        profiles={"teach": "profile: teach\ngain: 2.0\n"},
    )


def test_its_id_is_its_name_and_its_paper_the_bench(watch):
    assert [it.id for it in list_notebooks()] == ["night_watch", "toy/1_method"]
    assert (watch.paper, watch.name, watch.profiles) == (BENCH, "night_watch", ["smoke", "teach"])
    assert watch.resolve("teach", {})["gain"] == 2.0
    assert make_plan(watch, profile="smoke", parameters={}).home == paths().runs / "bench" / "night_watch"
    assert (paper_of("toy/1_method"), home_of("toy/1_method")) == ("toy", paths().runs / "toy" / "1_method")


def test_it_is_found_by_id_or_by_file(watch, toys):
    for name in ("night_watch", "night_watch.ipynb", f"{toys.root.name}/night_watch.ipynb", str(watch.path)):
        assert find_notebook(name) == watch
    for wrong in ("toy/night_watch.ipynb", "bench/night_watch", "night_wach"):
        with pytest.raises(SpecError, match=f"no notebook '{wrong}'; nearest: .*night_watch"):
            find_notebook(wrong)


def test_its_run_is_recorded_tabled_reported_and_kept(watch, nocturne, monkeypatch):
    done = run("night_watch", gain=3)
    assert (done.cached, done.reason) == (False, "first run of this profile")
    assert done.folder == paths().runs / "bench" / "night_watch" / done.record.key[:12]
    assert run("night_watch", gain=3).cached
    record = Record.load(done.folder / "record.json")
    assert (record.notebook, record.paper) == ("night_watch", BENCH)
    assert records(BENCH) == records() == [record]
    assert find_waste() == []
    monkeypatch.setattr(provenance, "lib_sha256", lambda: "another source")
    assert make_plan(watch, profile="smoke", parameters={"gain": 3}).reason_to_run() == (
        "changed since the last record: lib source"
    )

    said = nocturne("table", "bench")
    assert (said.code, load_tables(BENCH)) == (0, [])
    assert said.out.startswith("Across the papers\n")
    assert "A measure of this project, without a published value" in said.out
    assert nocturne("runs", "--where", "paper == 'bench' and gain > 2").out.count("night_watch") == 1

    page = write_report()
    text = page.read_text(encoding="utf-8")
    assert text.index('id="context_reg"') < text.index('id="bench"')
    assert 'href="notebooks/night_watch.html"' in text
    assert "No paper" in text
    assert 'href="../index.html"' in (page.parent / "notebooks" / "night_watch.html").read_text(encoding="utf-8")


def test_its_failure_is_kept_and_shown_in_the_report(toys, monkeypatch):
    notebook = toys.write("night_watch", paper="", parameters=PARAMETERS)
    plan = make_plan(notebook, profile="smoke", parameters={})

    def fail(*_, **__):
        raise LabError("cell 4 raised ValueError: too dark")

    monkeypatch.setattr("lib.bench.kernel.execute", fail)
    with pytest.raises(LabError, match=r"night_watch failed: .*too dark"):
        run_plan(plan)
    assert (paths().runs / "bench" / "night_watch" / "failed" / "error.txt").is_file()
    text = write_report().read_text(encoding="utf-8")
    assert "Last run failed." in text
    assert "too dark" in text
    assert [waste.why for waste in find_waste()] == ["failed"]


def test_a_report_without_such_notebooks_has_no_such_chapter(toys):
    toys.write()
    assert 'id="bench"' not in write_report().read_text(encoding="utf-8")


def test_a_sweep_takes_it(watch):
    plans = find_sweep("night_watch").but(axes={"gain": "1,2"}).plans()
    assert [plan.values["gain"] for plan in plans] == [1.0, 2.0]


def test_in_jupyter_it_writes_beside_its_runs(watch):
    opened = open_run("night_watch", {"profile": "smoke", "seed": 0, "device": "cpu", "gain": 4})
    assert (opened.notebook, opened.folder) == ("night_watch", paths().runs / "bench" / "night_watch" / "interactive")
