"""Throwaway notebooks for the tests of the bench, and the command line called in this process."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from lib.bench import cli, provenance
from lib.bench.catalogue import Notebook
from lib.bench.record import Code, FigureEntry, Hardware, OriginEntry, Record, Score
from tests.bench.report_house import executed

PARAMETERS = """\
profile: str = "smoke"  # sizes and counts
seed: int = 0  # of all randomness
device: str = "cpu"  # where to compute
threshold: float = 0.1  # edge threshold, grey levels, 0..1
is_fast: bool = True  # take the short way
sizes: list = [1, 2]  # window sizes, px, 1..10
rule: str = "max"  # importance rule, max | threshold
data: str = ""  # your own picture, path
"""
OPEN = """\
from lib.bench import open_run
run = open_run("{id}", globals())
"""
FINISH = "run.finish()"


LIGHT_TORCH = """\
from types import SimpleNamespace
def device(name): return SimpleNamespace(type=name)
def empty(*size, device): pass
"""


@pytest.fixture(scope="session")
def light_torch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what a run needs of PyTorch, for processes that have it first on their path and load it at once."""
    folder = tmp_path_factory.mktemp("light")
    (folder / "torch.py").write_text(LIGHT_TORCH)
    return folder


@dataclass(frozen=True)
class Toys:
    """Writes notebooks of a paper, by default `toy`, into a folder that the catalogue looks at; "" for no paper."""

    root: Path

    def write(
        self,
        name: str = "1_method",
        *code: str,
        paper: str = "toy",
        parameters: str = PARAMETERS,
        profiles: dict[str, str] | None = None,
    ) -> Notebook:
        """A notebook with a title, the parameters, one cell that opens the run, and the given cells."""
        folder = self.root / paper
        notebook_id = f"{paper}/{name}" if paper else name
        (folder / "profiles").mkdir(parents=True, exist_ok=True)
        sources = [
            ("markdown", f"# Toy {name}\n\nA claim."),
            ("code", parameters),
            ("code", OPEN.format(id=notebook_id)),
        ]
        sources += [("code", cell) for cell in code]
        cells = [_cell(*it) for it in sources]
        cells[1]["metadata"]["tags"] = ["parameters"]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        path = folder / f"{name}.ipynb"
        path.write_text(json.dumps(content))
        for profile, text in (profiles or {}).items():
            (folder / "profiles" / f"{name}.{profile}.yaml").write_text(text)
        return Notebook(notebook_id, path)


def _cell(kind: str, source: str) -> dict:
    cell = {"cell_type": kind, "id": f"c{abs(hash(source)) % 10**8}", "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toys:
    """An empty notebooks folder and an empty output folder, also for child processes."""
    root = tmp_path / "notebooks {odd} é"  # papermill would take braces for fields
    root.mkdir()
    monkeypatch.setenv("NOCTURNE_NOTEBOOKS", str(root))
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path / "out"))
    # the source may be edited while the tests run
    monkeypatch.setattr(provenance, "lib_sha256", lambda: "the same source")
    return Toys(root)


@dataclass(frozen=True)
class Said:
    """What a command line left: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def nocturne(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Calls the command line in this process: nocturne("run", "toy/1_method")."""

    def call(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["nocturne", *arguments])
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err)

    return call


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Waits for something that another process does; it takes the time that the process needs."""

    def wait(condition: Callable[[], object]) -> None:
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end, "the other process did not get there"
            time.sleep(0.05)

    return wait


@pytest.fixture
def is_gone() -> Callable[[int], bool]:
    """Says whether a process has ended."""

    def gone(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    return gone


@pytest.fixture(scope="session")
def record() -> Record:
    """A complete record of a run that never was."""
    return Record(
        notebook="toy/1_method",
        profile="smoke",
        key="0" * 64,
        key_parts={"parameter": {"seed": 0}},
        parameters={"seed": 0, "sizes": [1, 2]},
        seed=0,
        device="cpu",
        scores=[Score("t", "r", "c", 1.5, "dB", "higher", "mean of RGB", "scene", interval=(1.0, 2.0))],
        origins=[OriginEntry("scene", "simulated", "MIT", "ab", "made here")],
        figures=[FigureEntry("line", "figures/line.png", "A line")],
        code=Code("c0ffee", False, "1", "2"),
        versions={"torch": "2.11"},
        hardware=Hardware("a cpu", 2, 8.0, ""),
        started="2001-01-01T00:00:00.000+00:00",
        wall_time_s=1.0,
        peak_memory_mib=100.0,
    )


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output folder of its own, and a notebooks folder with two notebooks of context_fusion."""
    monkeypatch.setenv("NOCTURNE_OUT", str(tmp_path / "out"))
    monkeypatch.setenv("NOCTURNE_NOTEBOOKS", str(tmp_path / "notebooks"))
    folder = tmp_path / "notebooks" / "context_fusion"
    folder.mkdir(parents=True)
    for name in ("1_method", "2_ablation"):
        (folder / f"{name}.ipynb").write_text(nbformat.writes(executed(f"# Title of {name}")), encoding="utf-8")
    return tmp_path
