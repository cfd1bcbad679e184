"""The command `nocturne sweep`: what it takes, the progress it shows, the table at its end."""

import sys
from collections.abc import Mapping, Sequence
from typing import Annotated

import typer

from lib.bench.axes import zip_from_text
from lib.bench.console import duration, print_columns, split_pairs
from lib.bench.plan import Plan
from lib.bench.sweeps import Progress, Sweep, estimate_s, find_sweep, list_sweeps, run_plans

BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} cells in {elapsed}{postfix}"


def sweep(
    name: Annotated[str, typer.Argument(help="A declared sweep or a notebook.", show_default=False)] = "",
    parameter: Annotated[list[str] | None, typer.Option("-p", help="name=first:last:step or name=x,y.")] = None,
    zips: Annotated[list[str] | None, typer.Option("--zip", help="a,b: axes that step together.")] = None,
    seeds: Annotated[int, typer.Option(min=0, help="Seeds 0, 1, ...; 0 leaves the notebook's.")] = 0,
    profile: Annotated[str, typer.Option(help="Sizes and data: smoke, teach or paper.", show_default=False)] = "",
    workers: Annotated[int, typer.Option(min=0, help="Processes here; 0: one a GPU, else one a core.")] = 0,
    scheduler: Annotated[str, typer.Option(help="A running Dask scheduler, tcp://HOST:PORT.", show_default=False)] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the cells and the time they would take.")] = False,
) -> None:
    """Run a notebook over a grid of parameters on many processes; what is in the store is not run again."""
    if not name:
        print_columns([(it.id, f"{len(it.cells())} cells of {it.notebook}", it.about) for it in list_sweeps()])
        return
    groups = [zip_from_text(text) for text in zips or []]
    chosen = find_sweep(name).but(profile=profile, axes=split_pairs(parameter or []), zips=groups, seeds=seeds)
    plans = chosen.plans()
    todo = [plan for plan in plans if plan.cached() is None]
    workers = workers or workers_for(todo)
    if dry_run:
        for plan in plans:
            typer.echo(f"{'to run' if plan in todo else 'done  '}  {chosen.label(plan)}")
    typer.echo(_headline(chosen, plans, todo, workers=workers, scheduler=scheduler))
    if dry_run:
        return
    try:
        if todo:
            labels = {plan.key: chosen.label(plan) for plan in plans}
            run_on_workers(plans, labels, workers=workers, scheduler=scheduler)
    finally:
        _show_summary(chosen, plans)


def _show_summary(chosen: Sweep, plans: Sequence[Plan]) -> None:
    """Print the table of what is complete and where it was written; a notebook with many rows has none."""
    from lib.bench.summary import summarise, write_summary

    found = summarise(chosen, plans)
    if not found.rows:
        return
    if not found.units:
        typer.echo("no score is one number a cell; see `nocturne runs --scores` or `nocturne table`")
        return
    head, *lines = found.table()
    print_columns(lines, header=head)
    for file in write_summary(found):
        typer.echo(str(file))


def run_on_workers(
    plans: Sequence[Plan], labels: Mapping[str, str], *, workers: int, scheduler: str = "", force: bool = False
) -> None:
    """Run what is not done, with a bar on a terminal and a line a cell; exit code 1 when one failed.

    labels: what each plan is called, by its key.
    """
    from tqdm import tqdm

    with tqdm(total=len(plans), bar_format=BAR, disable=None, leave=False) as bar:

        def show(progress: Progress) -> None:
            bar.n = progress.done + len(progress.failed)
            bar.set_postfix_str(f"{progress.running} running, {len(progress.failed)} failed{_time_left(progress)}")

        def tell(plan: Plan, said: str, progress: Progress) -> None:
            number = f"{progress.done + len(progress.failed):>{len(str(len(plans)))}}/{len(plans)}"
            tqdm.write(f"[{number}] {labels[plan.key]}: {said}{_time_left(progress)}", file=sys.stdout)
            sys.stdout.flush()
            show(progress)

        try:
            progress = run_plans(plans, workers=workers, scheduler=scheduler, force=force, on_start=show, on_cell=tell)
        except KeyboardInterrupt as stop:
            done = f"{sum(plan.cached() is not None for plan in plans)} of {len(plans)} cells done"
            tqdm.write(f"nocturne: interrupted with {done}; the same call goes on", file=sys.stderr)
            raise typer.Exit(1) from stop
    typer.echo(f"{progress.done} of {len(plans)} cells done, {len(progress.failed)} failed")
    for key, said in progress.failed.items():
        typer.echo(f"nocturne: {labels[key]}: {said}", err=True)
    if progress.failed:
        raise typer.Exit(1)


def workers_for(todo: Sequence[Plan]) -> int:
    """Worker processes for these plans where nobody says how many."""
    if not todo:
        return 1
    from lib.bench.cluster import default_workers

    return default_workers(len(todo), wants_gpu=any(plan.values["device"] != "cpu" for plan in todo))


def _headline(chosen: Sweep, plans: list[Plan], todo: list[Plan], *, workers: int, scheduler: str) -> str:
    head = f"{chosen.id or chosen.notebook} at {chosen.profile}: {len(plans)} cells of {chosen.notebook}"
    if not todo:
        return f"{head}, all done before"
    where = f"at {scheduler}" if scheduler else f"on {workers} worker{'s' * (workers > 1)}"
    seconds = None if scheduler else estimate_s(todo, workers=workers)
    told = f"about {duration(seconds)}" if seconds is not None else "no run yet to tell the time from"
    return f"{head}, {len(plans) - len(todo)} done before, {len(todo)} to run {where}: {told}"


def _time_left(progress: Progress) -> str:
    seconds = progress.left_s()
    return f", about {duration(seconds)} left" if seconds and progress.left else ""
