"""The sweeps that are declared beside the notebooks, and the pages that say how to run them."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from lib.bench.published import load_tables
from lib.bench.sweeps import list_sweeps

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
SWEEPS = list_sweeps()


@pytest.mark.parametrize("sweep", SWEEPS, ids=lambda sweep: sweep.id)
def test_a_declared_sweep_is_of_its_paper_and_every_cell_is_admitted(sweep):
    paper, name = sweep.id.split("/")
    assert sweep.notebook.startswith(f"{paper}/")
    assert sweep.about
    plans = sweep.plans()
    assert len(plans) > 1
    assert len({sweep.label(plan) for plan in plans}) == len(plans), "cells need names of their own"
    if name.startswith("table_"):
        assert name in {table.name for table in load_tables(paper)}


def test_there_are_declared_sweeps():
    assert SWEEPS


@pytest.fixture
def slurm() -> str:
    """The script for a SLURM cluster, as the page prints it."""
    (script,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    return script


def test_the_slurm_script_is_python(slurm):
    tree = ast.parse(slurm)
    assert "SLURMCluster" in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def test_the_slurm_script_asks_what_dask_jobqueue_takes(slurm, monkeypatch):
    jobqueue = pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue: pip install dask-jobqueue")
    (call,) = [
        node
        for node in ast.walk(ast.parse(slurm))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "SLURMCluster"
    ]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    job = jobqueue.slurm.SLURMJob(scheduler="tcp://127.0.0.1:1", name="worker", **given)
    assert "#SBATCH --gres=gpu:1" in job.job_script()
    assert "--nthreads 1 " in job.job_script()


def test_the_commands_on_the_page_have_the_options_that_exist():
    from lib.bench import cli_sweep

    taken = set(re.findall(r"(?<![\w-])--[a-z-]+", " ".join(re.findall(r"nocturne sweep[^`\n#]*", README))))
    declared = inspect.getsource(cli_sweep.sweep)
    names = set(re.findall(r'"(--[a-z-]+)"', declared)) | {
        f"--{name}" for name in inspect.signature(cli_sweep.sweep).parameters
    }
    assert taken
    assert taken <= names
