import json
import subprocess
import sys
from dataclasses import replace

import pytest

from lib.bench.prune import delete, find_waste
from lib.bench.record import all_records
from lib.bench.runner import _host
from lib.paths import paths


@pytest.fixture
def store(toys, record):
    """Four runs of one notebook: `a` and `b` at the same parameters, `c` and `d` at others; `b` is what tables show."""
    toys.write()
    made = {}
    for idx, (key, tau) in enumerate([("a", 0.1), ("b", 0.1), ("c", 0.2), ("d", 0.3)]):
        changed = [] if tau == 0.1 else ["tau"]
        started = f"200{idx}-01-01T00:00:00.000+00:00"
        run = replace(
            record,
            key=key * 64,
            parameters={"seed": 0, "tau": tau, "profile": "smoke"},
            started=started,
            changed=changed,
        )
        folder = paths().runs / run.notebook / run.key[:12]
        (folder / "figures").mkdir(parents=True)
        (folder / "figures" / "line.png").write_bytes(b"x" * 2**20)
        run.save(folder / "record.json")
        made[key] = folder
    return made


def keys() -> str:
    return "".join(sorted(record.key[0] for record in all_records()))


def test_what_a_newer_run_supersedes_may_go(store):
    (waste,) = find_waste()
    assert (waste.folder, waste.why) == (store["a"], "superseded by a newer run")
    assert waste.size_mib == pytest.approx(1, rel=0.01)


def test_failed_and_half_done_folders_may_go_and_living_ones_stay(store):
    home = store["a"].parent
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in ("failed", "failed-aaaaaaaaaaaa", f".partial-{dead.pid}-ab-{_host()}", ".partial-1-ab-elsewhere"):
        (home / name).mkdir()
    (home / "interactive").mkdir()
    assert [it.folder.name for it in find_waste()] == [
        f".partial-{dead.pid}-ab-{_host()}",
        "a" * 12,
        "failed",
        "failed-aaaaaaaaaaaa",
    ]


def test_an_expression_chooses_what_goes_but_not_what_tables_show(store):
    assert [it.folder for it in find_waste("tau < 0.25")] == [store["a"], store["c"]]


def test_what_a_report_or_a_notebook_names_stays(store, toys):
    paths().reports.mkdir(parents=True)
    (paths().reports / "index.html").write_text(f"<td><code>{'a' * 12}</code></td>")
    (toys.root / "toy" / "2_other.ipynb").write_text(json.dumps({"cells": [], "note": f"see run {'c' * 12}"}))
    assert find_waste() == []
    assert [it.folder for it in find_waste("tau > 0")] == [store["d"]]


def test_deleting_takes_whole_folders_and_says_how_much(store):
    assert delete(find_waste()) == pytest.approx(1, rel=0.01)
    assert keys() == "bcd"
    assert sorted(folder.name for folder in store["a"].parent.iterdir()) == ["b" * 12, "c" * 12, "d" * 12]


def test_a_run_that_was_made_again_meanwhile_stays(store, record):
    waste = find_waste()
    replace(waste[0].record, started="2009-01-01T00:00:00.000+00:00").save(store["a"] / "record.json")
    assert delete(waste) == 0
    assert keys() == "abcd"
    assert (store["a"] / "figures" / "line.png").is_file()


def test_what_is_gone_already_is_no_error(store):
    waste = find_waste()
    assert delete(waste) > 0
    assert delete(waste) == 0


def test_the_command_is_dry_unless_told(store, nocturne):
    said = nocturne("prune")
    first, last = said.out.splitlines()
    assert first.split(maxsplit=3)[2:] == ["toy/1_method/aaaaaaaaaaaa", " superseded by a newer run".strip()]
    assert last == f"1.0 MiB in 1 folders of {paths().runs} could go; delete them with --yes"
    assert keys() == "abcd"
    assert nocturne("prune", "--yes").out.splitlines()[-1] == "1.0 MiB freed"
    assert keys() == "bcd"
    assert nocturne("prune").out == "nothing to delete\n"
    assert nocturne("prune", "--where", "tua > 1").code == 2
