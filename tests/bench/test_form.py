"""The launch form: its logic, its widgets driven without a browser, and real runs of a small notebook behind it."""

import os
import shlex
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lib.bench.background import BackgroundRun
from lib.bench.catalogue import values_from_text
from lib.bench.console import split_pairs
from lib.bench.form import as_text, choices, fields, fill_in, first_values, hint, papers_with_notebooks
from lib.bench.launch import LaunchForm, table_of
from lib.bench.plan import make_plan
from lib.bench.record import home_of, records
from lib.bench.runner import new_partial
from lib.errors import SpecError
from lib.paths import paths

TEACH = {"teach": "profile: teach\nthreshold: 0.5\n"}
SCORES = """\
from types import SimpleNamespace
run.add_origin(SimpleNamespace(name="scene", kind="simulated", licence="MIT", sha256="", source="made here"))
run.add_score(table="t", row="r", column="c", value=threshold, unit="1", better="none", protocol="p", data="scene")
"""
END_S = 60


@pytest.fixture
def light(light_torch, monkeypatch):
    """Kernels need nothing of PyTorch here, so they do not wait for it."""
    monkeypatch.setenv("PYTHONPATH", str(light_torch))


@pytest.fixture
def form(toys):
    toys.write(profiles=TEACH)
    toys.write("2_other", parameters='profile: str = "smoke"\nseed: int = 7  # luck\ndevice: str = "cpu"  # where\n')
    toys.write("night_watch", paper="")
    return LaunchForm()


def left_behind() -> list[str]:
    return sorted(file.relative_to(paths().runs).as_posix() for file in paths().runs.rglob("*") if file.is_file())


def test_fields_say_what_they_take(toys):
    by_name = {it.name: it for it in fields(toys.write())}
    assert list(by_name) == ["seed", "device", "threshold", "is_fast", "sizes", "rule", "data"]
    assert hint(by_name["threshold"]) == "edge threshold (grey levels, 0..1)"
    assert hint(by_name["seed"]) == "of all randomness"
    assert hint(by_name["rule"]) == "importance rule"  # the list of choices says the rest
    assert choices(by_name["rule"]) == [("max", "max"), ("threshold", "threshold")]
    assert choices(by_name["sizes"]) == []
    assert [as_text(it) for it in (True, 0.1, [1, 2], "max")] == ["true", "0.1", "[1, 2]", "max"]


def test_what_the_profile_says_already_is_no_parameter(toys):
    notebook = toys.write(profiles=TEACH)
    shown = {name: as_text(value) for name, value in first_values(notebook, "teach").items()}
    assert shown["threshold"] == "0.5"
    filled = fill_in(notebook, "teach", shown | {"threshold": " 0.50 ", "is_fast": True})
    assert (filled.values, filled.wrong) == ({}, {})
    assert filled.command == "nocturne run toy/1_method --profile teach"


def test_every_wrong_field_has_the_sentence_of_the_schema(toys, tmp_path):
    held = {
        "threshold": "2",
        "seed": "1.5",
        "sizes": "[0]",
        "rule": "maxx",
        "device": "tpu",
        "data": str(tmp_path / "no"),
    }
    filled = fill_in(toys.write(), "smoke", held | {"is_fast": False})
    assert filled.values == {"is_fast": False}
    assert filled.wrong == {
        "threshold": "threshold must lie within 0..1: got 2.0",
        "seed": "seed must be int: got '1.5'",
        "sizes": "sizes must lie within 1..10: got 0",
        "rule": "rule must be one of max | threshold: got 'maxx'; nearest: max",
        "device": "device must be auto, cpu, cuda, cuda:N or mps: got 'tpu'",
        "data": f'data is no file or folder: got {str(tmp_path / "no")!r}; "" takes embedded data',
    }
    with pytest.raises(SpecError, match=r"toy/1_method can't run: .*0\.\.1"):
        BackgroundRun(filled)


