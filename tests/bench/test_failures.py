"""Runs that go wrong: what is said, what is kept, and that no half record is ever left."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.bench import records, run
from lib.errors import LabError
from lib.paths import paths

CLI = [sys.executable, "-c", "from lib.bench.cli import main; main()", "run", "toy/1_method"]
ORIGIN = """\
from types import SimpleNamespace
run.add_origin(SimpleNamespace(name="scene", kind="simulated", licence="MIT", sha256="", source="made here"))
"""


def left() -> dict[str, list[str]]:
    """Names of the files in each folder of the notebook's runs."""
    home = paths().runs / "toy" / "1_method"
    return {folder.name: sorted(file.name for file in folder.iterdir()) for folder in home.iterdir()}


def executed() -> list[dict]:
    notebook = json.loads((paths().runs / "toy" / "1_method" / "failed" / "notebook.ipynb").read_text())
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def test_a_cell_that_raises_keeps_the_notebook_with_its_traceback(toys, nocturne):
    toys.write("1_method", "print('so far')", "1 / 0", "print('never')")
    said = nocturne("run", "toy/1_method")
    assert said.code == 1
    kept = paths().runs / "toy" / "1_method" / "failed" / "notebook.ipynb"
    # the two cells before these are the parameters and the one with the values
    assert said.err == (
        f"nocturne: toy/1_method failed: cell 5 raised ZeroDivisionError: division by zero; see {kept}\n"
    )
    assert left() == {"failed": ["error.txt", "notebook.ipynb"]}
    assert [output.get("text") or output["ename"] for output in executed()] == [["so far\n"], "ZeroDivisionError"]
    assert records() == []


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("import os; os._exit(3)", "the kernel died in cell 4 (exit code 3)"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "the kernel died in cell 4 (signal 9), the usual cause being too little memory",
        ),
    ],
)
def test_a_kernel_that_dies_is_one_sentence(toys, cell, said):
    toys.write("1_method", cell, "run.finish()")
    with pytest.raises(LabError) as error:
        run("toy/1_method")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert list(left()) == ["failed"]
    assert records() == []


def test_a_notebook_that_never_finishes_its_run_has_failed(toys):
    toys.write("1_method", "x = 1")
    with pytest.raises(LabError, match=r"ended without run\.finish\(\)"):
        run("toy/1_method")
    assert list(left()) == ["failed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_half_record_and_no_kernel(toys, tmp_path, until, is_gone, number):
    pid_file = tmp_path / "pid"
    toys.write("1_method", f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    with subprocess.Popen(CLI, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        until(lambda: pid_file.exists() and pid_file.read_text())
        child.send_signal(number)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out) == (1, "")
    assert err.startswith("nocturne: toy/1_method was interrupted; see ")
    assert err.count("\n") == 1
    assert list(left()) == ["failed"]
    until(lambda: is_gone(int(pid_file.read_text())))


def test_the_next_run_clears_up_after_a_runner_that_was_killed(toys, tmp_path, until):
    started = tmp_path / "started"
    toys.write("1_method", f"import time; open({str(started)!r}, 'w').close(); time.sleep(60)")
    with subprocess.Popen(CLI, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        until(started.exists)
        child.kill()
    (partial,) = left()
    assert partial.startswith(".partial-")
    toys.write("1_method", "1 / 0")
    with pytest.raises(LabError):
        run("toy/1_method")
    assert list(left()) == ["failed"]


def test_two_runs_of_one_notebook_at_once_leave_one_whole_record(toys):
    toys.write("1_method", ORIGIN, "import time; time.sleep(1)", "run.finish()")
    both = [subprocess.Popen([*CLI, "--force"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for child in both:
        _, err = child.communicate(timeout=60)
        assert (child.returncode, err) == (0, b"")
    ((name, files),) = left().items()
    assert files == ["notebook.ipynb", "record.json"]
    (record,) = records()
    assert record.key.startswith(name)
    assert record.origins[0].name == "scene"


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 256 KiB that runs are written to."""
    place = tmp_path / "disk"
    place.mkdir()
    monkeypatch.setenv("NOCTURNE_OUT", str(place))
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("cannot mount a small disk: run as root, in a container that may mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_one_sentence_and_leaves_no_half_record(toys, small_disk):
    toys.write("1_method", "print('x' * 400_000)", "run.finish()")
    with pytest.raises(LabError, match="No space left on device") as error:
        run("toy/1_method")
    assert "the executed notebook could not be kept" in str(error.value)
    assert left() == {}
    assert records() == []


def test_a_read_only_folder_is_one_sentence(toys, small_disk, nocturne):
    toys.write("1_method")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = nocturne("run", "toy/1_method")
    assert said.code == 1
    assert said.err.startswith(f"nocturne: cannot write runs to {small_disk}")
    assert said.err.endswith("Read-only file system; set NOCTURNE_OUT to a folder that you can write to\n")


def test_a_file_in_the_way_of_the_runs_folder_is_one_sentence(toys, tmp_path):
    toys.write("1_method")
    (tmp_path / "out").write_text("a file")
    with pytest.raises(LabError, match=r"cannot write runs to .*: Not a directory; set NOCTURNE_OUT"):
        run("toy/1_method")
