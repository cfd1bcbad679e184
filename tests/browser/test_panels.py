"""Panels in a real browser: JupyterLab is started, a notebook run in Chromium, sliders moved by their keys."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lib.bench.catalogue import list_notebooks
from tests.browser.chromium import find_chromium, open_chromium
from tests.browser.lab import Notebook, PanelView, serve

METHODS = [notebook for notebook in list_notebooks() if notebook.id.endswith("/1_method")]
SCREENSHOTS = os.environ.get("NOCTURNE_BROWSER", "")
SMALL = """\
import torch

from lib.show.panel import Slider, captioned, panel


def render(values):
    picture = torch.zeros(3, 60, 120)
    picture[..., : int(values["column"])] = values["grey"]
    return captioned({"a bar": picture})


panel(render, [Slider("column", "column", 0, 120, 60, plays=True), Slider("grey", "grey", 0.0, 1.0, 0.5, step=0.1)])
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_chromium(), reason="no Chromium or Chrome on the PATH: install one to see panels move"),
]


@contextmanager
def opened(path: Path, folder: Path) -> Iterator[Notebook]:
    """A notebook in JupyterLab, all its cells run up to the last panel."""
    with serve(path.parent, folder) as server, open_chromium(folder) as page:
        notebook = Notebook(page, server, path)
        assert notebook.panels, "no cell begins a line with panel("
        notebook.run_to(notebook.panels[-1])
        yield notebook


def test_a_picture_follows_its_sliders_in_the_browser(tmp_path: Path) -> None:
    cell = {"cell_type": "code", "id": "a", "execution_count": None, "metadata": {}, "outputs": [], "source": SMALL}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "served" / "small.ipynb"
    path.parent.mkdir()
    content = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")
    with opened(path, tmp_path) as notebook:
        view = PanelView(notebook, 0)
        assert view.labels() == ["column", "grey"]
        assert view.numbers() == ["60", "0.50"]
        first = view.picture()
        view.move(0, "ArrowRight")
        assert view.numbers() == ["61", "0.50"]
        view.move(1, "ArrowLeft")
        assert view.numbers() == ["61", "0.40"]
        view.move(1, "End")
        assert view.numbers() == ["61", "1.00"]
        view.move(0, "Home")
        assert view.picture() != first
        view.play()
        assert view.numbers()[0] != "0"
        assert notebook.page.errors == []


@pytest.mark.skipif(not SCREENSHOTS, reason="make test-browser opens the method notebooks")
@pytest.mark.parametrize("method", METHODS, ids=lambda notebook: notebook.paper)
def test_every_panel_of_a_method_notebook_moves(method, tmp_path: Path) -> None:
    path = tmp_path / "served" / method.path.name
    path.parent.mkdir()
    shutil.copy(method.path, path)
    shots = Path(SCREENSHOTS)
    shots.mkdir(parents=True, exist_ok=True)
    with opened(path, tmp_path) as notebook:
        for count, cell in enumerate(notebook.panels, 1):
            view = PanelView(notebook, cell)
            notebook.page.screenshot(shots / f"{method.paper}_{count}_first.png")
            view.move(0, view.next_step(0))
            for slider, label in enumerate(view.labels()):
                before = view.numbers()[slider]
                seconds = view.move(slider, view.far_end(slider))
                assert view.numbers()[slider] != before
                print(f"{method.id}, panel {count}, {label}: new picture after {seconds:.2f} s")
            notebook.page.screenshot(shots / f"{method.paper}_{count}_moved.png")
        assert notebook.page.errors == []
