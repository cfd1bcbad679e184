"""The launch form of the first page in a real browser: a wrong value is said, a right one runs to a record."""

import os
import shutil
import time
from pathlib import Path

import pytest

from lib.bench.catalogue import find_notebook
from lib.bench.record import Record
from lib.bench.schema import read_cells
from tests.browser.chromium import POLL_S, Page, find_chromium, open_chromium
from tests.browser.lab import NOTEBOOK, Notebook, serve

RUN_TIMEOUT_S = 300.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_chromium(), reason="no Chromium or Chrome on the PATH: install one to see the form"),
    pytest.mark.skipif(not os.environ.get("NOCTURNE_BROWSER"), reason="make test-browser opens the first page"),
]


class FormView:
    """The form as the page shows it."""

    def __init__(self, notebook: Notebook, cell: int) -> None:
        self.page: Page = notebook.page
        self._node = f"{NOTEBOOK}.content.widgets[{cell}].node"
        self.page.evaluate(f"{NOTEBOOK}.content.scrollToItem({cell}, 'start')")
        self.page.wait_for(f"{self._node}.querySelector('select')")

    def choose(self, label: str, option: str) -> None:
        """Takes an option of the list that stands beside a label."""
        found = f"[...one.options].findIndex(it => it.textContent === '{option}')"
        self._change(label, "select", f"one.selectedIndex = {found}", when=f"{found} >= 0")

    def type(self, label: str, text: str) -> None:
        """Writes into the field beside a label and leaves it."""
        self._change(label, "input", f"one.value = '{text}'")

    def press(self, button: str) -> None:
        """Presses the button of that name."""
        found = f"[...{self._node}.querySelectorAll('button')].find(one => one.textContent.includes('{button}'))"
        self.page.wait_for(f"{found}.disabled === false")
        self.page.evaluate(f"{found}.click()")

    def wait_for_text(self, text: str, *, timeout_s: float = 60.0) -> None:
        """Waits until the form says something."""
        give_up = time.monotonic() + timeout_s
        while text not in (said := self.page.evaluate(f"{self._node}.textContent")):
            assert time.monotonic() < give_up, f"not said within {timeout_s:g} s: {text}; but {said}"
            time.sleep(POLL_S)

    def _change(self, label: str, kind: str, change: str, *, when: str = "true") -> None:
        rows = f"[...{self._node}.querySelectorAll('.widget-inline-hbox')]"
        control = f"{rows}.find(row => row.querySelector('label')?.textContent === '{label}')?.querySelector('{kind}')"
        self.page.wait_for(f"(one => one && {when})({control})")
        events = "for (const name of ['input', 'change']) one.dispatchEvent(new Event(name, {bubbles: true}))"
        self.page.evaluate(f"(one => {{ {change}; {events}; }})({control})")


def test_the_form_says_what_is_wrong_and_runs_what_is_right(tmp_path: Path) -> None:
    page = find_notebook("start_here").path
    path = tmp_path / "served" / page.name
    path.parent.mkdir()
    shutil.copy(page, path)
    cell = next(idx for idx, one in enumerate(read_cells(page)) if "LaunchForm().box" in one["source"])
    with serve(path.parent, tmp_path) as server, open_chromium(tmp_path) as browser:
        notebook = Notebook(browser, server, path)
        notebook.run_to(cell)
        form = FormView(notebook, cell)
        form.choose("paper", "fodvid")
        form.choose("notebook", "4_cell")
        form.wait_for_text("One cell of the ablation")
        form.type("tau", "3")
        form.wait_for_text("tau must lie within -1..1: got 3.0")
        form.choose("paper", "bench")
        form.choose("notebook", "start_here")
        form.wait_for_text("Across the papers: Start here")
        form.wait_for_text("nocturne run start_here")
        form.type("seed", "4")
        form.wait_for_text("nocturne run start_here -p seed=4")
        form.press("Run")
        form.wait_for_text("start_here at smoke: ", timeout_s=RUN_TIMEOUT_S)
        form.wait_for_text("first run of this profile")
        assert browser.errors == []
    (record,) = [Record.load(file) for file in (tmp_path / "out").glob("runs/bench/start_here/*/record.json")]
    assert record.parameters["seed"] == 4
