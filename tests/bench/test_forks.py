"""Forked kernels: the same process to the kernel manager, the same results, and none that outlives its parents."""

import json
import os
import signal
import subprocess
import sys

import pytest

from lib.bench import run
from lib.bench.catalogue import find_notebook
from lib.bench.forks import ForkServer
from lib.bench.plan import make_plan
from lib.bench.runner import run_plan
from lib.errors import LabError

pytestmark = [
    pytest.mark.skipif(not ForkServer.is_possible(), reason="forking a process with PyTorch needs Linux"),
    pytest.mark.slow,
]
LOOK = """\
import os, sys
import numpy
print(os.getcwd(), sorted(set(sys.path)), os.environ["NOCTURNE_RUN_ID"], os.environ.get("MPLBACKEND"), sep="\\n")
print(__name__, repr(sys.stdin.read()), os.getpgid(0) == os.getpid())
"""


SEEDED = "import torch; print(torch.rand(3, generator=torch.Generator().manual_seed(0)), torch.get_num_threads())"
UNSEEDED = "import random, numpy; print(random.random(), numpy.random.rand())"


@pytest.fixture
def forks(monkeypatch, light_torch):
    """A server of kernels whose PyTorch loads at once."""
    monkeypatch.setenv("PYTHONPATH", str(light_torch))
    server = ForkServer()
    yield server
    server.close()


def executed(folder):
    """What the cells of a run printed."""
    cells = json.loads((folder / "notebook.ipynb").read_text())["cells"]
    return ["".join(it.get("text", "")) for cell in cells for it in cell.get("outputs", [])]


def test_a_forked_kernel_finds_what_a_kernel_of_its_own_finds(toys):
    toys.write("1_method", LOOK, SEEDED, "run.finish()")
    plan = make_plan(find_notebook("toy/1_method"), profile="smoke", parameters={})
    forks = ForkServer()
    printed = executed(run_plan(plan, forks=forks).folder)
    assert printed == executed(run("toy/1_method", force=True).folder)
    assert len("".join(printed)) > 100
    forks.close()


def test_each_kernel_has_random_numbers_of_its_own(toys, forks):
    plan = make_plan(toys.write("1_method", UNSEEDED, "run.finish()"), profile="smoke", parameters={})
    first, second = (executed(run_plan(plan, force=True, forks=forks).folder)[0].split() for _ in range(2))
    assert len({*first, *second}) == 4


def test_cells_that_fail_and_kernels_that_die_are_told_as_ever(toys, forks):
    notebook = toys.write(
        "1_method", "import os\nif threshold == 0.5: os._exit(3)\nif threshold == 0.6: 1 / 0", "run.finish()"
    )

    def fail(threshold):
        with pytest.raises(LabError) as error:
            run_plan(make_plan(notebook, profile="smoke", parameters={"threshold": threshold}), forks=forks)
        return str(error.value)

    assert "the kernel died in cell 4 (exit code 3)" in fail(0.5)
    assert "cell 4 raised ZeroDivisionError: division by zero" in fail(0.6)
    assert run_plan(make_plan(notebook, profile="smoke", parameters={}), forks=forks).record.notebook == "toy/1_method"


def test_a_server_that_was_killed_is_started_again(toys, forks):
    notebook = toys.write("1_method", "run.finish()")
    run_plan(make_plan(notebook, profile="smoke", parameters={}), forks=forks)
    os.kill(forks._link._process.pid, signal.SIGKILL)
    forks._link._process.wait()
    assert not run_plan(make_plan(notebook, profile="smoke", parameters={"threshold": 0.4}), forks=forks).cached


def test_kernels_end_with_the_process_that_holds_the_server(toys, forks, tmp_path, until, is_gone):
    place = tmp_path / "pid"
    toys.write(
        "1_method",
        f"open({str(place)!r}, 'w').write(str(os.getpid())); import time; time.sleep(60)".replace(
            "open", "import os; open", 1
        ),
    )
    code = (
        "from lib.bench.forks import ForkServer; from lib.bench.plan import make_plan;"
        "from lib.bench.catalogue import find_notebook; from lib.bench.runner import run_plan;"
        "run_plan(make_plan(find_notebook('toy/1_method'), profile='smoke', parameters={}), forks=ForkServer())"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as child:
        until(lambda: place.exists() and place.read_text())
        child.kill()
    until(lambda: is_gone(int(place.read_text())))
