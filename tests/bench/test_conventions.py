"""What every notebook of the checkout must keep to, so that the bench and plain papermill both can run it."""

import json

import pytest

from lib.bench.catalogue import Notebook, list_notebooks
from lib.bench.schema import read_cells, read_schema

NOTEBOOKS = list_notebooks()


@pytest.fixture(params=NOTEBOOKS, ids=lambda notebook: notebook.id)
def notebook(request: pytest.FixtureRequest) -> Notebook:
    return request.param


def test_the_parameters_are_declared_as_the_schema_asks(notebook):
    parameters = read_schema(notebook.path).values()
    assert all(parameter.help for parameter in parameters)
    assert next(iter(parameters)).default == "smoke"


def test_each_profile_is_a_file_that_the_schema_admits(notebook):
    for profile in ("smoke", "teach", "paper"):
        file = notebook.path.parent / "profiles" / f"{notebook.name}.{profile}.yaml"
        assert file.is_file()
        assert f"profile: {profile}" in file.read_text()
        notebook.resolve(profile, {})


def test_smoke_is_the_notebook_as_it_stands(notebook):
    defaults = {name: parameter.default for name, parameter in read_schema(notebook.path).items()}
    assert notebook.resolve("smoke", {}) == defaults


def test_the_notebook_opens_and_finishes_its_own_run(notebook):
    source = "\n".join(cell["source"] for cell in read_cells(notebook.path) if cell["kind"] == "code")
    assert f'open_run("{notebook.id}", globals())' in source
    assert "run.finish()" in source


def test_plain_papermill_finds_its_kernel(notebook):
    assert json.loads(notebook.path.read_text())["metadata"]["kernelspec"]["name"] == "python3"
