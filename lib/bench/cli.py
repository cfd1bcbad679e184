"""The command `nocturne`: notebooks, sweeps, records, tables, and the papers' commands for footage and speed."""

import importlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from lib import __version__
from lib.bench.catalogue import DEFAULT_PROFILE, find_notebook, list_notebooks, notebooks_root, values_from_text
from lib.bench.cli_store import diff, prune, runs
from lib.bench.cli_sweep import run_on_workers, sweep, workers_for
from lib.bench.console import print_columns, split_pairs
from lib.bench.schema import nearest, read_schema
from lib.errors import LabError, SpecError

if TYPE_CHECKING:
    from lib.bench.layout import Format
    from lib.data.weights import WeightsFile

LIB = Path(__file__).resolve().parent.parent

app = typer.Typer(
    help="Reproduce vision papers about seeing in the dark: run their notebooks, compare, report.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class PapersWithApply(typer.core.TyperGroup):
    """One command per paper that has an `apply` module; the module is imported when its command is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Papers in the order of their names."""
        return papers_with("apply")

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The paper's `apply` function as a command."""
        module = _paper_module(cmd_name, "apply")
        single = typer.Typer(add_completion=False)
        single.command(cmd_name)(module.apply)
        return typer.main.get_command(single)


app.add_typer(
    typer.Typer(cls=PapersWithApply, no_args_is_help=True), name="apply", help="Apply a paper's method to footage."
)


@app.callback()
def nocturne(
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.", is_eager=True)] = False,
) -> None:
    """Reproduce vision papers about seeing in the dark: run their notebooks, compare, report."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command("list")
def list_(
    notebook: Annotated[str, typer.Argument(help="Show the parameters of this notebook.", show_default=False)] = "",
) -> None:
    """Show the notebooks with their profiles, or the parameters of one."""
    if not notebook:
        notebooks = list_notebooks()
        print_columns([(it.id, ", ".join(it.profiles), it.title) for it in notebooks])
        return
    schema = read_schema(find_notebook(notebook).path)
    print_columns(
        [(p.name, p.type, repr(p.default), p.range, p.unit, p.help) for p in schema.values()],
        header=("parameter", "type", "default", "range", "unit", "help"),
    )


@app.command()
def run(
    notebooks: Annotated[list[str] | None, typer.Argument(help="Ids such as context_fusion/1_method.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Run every notebook.")] = False,
    profile: Annotated[str, typer.Option(help="Sizes and data: smoke, teach or paper.")] = DEFAULT_PROFILE,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=value; may be given again.")] = None,
    force: Annotated[bool, typer.Option(help="Run also what is already there.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one a GPU, else one a core.")] = 1,
) -> None:
    """Run notebooks; one that has already run with the same source, parameters and data is left alone."""
    from tqdm import tqdm

    from lib.bench.forks import ForkServer
    from lib.bench.plan import make_plan
    from lib.bench.runner import run_plan

    ids = [it.id for it in list_notebooks()] if every else list(dict.fromkeys(notebooks or []))
    if not ids:
        raise SpecError(f"name a notebook or use --all{nearest('', (it.id for it in list_notebooks()))}")
    pairs = split_pairs(parameter or [])
    chosen = [find_notebook(it) for it in ids]
    plans = [make_plan(it, profile=profile, parameters=values_from_text(it, pairs)) for it in chosen]
    todo = [plan for plan in plans if force or plan.cached() is None]
    workers = workers or workers_for(todo)
    if workers > 1:
        run_on_workers(plans, {plan.key: plan.notebook.id for plan in plans}, workers=workers, force=force)
        return
    forks = ForkServer() if ForkServer.is_possible() and len(todo) > 1 else None
    num_failed = 0
    with tqdm(total=sum(plan.num_cells for plan in todo), unit="cell", disable=None, leave=False) as bar:
        for plan in plans:
            bar.set_description(plan.notebook.id)
            try:
                result = run_plan(plan, force=force, on_cell=bar.update, forks=forks)
            except LabError as error:
                num_failed += 1
                tqdm.write(f"nocturne: {error}", file=sys.stderr)
                continue
            except KeyboardInterrupt as stop:
                tqdm.write(f"nocturne: {str(stop) or 'interrupted'}", file=sys.stderr)
                raise typer.Exit(1) from stop
            took = "" if result.cached else f"{result.record.wall_time_s:.1f} s, "
            tqdm.write(f"{plan.notebook.id} at {profile}: {took}{result.reason}")
    if num_failed:
        raise typer.Exit(1)


for command in (sweep, runs, diff, prune):
    app.command()(command)


@app.command()
def table(
    paper: Annotated[str, typer.Argument(help="A paper such as context_fusion.")],
    name: Annotated[
        str,
        typer.Argument(help="One table; none: all but the sweeps'.", show_default=False),
    ] = "",
    form: Annotated[str, typer.Option("--format", help="text | markdown | latex | csv | html")] = "text",
) -> None:
    """Print a paper's tables: published, ours, difference, verdict and why."""
    from lib.bench.tables import render

    typer.echo(render(paper, cast("Format", form), name))


@app.command()
def report(
    out: Annotated[Path | None, typer.Option(help="Folder to write to.", show_default="reports")] = None,
) -> None:
    """Write the report of all complete runs, one HTML file that needs no network, and print its path."""
    from lib.bench.report import write_report

    typer.echo(write_report(out))


@app.command()
def form() -> None:
    """Open JupyterLab on the first page, whose form takes a notebook's parameters and runs it."""
    from jupyterlab.labapp import main as open_lab  # type: ignore[import-untyped]

    page = find_notebook("start_here").path
    open_lab([f"--ServerApp.root_dir={page.parent}", f"--LabApp.default_url=/lab/tree/{page.name}"])


@app.command()
def doctor() -> None:
    """Show versions, device, threads, what is optional and missing, and whether folders can be written."""
    from lib.bench.doctor import examine

    checks = examine()
    print_columns([(check.mark, check.name, check.found) for check in checks])
    for check in checks:
        if check.advice:
            typer.echo(f"{check.name}: {check.advice}")
    if not all(check.is_good for check in checks if check.is_needed):
        raise typer.Exit(1)


@app.command()
def speed(
    paper: Annotated[str, typer.Argument(help="A paper such as context_fusion.")],
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; the median counts.")] = 5,
) -> None:
    """Time a paper's work on this machine against other libraries, in turn in one process."""
    races = _paper_module(paper, "speed").races()
    from lib.timing import run_races

    run_races(races, rounds=rounds)


@app.command()
def weights(
    name: Annotated[str, typer.Argument(help="Weights such as raft; none lists all.", show_default=False)] = "",
    download: Annotated[bool, typer.Option("--download", help="Fetch them, unless they are there.")] = False,
) -> None:
    """Show network weights: where they are, licence and checksum; fetch them when asked."""
    from lib.data.weights import list_weights, weights_file, weights_info

    if name:
        found = _download(name) if download else weights_file(name)
        rows = [("file", str(found.path)), ("sha256", found.sha256), ("licence", found.licence)]
        print_columns([*rows, ("about", weights_info(name).about), ("source", found.source)])
        return
    if download:
        raise SpecError("--download takes the name of the weights to fetch; `nocturne weights` lists them")
    print_columns([(it.name, "here" if it.is_here else "missing", it.about, it.licence) for it in list_weights()])


def papers_with(module: str) -> list[str]:
    """Papers that have notebooks and a module of that name, such as `apply` or `speed`."""
    found = (file.parent.name for file in sorted(LIB.glob(f"*/{module}.py")))
    return [paper for paper in found if (notebooks_root() / paper).is_dir()]


def main() -> None:
    """Run the command line: one sentence on stderr for an error, exit code 2 for a wrong name or value, else 1."""
    # a job that is stopped by its scheduler cleans up as on Ctrl-C
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except LabError as error:
        typer.echo(f"nocturne: {error}", err=True)
        sys.exit(2 if isinstance(error, SpecError) else 1)


def _paper_module(paper: str, module: str) -> Any:
    if paper not in papers_with(module):
        raise SpecError(f"no paper {paper!r} has this command{nearest(paper, papers_with(module))}")
    return importlib.import_module(f"lib.{paper}.{module}")


def _download(name: str) -> "WeightsFile":
    from tqdm import tqdm

    from lib.data.weights import download_weights

    with tqdm(unit="B", unit_scale=True, desc=name, disable=None, leave=False) as bar:

        def show(num_bytes: int, total: int) -> None:
            bar.total = total or None
            bar.update(num_bytes)

        return download_weights(name, on_bytes=show)
