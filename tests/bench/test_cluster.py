"""Sweeps in real processes: workers, schedulers and callers that are killed on the way."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lib.bench.record import all_records
from lib.paths import paths

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
CALL = [sys.executable, "-c", "from lib.bench.cli import main; main()", "sweep", "toy/1_method"]
PARAMETERS = """\
profile: str = "smoke"  # sizes and counts
seed: int = 0  # of all randomness
device: str = "cpu"  # where to compute
step: int = 0  # which cell
"""
# each cell says when it starts and ends; one whose number is in `stop` does so instead, once: see the tests
CELL = """\
import os, time
from pathlib import Path
import psutil
place = Path({place!r})
def say(word):
    with (place / "log").open("a") as log:
        log.write(f"{{step}} {{word}} {{os.getpid()}}\\n")
say("starts")
stop = place / f"stop {{step}}"
if stop.exists():
    how = stop.read_text()
    if how != "wait":
        stop.unlink()
    if how == "kill the worker":
        psutil.Process(os.getppid()).parent().kill()
    time.sleep(60 if how != "fail" else 0)
    raise RuntimeError("told to fail")
say("ends")
"""


class Toy:
    """A notebook with one parameter that counts, the log its cells write, and commands over it."""

    def __init__(self, toys, place: Path, environment: dict[str, str]) -> None:
        toys.write("1_method", CELL.format(place=str(place)), "run.finish()", parameters=PARAMETERS)
        self.place = place
        self.environment = environment

    def stop(self, step: int, how: str) -> Path:
        """Have one cell wait for ever, fail once, or kill its worker once."""
        file = self.place / f"stop {step}"
        file.write_text(how)
        return file

    def said(self, word: str) -> Counter[int]:
        """How often each cell said a word."""
        log = self.place / "log"
        lines = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
        return Counter(int(step) for step, it, _ in lines if it == word)

    def kernel_of(self, step: int) -> int:
        """Process of the kernel that started this cell last."""
        lines = [line.split() for line in (self.place / "log").read_text().splitlines()]
        return [int(pid) for it, word, pid in lines if int(it) == step and word == "starts"][-1]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The sweep as a process of its own session."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            [*CALL, *arguments], env=self.environment, text=True, start_new_session=True, cwd=self.place, **pipes
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The sweep, to its end."""
        child = self.start(*arguments)
        out, err = child.communicate(timeout=120)
        return subprocess.CompletedProcess(CALL, child.returncode, out, err)

    @staticmethod
    def left() -> list[str]:
        """Folders of the notebook's runs that are no records."""
        folders = (paths().runs / "toy" / "1_method").iterdir()
        return sorted(folder.name for folder in folders if not (folder / "record.json").is_file())


@pytest.fixture(scope="session")
def frozen_lib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source, because a sweep stops when it is edited on the way."""
    folder = tmp_path_factory.mktemp("frozen")
    shutil.copytree(ROOT / "lib", folder / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def toy(toys, tmp_path, frozen_lib, light_torch) -> Toy:
    place = tmp_path / "place"
    place.mkdir()
    return Toy(
        toys, place, os.environ | {"PYTHONPATH": f"{frozen_lib}{os.pathsep}{light_torch}", "OMP_NUM_THREADS": "1"}
    )


def test_a_sweep_whose_workers_are_killed_ends_with_every_record_and_none_twice(toy):
    toy.stop(1, "kill the worker")
    toy.stop(4, "kill the worker")
    toy.stop(3, "fail")
    done = toy.run("-p", "step=0:7:1", "--workers", "2")
    assert done.returncode == 1, done.stderr
    assert "7 of 8 cells done, 1 failed" in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("nocturne: step 3: toy/1_method failed: cell 4 raised RuntimeError: told to fail; see ")
    assert sorted(record.parameters["step"] for record in all_records()) == [0, 1, 2, 4, 5, 6, 7]
    assert toy.said("ends") == dict.fromkeys([0, 1, 2, 4, 5, 6, 7], 1)
    assert toy.said("starts") == dict.fromkeys(range(8), 1) | {1: 2, 4: 2}
    (failed,) = toy.left()
    assert failed.startswith("failed-")

    again = toy.run("-p", "step=0:7:1", "--workers", "1")
    assert (again.returncode, again.stderr) == (0, "")
    assert "8 cells of toy/1_method, 7 done before, 1 to run on 1 worker" in again.stdout
    assert toy.said("ends") == dict.fromkeys(range(8), 1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_stopped_goes_on_with_the_next_call(toy, until, is_gone, number):
    """Ctrl-C reaches all processes of a terminal; a kill takes the scheduler, which lives in the calling process."""
    wait = toy.stop(1, "wait")
    child = toy.start("-p", "step=0:2:1", "--workers", "1")
    until(lambda: toy.said("starts")[1])
    if number == signal.SIGINT:
        os.killpg(child.pid, number)
    else:
        child.kill()
    _, err = child.communicate(timeout=60)
    if number == signal.SIGINT:
        assert (child.returncode, err) == (1, "nocturne: interrupted with 1 of 3 cells done; the same call goes on\n")
        assert toy.left() == []
    until(lambda: is_gone(toy.kernel_of(1)))

    wait.unlink()
    again = toy.run("-p", "step=0:2:1", "--workers", "1")
    assert (again.returncode, again.stderr) == (0, "")
    assert toy.said("ends") == {0: 1, 1: 1, 2: 1}
    assert toy.left() == []


@pytest.fixture
def helpers() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts processes that are killed at the end of the test, with those that they started."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str, **given) -> subprocess.Popen[bytes]:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen([sys.executable, "-m", *command], start_new_session=True, **quiet, **given))
        return started[-1]

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_running_scheduler_is_used_and_may_go_away(toy, until, is_gone, helpers):
    file = toy.place / "scheduler.json"
    here = {"env": toy.environment, "cwd": toy.place}
    where = ["--port", "0", "--host", "127.0.0.1", "--scheduler-file", str(file)]
    scheduler = helpers("distributed.cli.dask_scheduler", "--no-dashboard", *where, **here)
    until(lambda: file.exists() and file.read_text())
    address = json.loads(file.read_text())["address"]
    toy.stop(1, "wait")
    child = toy.start("-p", "step=0,1", "--scheduler", address)
    helpers("distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny", **here)
    until(lambda: toy.said("starts")[1])
    scheduler.kill()
    _, err = child.communicate(timeout=60)
    said = "nocturne: the scheduler went away; what is complete is kept, and the same call goes on\n"
    assert (child.returncode, err) == (1, said)
    assert [record.parameters["step"] for record in all_records()] == [0]


def test_a_scheduler_that_does_not_answer_is_one_sentence(toy):
    done = toy.run("-p", "step=0,1", "--scheduler", "tcp://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith("nocturne: no scheduler answers at tcp://127.0.0.1:1: ")
    assert done.stderr.count("\n") == 1