@pytest.mark.parametrize("held", ["", "one", "nan", "1e999", "[1]"])
def test_a_number_that_is_none_is_said(toys, held):
    filled = fill_in(toys.write(), "smoke", {"threshold": held})
    assert list(filled.wrong) == ["threshold"]
    assert "\n" not in filled.wrong["threshold"]


def test_an_unknown_field_or_profile_is_an_error(toys):
    notebook = toys.write()
    with pytest.raises(SpecError, match="no parameter 'treshold'; nearest: threshold"):
        fill_in(notebook, "smoke", {"treshold": "1"})
    with pytest.raises(SpecError, match="no profile 'teech'"):
        fill_in(notebook, "teech", {})


def test_the_command_line_is_the_same_run(toys, tmp_path):
    notebook = toys.write(profiles=TEACH)
    folder = tmp_path / "my 'own' pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"a")
    filled = fill_in(notebook, "teach", {"data": str(folder), "sizes": "[3, 4]", "is_fast": False, "threshold": "1"})
    nocturne, run, notebook_id, *rest = shlex.split(filled.command)
    assert (nocturne, run, notebook_id, rest[:2]) == ("nocturne", "run", "toy/1_method", ["--profile", "teach"])
    typed = values_from_text(notebook, split_pairs([word for word in rest[2:] if word != "-p"]))
    plans = [make_plan(notebook, profile="teach", parameters=values) for values in (filled.values, typed)]
    assert plans[0].key == plans[1].key
    assert plans[0].values["data"] == str(folder)


def test_papers_come_in_their_order(toys):
    for paper in ("toy", "", "fodvid", "zero_tig"):
        toys.write(paper=paper)
    assert papers_with_notebooks() == ["zero_tig", "fodvid", "toy", "bench"]


def test_without_a_notebook_there_is_no_form(toys):
    with pytest.raises(SpecError, match="there is no notebook to run"):
        LaunchForm()


def test_choosing_changes_what_stands_below(form):
    assert form.paper.options == ("toy", "bench")
    assert [label for label, _ in form.notebook.options] == ["1_method", "2_other"]
    assert form.title.value == "<b>toy</b>: Toy 1_method"
    assert form.fields["threshold"].control.value == "0.1"
    form.profile.value = "teach"
    assert form.fields["threshold"].control.value == "0.5"
    assert "--profile teach" in form.command.value
    form.notebook.value = "toy/2_other"
    assert (form.profile.value, list(form.profile.options)) == ("smoke", ["smoke"])
    assert {name: field.control.value for name, field in form.fields.items()} == {"seed": "7", "device": "cpu"}
    assert [row.children[0].description for row in form.rows.children] == ["seed", "device"]
    form.paper.value = "bench"
    assert (form.notebook.value, form.title.value) == ("night_watch", "<b>Across the papers</b>: Toy night_watch")
    assert form.filled().command == "nocturne run night_watch"


def test_a_wrong_value_is_said_beside_its_field_and_nothing_runs(form):
    threshold = form.fields["threshold"]
    assert "edge threshold" in threshold.beside.value
    threshold.control.value = "high"
    assert "threshold must be float: got &#x27;high&#x27;" in threshold.beside.value
    assert "importance rule" in form.fields["rule"].beside.value
    assert (form.run_button.disabled, form.command.value) == (True, "")
    form.run_button.click()
    assert form.run is None
    threshold.control.value = "0.3"
    assert "edge threshold" in threshold.beside.value
    assert not form.run_button.disabled
    assert "-p threshold=0.3" in form.command.value


def test_a_profile_that_is_not_sound_is_said_and_nothing_runs(form, toys):
    (toys.root / "toy" / "profiles" / "1_method.teach.yaml").write_text("profile: teach\ndata: no/such\n")
    form.profile.value = "teach"
    assert "data is no file or folder: got &#x27;no/such&#x27;" in form.said.value
    form.run_button.click()
    assert (form.run, form.fields, form.rows.children) == (None, {}, ())
    form.profile.value = "smoke"
    assert (form.said.value, form.run_button.disabled) == ("", False)


