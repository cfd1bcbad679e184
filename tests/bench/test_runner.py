import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lib.bench import provenance, records, run
from lib.bench.catalogue import find_notebook
from lib.bench.plan import make_plan
from lib.bench.record import Record
from lib.bench.runner import _host, clean_leftovers, publish
from lib.errors import SpecError
from lib.paths import paths

SCORES = """\
import sys, os
from types import SimpleNamespace
run.add_origin(SimpleNamespace(name="scene", kind="simulated", licence="MIT", sha256="", source="made here"))
run.add_score(table="t", row="r", column="c", value=threshold, unit="dB", better="higher", protocol="p", data="scene")
print(sys.executable, os.getcwd(), os.environ["NOCTURNE_RUN_DIR"], sep="\\n")
"""
FIGURE = """\
from matplotlib.figure import Figure
figure = Figure()
run.add_figure("line", figure, "A line")
memory = bytearray(300 * 2**20)
del memory
"""
FINISH = "run.finish()"


def refuse_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any kernel that starts from here on is an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr("lib.bench.kernel.execute", refuse)


def test_a_run_leaves_a_whole_folder_and_a_second_one_does_nothing(toys, monkeypatch, tmp_path, capfd):
    notebook = toys.write("1_method", SCORES, FIGURE, FINISH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCTURNE_NOTEBOOKS", toys.root.name)
    monkeypatch.setenv("NOCTURNE_OUT", "out")
    # a kernel that the user installed under the same name must not be taken
    decoy = tmp_path / "jupyter" / "kernels" / "python3"
    decoy.mkdir(parents=True)
    (decoy / "kernel.json").write_text(json.dumps({"argv": ["false"], "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))

    first = run("toy/1_method", threshold=1)

    assert (first.cached, first.reason) == (False, "first run of this profile")
    assert first.folder == paths().runs / "toy" / "1_method" / first.record.key[:12]
    left = sorted(file.relative_to(first.folder).as_posix() for file in first.folder.rglob("*") if file.is_file())
    assert left == ["figures/line.png", "notebook.ipynb", "record.json"]
    assert [folder.name for folder in first.folder.parent.iterdir()] == [first.folder.name]
    record = Record.load(first.folder / "record.json")
    assert record == first.record
    assert record.scores[0].value == 1.0
    assert record.parameters["threshold"] == 1.0
    assert (record.device, record.seed, record.profile) == ("cpu", 0, "smoke")
    assert record.wall_time_s > 0
    assert 300 < record.peak_memory_mib < 3000
    assert record.code.lib_sha256 == "the same source"
    executed = json.loads((first.folder / "notebook.ipynb").read_text())
    printed = next("".join(it["text"]) for cell in executed["cells"] for it in cell.get("outputs", []) if "text" in it)
    python, folder, run_folder = printed.splitlines()
    assert python == sys.executable
    assert folder == str(notebook.path.parent)
    assert Path(run_folder).parent == first.folder.parent
    assert str(tmp_path) not in json.dumps(executed["metadata"])
    assert capfd.readouterr() == ("", "")

    refuse_kernels(monkeypatch)
    second = run("toy/1_method", threshold=1.0)
    assert second.cached
    assert second.reason == f"cached: nothing that matters changed since the run of {record.started}"
    assert second.record == record
    assert records("toy") == [record]


def planned(**parameters):

    return make_plan(find_notebook("toy/1_method"), profile="smoke", parameters=parameters)


def pretend_run(plan, record) -> None:
    """Leave a record of the plan without running it."""
    plan.folder.mkdir(parents=True)
    replace(record, key=plan.key, key_parts=plan.key_parts).save(plan.folder / "record.json")


def test_the_reason_names_each_thing_that_changed(toys, monkeypatch, tmp_path, record):
    picture = tmp_path / "picture.txt"
    picture.write_text("a")
    toys.write("1_method", "x = 1")
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "2.11"})
    pretend_run(planned(data=str(picture)), record)
    assert planned(data=str(picture)).cached()

    moved = tmp_path / "moved.txt"
    moved.write_text("a")
    assert planned(data=str(moved)).cached(), "the content counts, not the place"

    moved.write_text("b")
    plan = planned(data=str(moved))
    assert plan.cached() is None
    assert plan.reason_to_run() == "changed since the last record: content of data"

    plan = planned(data=str(picture), threshold=0.5)
    assert plan.reason_to_run() == "changed since the last record: parameter threshold 0.1 -> 0.5"

    toys.write("1_method", "x = 2")
    monkeypatch.setattr(provenance, "lib_sha256", lambda: "new")
    monkeypatch.setattr(provenance, "versions", lambda: {"torch": "3.0"})
    plan = planned(data=str(picture))
    assert plan.cached() is None
    assert plan.reason_to_run() == (
        "changed since the last record: notebook source, lib source, version of torch 2.11 -> 3.0"
    )


def test_a_damaged_record_is_not_taken(toys, record):
    toys.write()
    plan = planned()
    pretend_run(plan, record)
    (plan.folder / "record.json").write_text("{")
    assert plan.cached() is None


def test_a_gpu_counts_unless_the_cpu_was_asked_for(toys, monkeypatch):
    toys.write()
    keys = {}
    for gpu in ("", "a gpu"):
        monkeypatch.setattr(provenance, "gpu_model", lambda gpu=gpu: gpu)
        for device in ("cpu", "auto"):
            keys[gpu, device] = planned(device=device).key
    assert keys["", "cpu"] == keys["a gpu", "cpu"]
    assert keys["", "auto"] != keys["a gpu", "auto"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"notebook": "toy/1_methd"},
        {"notebook": "toy/1_method", "profile": "smok"},
        {"notebook": "toy/1_method", "treshold": 0.1},
        {"notebook": "toy/1_method", "threshold": "0.1"},
        {"notebook": "toy/1_method", "threshold": 7.0},
    ],
)
def test_a_wrong_request_never_starts_a_kernel_and_leaves_nothing(toys, monkeypatch, arguments):
    toys.write()
    refuse_kernels(monkeypatch)
    with pytest.raises(SpecError):
        run(**arguments)
    assert not paths().runs.exists()


