import subprocess
import sys
import textwrap

import pytest

from lib.bench import cli
from lib.bench.runner import RunResult


@pytest.fixture
def ran(monkeypatch, record):
    """Plans that the command would have carried out; none is."""
    plans = []

    def pretend(plan, *, force=False, **_):
        plans.append((plan.notebook.id, plan.values, force))
        return RunResult(plan.folder, False, "first run of this profile", record)

    monkeypatch.setattr("lib.bench.runner.run_plan", pretend)
    return plans


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["toy/1_methd"], "no notebook 'toy/1_methd'; nearest: toy/1_method"),
        (["toy/1_method", "--profile", "smok"], "toy/1_method has no profile 'smok'; nearest: smoke"),
        (["toy/1_method", "-p", "treshold=0.2"], "toy/1_method has no parameter 'treshold'; nearest: threshold"),
        (["toy/1_method", "-p", "threshold=2"], "toy/1_method: threshold must lie within 0..1: got 2.0"),
        (["toy/1_method", "-p", "threshold=high"], "toy/1_method: threshold must be float: got 'high'"),
        (["toy/1_method", "-p", "is_fast=1"], "toy/1_method: is_fast must be bool (true or false): got '1'"),
        (["toy/1_method", "-p", "threshold"], "-p takes name=value: got 'threshold'"),
        ([], "name a notebook or use --all; valid: toy/1_method"),
        (["--all", "-p", "treshold=0.2"], "toy/1_method has no parameter 'treshold'; nearest: threshold"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_exit_code_2(toys, nocturne, ran, arguments, said):
    toys.write()
    answer = nocturne("run", *arguments)
    assert (answer.code, answer.out, answer.err) == (2, "", f"nocturne: {said}\n")
    assert ran == []


def test_one_wrong_notebook_stops_all_before_the_first_starts(toys, nocturne, ran):
    toys.write("1_method")
    toys.write("2_ablation", parameters='profile: str = "smoke"\nseed: int = 0\ndevice: str = "cpu"\n')
    assert nocturne("run", "--all", "-p", "threshold=0.5").code == 2
    assert ran == []


def test_run_passes_typed_values_and_says_why_it_ran(toys, nocturne, ran):
    toys.write("1_method", profiles={"teach": "profile: teach\n"})
    arguments = ["-p", "is_fast=false", "-p", "sizes=[3]", "--profile", "teach", "--force"]
    answer = nocturne("run", "toy/1_method", "toy/1_method", *arguments)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "toy/1_method at teach: 1.0 s, first run of this profile\n"
    ((notebook, values, force),) = ran
    assert (notebook, values["is_fast"], values["sizes"], values["profile"], force) == (
        "toy/1_method",
        False,
        [3],
        "teach",
        True,
    )


def test_all_runs_every_notebook_also_after_one_failed(toys, nocturne, monkeypatch):
    from lib.errors import LabError

    toys.write("1_method")
    toys.write("2_ablation")

    def fail(plan, **_):
        raise LabError(f"{plan.notebook.id} failed")

    monkeypatch.setattr("lib.bench.runner.run_plan", fail)
    answer = nocturne("run", "--all")
    assert (answer.code, answer.err) == (1, "nocturne: toy/1_method failed\nnocturne: toy/2_ablation failed\n")


def test_list_shows_notebooks_and_the_parameters_of_one(toys, nocturne):
    toys.write()
    assert nocturne("list").out == "toy/1_method  smoke  Toy 1_method\n"
    lines = nocturne("list", "toy/1_method").out.splitlines()
    assert lines[0].split() == ["parameter", "type", "default", "range", "unit", "help"]
    assert lines[4].split() == ["threshold", "float", "0.1", "0..1", "grey", "levels", "edge", "threshold"]


def test_an_empty_house_is_no_error_for_list(toys, nocturne):
    assert nocturne("list").code == 0
    assert nocturne("run", "--all").code == 2


@pytest.fixture
def papers(tmp_path, monkeypatch, toys):
    """A paper `toy` with notebooks, `apply` and `speed`; the modules say when they are imported."""
    toys.write()
    package = tmp_path / "lib" / "toy"
    package.mkdir(parents=True)
    (package / "apply.py").write_text(
        textwrap.dedent("""
        def apply(source: str, *, strength: float = 1.0) -> None:
            "Make it brighter."
            print("applied", source, strength)
        """)
    )
    (package / "speed.py").write_text("def races():\n    return ['a race']\n")
    for name in ("apply", "speed"):
        source = (package / f"{name}.py").read_text()
        module = type(sys)(f"lib.toy.{name}")
        exec(source, module.__dict__)
        monkeypatch.setitem(sys.modules, f"lib.toy.{name}", module)
    monkeypatch.setitem(sys.modules, "lib.toy", type(sys)("lib.toy"))
    monkeypatch.setattr(cli, "LIB", tmp_path / "lib")


def test_apply_mounts_the_function_of_each_paper(papers, nocturne):
    assert nocturne("apply", "toy", "a.mp4", "--strength", "2").out == "applied a.mp4 2.0\n"
    assert "Make it brighter." in nocturne("apply", "--help").out
    answer = nocturne("apply", "tou", "a.mp4")
    assert (answer.code, answer.err) == (2, "nocturne: no paper 'tou' has this command; nearest: toy\n")


def test_speed_hands_the_papers_races_to_the_timer(papers, nocturne, monkeypatch):
    timing = type(sys)("lib.timing")
    timing.run_races = lambda races, rounds: print(races, rounds)
    monkeypatch.setitem(sys.modules, "lib.timing", timing)
    assert nocturne("speed", "toy", "--rounds", "3").out == "['a race'] 3\n"
    assert nocturne("speed", "tou").code == 2


def test_help_and_the_package_start_without_the_heavy_libraries():
    code = "import sys, lib.bench.cli; print([m for m in ('torch', 'papermill', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_ctrl_c_before_the_first_cell_is_one_word_and_exit_code_1(toys, nocturne, monkeypatch):
    toys.write()

    def interrupt(plan, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr("lib.bench.runner.run_plan", interrupt)
    answer = nocturne("run", "toy/1_method")
    assert (answer.code, answer.err) == (1, "nocturne: interrupted\n")
