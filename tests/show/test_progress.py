"""Progress: a bar for people, one line for logs, nothing for executed notebooks."""

import io
import re
import sys
from collections.abc import Iterator

import pytest

from lib.show import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_items_pass_in_order_and_lazily(capsys: pytest.CaptureFixture[str]) -> None:
    taken = []

    def source() -> Iterator[int]:
        for number in range(3):
            taken.append(number)
            yield number

    steps = progress(source(), label="frames")
    assert next(steps) == 0
    assert taken == [0]
    assert list(steps) == [1, 2]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(r"frames: 3 in \d+\.\d s\n", captured.err)


def test_a_log_says_how_far_a_broken_loop_came(capsys: pytest.CaptureFixture[str]) -> None:
    steps = progress(range(10), label="steps")
    next(steps)
    steps.close()
    assert capsys.readouterr().err.startswith("steps: 1 of 10 in ")


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(iter("abc"), total=3, label="letters")) == ["a", "b", "c"]
    assert "letters: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


def test_executed_notebook_shows_no_progress_and_each_figure_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    cells = [
        "from lib.show import progress, table\nlist(progress(range(3), label='frames'))[-1]",
        "import matplotlib.pyplot as plt\nfrom lib.show.plots import score_plot\nscore_plot({'a': 1.0}, label='score')",
        "table([['a', 0.5]], ['method', 'score'], digits=1)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    progress_outputs, figure_outputs, table_outputs = (cell.outputs for cell in notebook.cells)
    assert [output.output_type for output in progress_outputs] == ["execute_result"]
    (figure,) = figure_outputs
    assert set(figure.data) == {"image/png", "text/plain"}
    assert re.fullmatch(r"<ShownFigure size \d+x\d+ with 1 Axes>", figure.data["text/plain"])
    (shown,) = table_outputs
    assert shown.data["text/plain"].splitlines()[-1] == "a         0.5"
    assert shown.data["text/html"].startswith("<table>")


def test_what_was_done_before_counts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(iter("de"), total=5, label="letters", done=3)) == ["d", "e"]
    assert capsys.readouterr().err.startswith("letters: 5 in ")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress(iter("de"), total=5, label="letters", done=3)) == ["d", "e"]
    assert "letters:  60%" in terminal.getvalue()
    assert "5/5" in terminal.getvalue()
