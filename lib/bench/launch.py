"""The launch form of the first page: choose a notebook, fill in its parameters, run it, see its paper's table."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from lib.bench.background import BackgroundRun
from lib.bench.catalogue import DEFAULT_PROFILE, Notebook, find_notebook, list_notebooks
from lib.bench.form import Filled, as_text, choices, fields, fill_in, first_values, hint, papers_with_notebooks
from lib.bench.published import load_paper, load_tables
from lib.bench.record import records
from lib.bench.schema import Parameter
from lib.bench.tables import render
from lib.errors import LabError, SpecError

RED, GREY = "#b3261e", "#616161"
NAME_WIDTH, FIELD_WIDTH = "10em", "27em"
TABLE_STYLE = """<style>
.nocturne-table table { border-collapse: collapse; margin: 0.4em 0 }
.nocturne-table :is(th, td) { padding: 0.2em 0.8em; text-align: left; vertical-align: top }
.nocturne-table :is(thead, tbody tr) { border-bottom: 1px solid #9e9e9e66 }
.nocturne-table :is(.published, .ours, .verdict, .row-note) { display: block; line-height: 1.4 }
.nocturne-table .ours { font-weight: 600 }
.nocturne-table .published + .ours::before { content: "ours "; font-weight: 400 }
.nocturne-table :is(.verdict, .row-note, .notes) { font-size: 0.85em; opacity: 0.75; font-weight: 400 }
</style>"""


class Field:
    """One parameter: a control of its kind, and beside it a hint, or what is wrong with the value."""

    def __init__(self, parameter: Parameter, value: Any) -> None:
        import ipywidgets as widgets

        self.parameter = parameter
        look = {
            "description": parameter.name,
            "style": {"description_width": NAME_WIDTH},
            "layout": widgets.Layout(width=FIELD_WIDTH, flex="0 0 auto"),
        }
        if options := choices(parameter):
            self.control: Any = widgets.Dropdown(options=options, value=value, **look)
        elif parameter.type == "bool":
            self.control = widgets.Checkbox(value=value, **look)
        else:
            empty = "embedded data" if parameter.is_path else ""
            self.control = widgets.Text(as_text(value), placeholder=empty, continuous_update=False, **look)
        self.beside = widgets.HTML()
        self.say("")
        self.row = widgets.HBox([self.control, self.beside])

    def say(self, wrong: str) -> None:
        """Show what is wrong with the value, or the hint where nothing is."""
        self.beside.value = _coloured(wrong, RED) if wrong else _coloured(hint(self.parameter), GREY)


class LaunchForm:
    """The form; `box` is what a notebook shows.

    Choosing a paper, a notebook or a profile changes what stands below it. A value that the schema does not admit is
    said beside its field, and nothing can be run until it is mended. One run at a time, in a process of its own.
    Raises SpecError where there is no notebook.
    """

    def __init__(self) -> None:
        import ipywidgets as widgets

        papers = papers_with_notebooks()
        if not papers:
            raise SpecError("there is no notebook to run; start from a checkout, or set NOCTURNE_NOTEBOOKS")
        self.paper = widgets.Dropdown(description="paper", options=papers, value=papers[0])
        self.notebook = widgets.Dropdown(description="notebook")
        self.profile = widgets.Dropdown(description="profile")
        self.title, self.command, self.said, self.table = (widgets.HTML() for _ in range(4))
        self.fields: dict[str, Field] = {}
        self.rows = widgets.VBox()
        self.run_button = widgets.Button(description="Run", icon="play", button_style="primary")
        self.stop_button = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.progress = widgets.IntProgress(min=0, max=1, layout=widgets.Layout(width=FIELD_WIDTH))
        self.run: BackgroundRun | None = None
        self._is_filling = False
        choosing = widgets.HBox([self.paper, self.notebook, self.profile], layout=widgets.Layout(flex_flow="row wrap"))
        acting = widgets.HBox([self.run_button, self.stop_button, self.progress])
        self.box = widgets.VBox([choosing, self.title, self.rows, self.command, acting, self.said, self.table])
        self.run_button.on_click(lambda _: self._start())
        self.stop_button.on_click(lambda _: self._stop())
        for chooser, show in (
            (self.paper, self._show_notebooks),
            (self.notebook, self._show_profiles),
            (self.profile, self._show_fields),
        ):
            chooser.observe(lambda _, show=show: self._is_filling or show(), names="value")
        self._show_notebooks()

    def filled(self) -> Filled:
        """The form as it is filled in now; SpecError where the profile's file is not sound."""
        held = {name: field.control.value for name, field in self.fields.items()}
        return fill_in(self._chosen(), self.profile.value, held)

    def _chosen(self) -> Notebook:
        return find_notebook(self.notebook.value)

    @contextmanager
    def _filling(self) -> Iterator[None]:
        """While a list of choices is replaced, its choice means nothing."""
        self._is_filling = True
        try:
            yield
        finally:
            self._is_filling = False

    def _show_notebooks(self) -> None:
        ids = [notebook.id for notebook in list_notebooks() if notebook.paper == self.paper.value]
        with self._filling():
            self.notebook.options = [(notebook_id.rpartition("/")[2], notebook_id) for notebook_id in ids]
            self.notebook.value = ids[0]
        self._show_profiles()

    def _show_profiles(self) -> None:
        notebook = self._chosen()
        self.title.value = f"<b>{escape(title_of(notebook.paper))}</b>: {escape(notebook.title)}"
        with self._filling():
            self.profile.options = notebook.profiles
            self.profile.value = DEFAULT_PROFILE
        self._show_fields()

    def _show_fields(self) -> None:
        try:
            values = first_values(self._chosen(), self.profile.value)
            self.fields = {it.name: Field(it, values[it.name]) for it in fields(self._chosen())}
        except LabError as error:
            self.fields = {}
            self._refuse(str(error))
        for field in self.fields.values():
            field.control.observe(lambda _: self._check(), names="value")
        self.rows.children = [field.row for field in self.fields.values()]
        if self.fields:
            if not self._is_running:
                self.said.value = ""
            self._check()

    def _check(self) -> Filled | None:
        """Say beside each field what is wrong with it; the form as filled in, None where it can't be run."""
        try:
            filled = self.filled()
        except LabError as error:
            self._refuse(str(error))
            return None
        for name, field in self.fields.items():
            field.say(filled.wrong.get(name, ""))
        same = f"The same on a command line: <code>{escape(filled.command)}</code>"
        self.command.value = "" if filled.wrong else same
        self.run_button.disabled = bool(filled.wrong) or self._is_running
        return None if filled.wrong else filled

    def _refuse(self, said: str) -> None:
        self.command.value = ""
        self.run_button.disabled = True
        self.said.value = _coloured(said, RED)

    @property
    def _is_running(self) -> bool:
        return self.run is not None and not self.run.ending

    def _start(self) -> None:
        filled = self._check() if self.fields else None
        if filled is None or self._is_running:
            return
        self.run_button.disabled, self.stop_button.disabled = True, False
        self.progress.value, self.progress.max, self.progress.bar_style = 0, 1, ""
        self.said.value, self.table.value = _coloured(f"{filled.notebook.id} starts ...", GREY), ""
        self.run = BackgroundRun(filled, on_change=self._follow)

    def _stop(self) -> None:
        if self.run is not None and self._is_running:
            self.stop_button.disabled = True
            self.said.value = _coloured(f"{self.run.filled.notebook.id} is being stopped ...", GREY)
            self.run.stop()

    def _follow(self, run: BackgroundRun) -> None:
        """Show where the run stands; called from its thread."""
        self.progress.max, self.progress.value = max(1, run.total_cells), run.num_cells
        if not run.ending:
            if not self.stop_button.disabled:
                told = f"{run.filled.notebook.id}: {run.num_cells} of {run.total_cells} cells"
                self.said.value = _coloured(told, GREY)
            return
        is_done = run.ending == "done"
        if is_done:
            self.progress.value = self.progress.max
            self.table.value = table_of(run.filled.notebook.paper)
        self.progress.bar_style = "success" if is_done else "danger"
        self.stop_button.disabled = True
        self._check()
        self.said.value = _coloured(run.said, GREY if is_done else RED)


def title_of(paper: str) -> str:
    """The paper's title, or its name where `data/papers` does not have it."""
    try:
        return load_paper(paper).title
    except SpecError:
        return paper


def table_of(paper: str) -> str:
    """The paper's tables with what the store holds, as HTML; one sentence where there is nothing to show."""
    try:
        if not load_tables(paper) and not any(record.scores for record in records(paper)):
            return _coloured(f"No run of {paper} has noted a score.", GREY)
        return f'{TABLE_STYLE}<div class="nocturne-table">{render(paper, "html")}</div>'
    except LabError as error:
        return _coloured(f"No table to show: {error}", GREY)


def _coloured(text: str, colour: str) -> str:
    return f'<span style="color: {colour}">{escape(text)}</span>'