def test_publishing_takes_the_place_of_an_older_folder(tmp_path):
    old, new = tmp_path / "key", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    (old / "other").write_text("")
    publish(new, old)
    assert [(file.name, file.read_text()) for file in old.iterdir()] == [("file", "new")]
    assert list(tmp_path.iterdir()) == [old]


def test_folders_of_dead_processes_are_removed_and_of_living_ones_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [
        f".partial-{dead.pid}-aaaa-{_host()}",
        f".partial-{os.getpid()}-aaaa-{_host()}",
        f".partial-{dead.pid}-aaaa-another-machine",
        "0123456789ab",
    ]
    for name in names:
        (tmp_path / name).mkdir()
    clean_leftovers(tmp_path)
    assert {folder.name for folder in tmp_path.iterdir()} == set(names[1:])


def test_plain_papermill_takes_the_notebook_and_its_profile(toys, tmp_path):
    notebook = toys.write("1_method", "run.finish()", profiles={"teach": "profile: teach\nthreshold: 0.5\n"})
    plain = tmp_path / "plain"  # papermill itself takes the braces of the other folder for fields
    notebook.path.parent.parent.rename(plain)
    command = [sys.executable, "-m", "papermill", "1_method.ipynb", str(tmp_path / "out.ipynb")]
    done = subprocess.run(
        [*command, "-f", "profiles/1_method.teach.yaml"],
        cwd=plain / "toy",
        env=os.environ | {"NOCTURNE_NOTEBOOKS": str(plain)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    noted = json.loads((paths().runs / "toy" / "1_method" / "interactive" / "notebook.json").read_text())
    assert (noted["parameters"]["profile"], noted["parameters"]["threshold"]) == ("teach", 0.5)
