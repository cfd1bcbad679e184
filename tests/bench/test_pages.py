"""The pages for people say what is true: links, commands and names lead somewhere, and nothing is left out of data."""

import inspect
import itertools
import json
import pkgutil
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import typer
from torch.utils.data import Dataset

import lib.data
from lib.bench.axes import axis_from_text
from lib.bench.catalogue import find_notebook, list_notebooks
from lib.bench.cli import app
from lib.bench.published import list_papers
from lib.bench.schema import read_cells, read_schema
from lib.bench.sweeps import list_sweeps
from lib.data import datasets
from lib.data.benchmark import Benchmark
from lib.data.samples import list_samples
from lib.data.weights import list_weights

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "data/README.md", "notebooks/README.md", "notebooks/start_here.ipynb")
DATA = (ROOT / "data" / "README.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")
EXAMPLES = ("gamma", "<")  # the paper that CONTRIBUTING.md adds, which its own test runs; a place for a name


def text_of(page: str) -> str:
    """The page's text; of a notebook, that of its Markdown cells."""
    path = ROOT / page
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n\n".join(cell["source"] for cell in read_cells(path) if cell["kind"] == "markdown")


def commands(page: str) -> Iterator[list[str]]:
    """Words of each `nocturne ...` in code of the page, without a remark or the end of a table's cell."""
    text = text_of(page)
    in_line = re.findall(r"`(nocturne [^`]+)`", text)
    in_block = re.findall(r"^(?: {4})?(nocturne .*)$", text, flags=re.MULTILINE)
    for found in [*in_line, *in_block]:
        words = shlex.split(found, comments=True)
        if len(words) > 1:
            yield words[1:]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    text = text_of(page)
    headings = [line.lstrip("# ").replace(" ", "-") for line in text.splitlines() if line.startswith("#")]
    # JupyterLab keeps capitals in anchors, what shows Markdown on the web does not
    anchors = {f"#{name if page.endswith('.ipynb') else name.lower()}" for name in headings}
    links = [link for link in LINK.findall(text) if "://" not in link]
    lost = [link for link in links if link.startswith("#") and link not in anchors]
    lost += [link for link in links if not link.startswith("#") and not (ROOT / page).parent.joinpath(link).exists()]
    assert lost == []


@pytest.mark.parametrize("page", PAGES)
def test_commands_have_their_name_options_and_notebooks(page: str) -> None:
    group = typer.main.get_command(app)
    notebooks = {notebook.id for notebook in list_notebooks()}
    known = notebooks | {sweep.id for sweep in list_sweeps()} | set(list_papers()) | {"bench"}
    for name, *words in commands(page):
        if name == "COMMAND":
            continue
        command = group.get_command(click.Context(group), name)
        assert command is not None, name
        if name == "apply" and words and words[0].islower() and words[0] not in EXAMPLES:
            command = command.get_command(click.Context(command), words.pop(0))
        options = {text for parameter in command.params for text in parameter.opts}
        used = [word for word in words if word.startswith("-")]
        assert set(used) <= options | {"--help"}, (name, words)
        target = next((word for word in words if not word.startswith("-")), "")
        if name in ("list", "run", "sweep", "table", "speed") and target.islower() and not target.startswith(EXAMPLES):
            assert target in known, (name, target)
            check_parameters(target, words)


def check_parameters(target: str, words: list[str]) -> None:
    """What stands behind -p must be values of the notebook's parameters, or an axis of them; folders in capitals."""
    notebook = next((sweep.notebook for sweep in list_sweeps() if sweep.id == target), target)
    for option, pair in itertools.pairwise(words):
        if option == "-p":
            name, _, value = pair.partition("=")
            parameter = read_schema(find_notebook(notebook).path)[name]
            assert parameter.is_path if value.isupper() else axis_from_text(parameter, value), pair


def test_the_commands_are_found() -> None:
    found = [words[0] for page in PAGES for words in commands(page)]
    assert len(found) > 60
    assert {"run", "sweep", "apply", "table", "report", "weights", "doctor", "form"} <= set(found)


def test_every_reader_stands_on_the_page_of_data() -> None:
    readers = [name for name in datasets.__all__ if issubclass(getattr(datasets, name), Dataset)]
    bases = {"ObjectVideos", "TrackedSequences"}
    assert len(readers) > 15
    assert [name for name in readers if name not in bases and f"`{name}`" not in DATA] == []


def test_every_data_set_stands_there_with_its_licence() -> None:
    modules = [import_module(f"lib.data.{found.name}") for found in pkgutil.iter_modules(lib.data.__path__)]
    held = {id(one): one for module in modules for _, one in inspect.getmembers(module) if isinstance(one, Benchmark)}
    assert len(held) > 12
    named = [one for one in held.values() if one.name != "pairs"]
    assert [one.name for one in named if f"**{one.name}**" not in DATA] == []
    assert [one.name for one in held.values() if one.licence not in DATA] == []


def test_every_file_of_weights_stands_there_with_its_licence() -> None:
    rows = DATA.partition("## Weights")[2].splitlines()
    for weights in list_weights():
        (row,) = [line for line in rows if f"`{weights.name}`" in "".join(line.split("|")[1:2])]
        assert weights.licence.split()[0].rstrip(";") in row, weights.name
        assert ("shipped" in row) is bool(weights.trained), weights.name
        assert (f"`nocturne weights {weights.name} --download`" in row) is weights.can_download, weights.name


def test_every_sample_and_every_parameter_that_takes_a_path_stands_there() -> None:
    assert [sample.name for sample in list_samples() if f"`{sample.name}`" not in DATA] == []
    for notebook in list_notebooks():
        for parameter in read_schema(notebook.path).values():
            assert not parameter.is_path or f"`{parameter.name}`" in DATA, (notebook.id, parameter.name)


def test_the_first_page_names_every_paper_and_every_notebook() -> None:
    links = LINK.findall(text_of("notebooks/start_here.ipynb"))
    ids = [link.removesuffix(".ipynb") for link in links]
    assert {notebook.id for notebook in list_notebooks()} - {"start_here"} <= set(ids)


def test_the_first_page_holds_the_form_and_no_state_of_it() -> None:
    content = json.loads((ROOT / "notebooks" / "start_here.ipynb").read_text(encoding="utf-8"))
    assert any("LaunchForm().box" in "".join(cell["source"]) for cell in content["cells"])
    assert "widgets" not in content["metadata"]
