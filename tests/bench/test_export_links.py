"""Links and anchors of an exported notebook: they lead somewhere, or are plain text."""

import re
from html import unescape
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook

from lib.bench.export import export_notebook

TEXT = '# Start\n\n[there](toy/here.ipynb) [gone](toy/gone.ipynb) [data](../data/README.md) [down](#The-"end")'


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The page of a notebook beside which the page of another one lies."""
    cells = [new_markdown_cell(text) for text in (TEXT, '## The *"end"*', '## The *"end"*', "## A & B")]
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "here.html").touch()
    (tmp_path / "notebook.ipynb").write_text(nbformat.writes(new_notebook(cells=cells)), encoding="utf-8")
    export_notebook(tmp_path / "notebook.ipynb", tmp_path / "page.html", home="index.html", facts="")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_link_to_a_notebook_leads_to_its_page_where_there_is_one(page: str) -> None:
    assert re.findall('href="([^"]*)"', page) == ["data:,", "index.html", "toy/here.html", "#The-%22end%22"]
    assert ">there</a> gone data <a " in page


def test_a_heading_has_the_anchor_that_jupyterlab_gives_it_once(page: str) -> None:
    anchors = [unescape(anchor) for _, anchor in re.findall("<h[12] id=(['\"])(.*?)\\1>", page)]
    assert anchors == ["Start", 'The-"end"', "A-&-B"]
    assert page.count("</h2>") == 3
