"""Every committed notebook: its stored outputs are those of a clean smoke run, and a new run gives the same again."""

import copy
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lib.bench.catalogue import Notebook, list_notebooks

NOTEBOOKS = list_notebooks()
SANITIZE = Path(__file__).with_name("sanitize.cfg")
MAX_BYTES = 1_500_000
MAX_LINES = 20
MACHINE = re.compile(r"/(?:home|root|tmp|work|Users|mnt|private|var|usr|opt)/|[A-Z]:\\\\|0x[0-9a-f]{6,}")
TIMES = re.compile(r"\b\d{1,2}:\d\d:\d\d\b|\b\d{4}-\d\d-\d\d[T ]|[Ww]all time|CPU times|\bit/s\b|\bs/it\b|\btook \d")
TEST_TIMEOUT_S = 600
AT_ONCE = 2  # notebooks; each may take a gigabyte or two
Finished = subprocess.CompletedProcess[str]


@pytest.fixture(params=NOTEBOOKS, ids=lambda notebook: notebook.id)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return request.param


@pytest.fixture(scope="module")
def new_runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, "Future[Finished]"]]:
    """New runs of the notebooks whose tests are asked for, by id, two at a time."""
    asked = [item for item in request.session.items if "new_runs" in getattr(item, "fixturenames", ())]
    chosen = [item.callspec.params["notebook"] for item in asked]
    out = tmp_path_factory.mktemp("new_runs")
    pool = ThreadPoolExecutor(max_workers=AT_ONCE)
    yield {one.id: pool.submit(run_nbval, one.path, out / one.id) for one in chosen}
    pool.shutdown(cancel_futures=True)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Code cells that hold anything to run."""
    return [cell for cell in content["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]


def texts_of(cell: dict[str, Any]) -> list[str]:
    """All text that a cell's outputs show; pictures left out."""
    texts = ["".join(output.get("text", "")) for output in cell["outputs"]]
    for output in cell["outputs"]:
        data = output.get("data", {})
        texts += ["".join(value) for kind, value in data.items() if kind.startswith("text/")]
    return [text for text in texts if text]


def complaints(content: dict[str, Any]) -> list[str]:
    """What a committed notebook must not hold, each as one sentence; empty for a clean smoke run."""
    found = []
    counts = [cell["execution_count"] for cell in code_cells(content)]
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"cells were not run once from top to bottom: execution counts {counts}")
    for number, cell in enumerate(code_cells(content), 1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"cell {number} holds an error: {output['ename']}")
            if output.get("name") == "stderr":
                found.append(f"cell {number} wrote to stderr")
        for text in texts_of(cell):
            for pattern, what in ((MACHINE, "a path or address of the machine"), (TIMES, "a time")):
                if match := pattern.search(text):
                    found.append(f"cell {number} shows {what}: {match[0]!r}")
        if sum(text.count("\n") + 1 for text in texts_of(cell) if not text.startswith("<")) > MAX_LINES:
            found.append(f"cell {number} prints more than {MAX_LINES} lines")
    everywhere = [content["metadata"], *(cell["metadata"] for cell in content["cells"])]
    if any("papermill" in metadata or "execution" in metadata for metadata in everywhere):
        found.append("metadata of the runner were not removed")
    if not any(texts_of(cell) for cell in code_cells(content)):
        found.append("no cell holds an output, so that nothing would be compared")
    return found


def run_nbval(path: Path, out: Path) -> Finished:
    """One notebook under nbval in its own folder, with runs and caches kept away from the checkout."""
    command = [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "-p", "no:cacheprovider"]
    command += ["--nbval-sanitize-with", str(SANITIZE), "-c", os.devnull, "--rootdir", str(path.parent), str(path)]
    environment = {**os.environ, "NOCTURNE_OUT": str(out), "MPLBACKEND": "Agg"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TEST_TIMEOUT_S, check=False)


def compared_cells(path: Path) -> int:
    """Code cells that nbval compares: those with stored text that no tag takes out."""
    ignored = {"nbval-ignore-output", "nbval-skip"}
    cells = code_cells(read(path))
    return sum(bool(texts_of(cell)) and not ignored & set(cell["metadata"].get("tags", [])) for cell in cells)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_the_committed_file_is_a_clean_smoke_run(notebook: Notebook) -> None:
    assert complaints(read(notebook.path)) == []


def test_the_committed_file_is_small_enough_to_be_read_on_the_web(notebook: Notebook) -> None:
    assert notebook.path.stat().st_size < MAX_BYTES


def test_a_new_run_gives_the_stored_outputs(notebook: Notebook, new_runs: dict[str, "Future[Finished]"]) -> None:
    assert compared_cells(notebook.path) >= 3, "too few cells with stored text: this would compare nothing"
    result = new_runs[notebook.id].result()
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    assert f"{len(code_cells(read(notebook.path)))} passed" in result.stdout


SMALL = {
    "cells": [
        {
            "cell_type": "code",
            "id": "a",
            "execution_count": 1,
            "metadata": {},
            "source": ["print('score', 6 * 7)"],
            "outputs": [{"output_type": "stream", "name": "stdout", "text": ["score 42\n"]}],
        }
    ],
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.mark.parametrize(("stored", "passes"), [("score 42\n", True), ("score 43\n", False)])
def test_a_changed_output_is_caught(tmp_path: Path, stored: str, passes: bool) -> None:
    content = copy.deepcopy(SMALL)
    content["cells"][0]["outputs"][0]["text"] = [stored]
    path = tmp_path / "small.ipynb"
    path.write_text(json.dumps(content), encoding="utf-8")
    result = run_nbval(path, tmp_path)
    assert (result.returncode == 0) is passes, result.stdout
    assert ("1 passed" if passes else "1 failed") in result.stdout


def spoilt(**changes: Any) -> dict[str, Any]:
    content = copy.deepcopy(SMALL)
    content["cells"][0].update(changes)
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (SMALL, ""),
        (spoilt(execution_count=None), "not run once"),
        (spoilt(execution_count=3), "not run once"),
        (spoilt(outputs=[]), "nothing would be compared"),
        (
            spoilt(outputs=[{"output_type": "error", "ename": "ValueError", "evalue": "", "traceback": []}]),
            "ValueError",
        ),
        (spoilt(outputs=[{"output_type": "stream", "name": "stderr", "text": "warning"}]), "stderr"),
        (
            spoilt(
                outputs=[
                    {"output_type": "stream", "name": "stdout", "text": "see " + "/".join(["", "home", "me", "a.png"])}
                ]
            ),
            "path",
        ),
        (spoilt(outputs=[{"output_type": "stream", "name": "stdout", "text": "<A object at 0x7f3a2b1c>"}]), "address"),
        (spoilt(outputs=[{"output_type": "stream", "name": "stdout", "text": "Wall time: 2 s"}]), "time"),
        (spoilt(outputs=[{"output_type": "stream", "name": "stdout", "text": "x\n" * 41}]), "more than 20 lines"),
        (spoilt(metadata={"papermill": {"duration": 1.0}}), "metadata of the runner"),
    ],
)
def test_what_does_not_belong_into_a_committed_notebook_is_named(content: dict[str, Any], says: str) -> None:
    found = complaints(content)
    assert any(says in sentence for sentence in found) if says else found == []