def test_a_run_from_the_form_ends_in_a_record_and_the_papers_table(toys, light):
    toys.write("night_watch", SCORES, "run.finish()", paper="")
    form = LaunchForm()
    form.fields["threshold"].control.value = "0.75"
    form.run_button.click()
    assert (form.run_button.disabled, form.stop_button.disabled) == (True, False)
    assert form.run.wait(END_S)
    (record,) = records()
    assert (record.notebook, record.parameters["threshold"]) == ("night_watch", 0.75)
    assert "night_watch at smoke: " in form.said.value
    assert "first run of this profile" in form.said.value
    assert (form.progress.value, form.progress.max, form.run.num_cells) == (5, 5, 5)
    assert "0.75" in form.table.value
    assert "Across the papers" in form.table.value
    assert (form.run_button.disabled, form.stop_button.disabled) == (False, True)


def test_a_run_that_was_done_before_is_full_progress(form):
    said = "toy/1_method at smoke: cached: nothing that matters changed since then"
    form._follow(SimpleNamespace(filled=form.filled(), num_cells=0, total_cells=5, ending="done", said=said))
    assert (form.progress.value, form.progress.max, form.progress.bar_style) == (5, 5, "success")
    assert said in form.said.value


def test_a_paper_without_published_numbers_or_scores_is_said(toys):
    assert "No run of bench has noted a score." in table_of("bench")
    assert "No table to show: paper must be one of" in table_of("toy")


def test_a_run_that_fails_is_one_sentence(toys, light):
    toys.write("1_method", "1 / 0")
    form = LaunchForm()
    form.run_button.click()
    assert form.run.wait(END_S)
    assert form.run.said.startswith("toy/1_method failed: cell 4 raised ZeroDivisionError: division by zero; see ")
    assert form.run.said.count("\n") == 0
    assert form.progress.bar_style == "danger"
    assert not form.run_button.disabled
    assert records() == []


def test_stop_leaves_nothing_half_written_and_no_kernel(toys, light, tmp_path, until, is_gone):
    pid_file = tmp_path / "pid"
    toys.write("1_method", f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    form = LaunchForm()
    form.run_button.click()
    until(lambda: pid_file.exists() and pid_file.read_text())
    form.stop_button.click()
    assert "is being stopped" in form.said.value
    assert form.run.wait(END_S)
    assert form.run.ending == "stopped"
    assert "toy/1_method was interrupted; see " in form.said.value
    until(lambda: is_gone(int(pid_file.read_text())))
    assert left_behind() == ["toy/1_method/failed/error.txt", "toy/1_method/failed/notebook.ipynb"]
    assert (form.run_button.disabled, form.stop_button.disabled) == (False, True)


def test_a_process_that_is_killed_is_one_sentence_and_cleared_up(toys):
    run = BackgroundRun(fill_in(toys.write(), "smoke", {}))
    half_done = new_partial(home_of("toy/1_method"))
    half_done = half_done.with_name(half_done.name.replace(f"-{os.getpid()}-", f"-{run._process.pid}-"))
    half_done.mkdir(parents=True)
    run._process.kill()
    assert run.wait(END_S)
    assert run.said == "the process of toy/1_method ended (signal 9, the usual cause being too little memory)"
    assert (run.ending, half_done.exists()) == ("error", False)


def test_the_command_opens_the_first_page(toys, nocturne, monkeypatch):
    opened = []
    monkeypatch.setattr("jupyterlab.labapp.main", opened.append)
    said = nocturne("form")
    assert (said.code, said.err) == (2, "nocturne: no notebook 'start_here'; valid: none\n")
    page = toys.write("start_here", paper="")
    assert nocturne("form").code == 0
    assert opened == [[f"--ServerApp.root_dir={page.path.parent}", "--LabApp.default_url=/lab/tree/start_here.ipynb"]]


def test_the_form_needs_no_widgets_until_it_is_shown():

    code = (
        "import sys, lib.bench.launch, lib.bench.form; sys.exit('ipywidgets' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
