"""The paper that CONTRIBUTING.md adds on one page: its blocks are written where they say, and its commands run."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from lib.bench.catalogue import Notebook
from lib.bench.record import Record
from lib.bench.schema import read_schema

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(r"# (\S+/\S+\.\w+)\n")
# one process for all commands and the page's own tests: it imports the copied `lib` and PyTorch once
DRIVER = """\
import json, sys
import pytest
from lib.bench.cli import main
for command in json.loads(sys.argv[1]):
    sys.argv = command
    print("$", *command, flush=True)
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
print("$ its own tests", flush=True)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "tests/gamma"]))
"""

pytestmark = pytest.mark.slow


def blocks() -> dict[str, str]:
    """Text of every block that begins with the name of its file, by that name."""
    found = [(PLACE.match(text), text) for _, text in BLOCK.findall(PAGE)]
    return {place[1]: text[place.end() :] for place, text in found if place}


def commands() -> list[list[str]]:
    """The commands of the page's shell blocks."""
    lines = [line for language, text in BLOCK.findall(PAGE) if language == "sh" for line in text.splitlines()]
    return [shlex.split(line) for line in lines if line]


def notebook(text: str) -> str:
    """A notebook file of cells that `# %%` lines part; `[markdown]` after it, or a tag."""
    cells = []
    for part in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        word, _, source = part.partition("\n")
        cell = {"id": f"c{len(cells)}", "metadata": {}}
        if "[markdown]" in word:
            cell |= {"cell_type": "markdown", "source": re.sub(r"^# ?", "", source, flags=re.MULTILINE)}
        else:
            cell |= {"cell_type": "code", "source": source.strip("\n"), "execution_count": None, "outputs": []}
            cell["metadata"] = {"tags": word.split()}
        cells.append(cell)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps({"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that holds our `lib` and papers, and what the page adds."""
    place = tmp_path_factory.mktemp("checkout")
    shutil.copytree(ROOT / "lib", place / "lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data" / "papers", place / "data" / "papers")
    for name, text in blocks().items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(notebook(text) if name.endswith(".ipynb") else text, encoding="utf-8")
    Image.new("RGB", (16, 12), (64, 64, 64)).save(place / "DARK.png")
    return place


def run_python(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python in the checkout, with its `lib` first and its own place for runs."""
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    for name in ("NOCTURNE_OUT", "NOCTURNE_NOTEBOOKS"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def test_the_page_adds_every_part_of_a_paper() -> None:
    kinds = {name.split("/")[0] for name in blocks()}
    assert kinds == {"data", "lib", "tests", "notebooks"}
    assert len(blocks()) == 10
    assert [name for name, *_ in commands()] == ["nocturne"] * 6


def test_its_commands_run_its_table_is_honest_and_its_tests_pass(checkout: Path) -> None:
    done = run_python(checkout, "-c", DRIVER, json.dumps(commands()))
    assert done.returncode == 0, done.stdout + done.stderr
    said = dict(part.split("\n", 1) for part in done.stdout.split("$ ")[1:])
    assert "mean brightness of the result" in said["nocturne list gamma/1_method"]
    assert "first run of this profile" in said["nocturne run gamma/1_method"]
    table = said["nocturne table gamma"]
    assert "Brighter by one exponent (an example, 2026)" in table
    assert re.search(r"one exponent +0\.50 → 0\.43 \(not comparable\)", table)
    assert "measured on simulated data (pagoda by night), the paper on Example Nights" in " ".join(table.split())
    assert "a method that the paper compares with" in " ".join(table.split())
    assert "6 cells of gamma/1_method, 0 done before, 6 to run" in said[" ".join(commands()[2])]
    (record,) = map(Record.load, checkout.glob("runs/gamma/1_method/*/record.json"))
    assert record.scores[0].value == pytest.approx(0.43, abs=0.005)
    with Image.open(checkout / "BRIGHT.png") as bright:
        assert bright.getpixel((0, 0)) == (128, 128, 128)
    assert "2 passed" in said["its own tests"]
    assert "Brighter by one exponent" in (checkout / "reports" / "index.html").read_text(encoding="utf-8")


def test_its_notebook_keeps_the_conventions(checkout: Path) -> None:
    page = Notebook("gamma/1_method", checkout / "notebooks" / "gamma" / "1_method.ipynb")
    schema = read_schema(page.path)
    assert page.profiles == ["smoke", "teach", "paper"]
    assert page.resolve("smoke", {}) == {name: it.default for name, it in schema.items()}
    assert all(it.help for it in schema.values())


def test_its_source_is_clean(checkout: Path) -> None:
    for check in (["check"], ["format", "--check"]):
        command = ["-m", "ruff", *check, "--no-cache", "--config", str(ROOT / "pyproject.toml")]
        done = run_python(checkout, *command, "lib/gamma", "tests/gamma", "notebooks")
        assert done.returncode == 0, done.stdout + done.stderr
