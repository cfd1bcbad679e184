"""Sweeps: one notebook at many settings, declared in a file or on the command line, planned, run and summed up.

A sweep file is `notebooks/<paper>/sweeps/<name>.yaml`, and `<paper>/<name>` its id:

    about: what it asks, one sentence
    notebook: fodvid/4_cell
    profile: smoke
    axes:                       # values as a list, or a text as on the command line
      tau: "0:0.4:0.05"
      alpha: [0.2, 0.7]
    zip: [[tau, alpha]]         # step together instead of making a grid; may be left out
    seeds: 3                    # 0, 1, 2; may be left out
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib.bench.axes import Values, axis_from_text, axis_from_yaml, cells_of
from lib.bench.catalogue import DEFAULT_PROFILE, find_notebook, list_notebooks, notebooks_root
from lib.bench.plan import Plan, make_plans
from lib.bench.record import Record, all_records
from lib.bench.schema import Parameter, nearest, read_schema
from lib.errors import SpecError

FIELDS = ("about", "notebook", "profile", "axes", "zip", "seeds")


@dataclass(frozen=True)
class Sweep:
    """One notebook over a grid of parameters; `axes` holds checked values, `zips` the groups that step together."""

    notebook: str
    profile: str = DEFAULT_PROFILE
    axes: dict[str, Values] = field(default_factory=dict)
    zips: tuple[tuple[str, ...], ...] = ()
    id: str = ""
    about: str = ""

    def cells(self) -> list[dict[str, Any]]:
        """Parameters of every cell; errors as in `cells_of`."""
        return cells_of(self.axes, self.zips)

    def plans(self) -> list[Plan]:
        """Checked plan of every cell, those of equal key once; errors as in `make_plan`."""
        plans = make_plans(find_notebook(self.notebook), profile=self.profile, cells=self.cells())
        return list({plan.key: plan for plan in plans}.values())

    def label(self, plan: Plan) -> str:
        """The cell as people name it: its place on the axes that have more than one value."""
        names = [name for name, values in self.axes.items() if len(values) > 1] or list(self.axes)
        return ", ".join(f"{name} {plan.values[name]}" for name in names) or "the notebook as it is"

    def but(
        self,
        *,
        profile: str = "",
        axes: Mapping[str, str] | None = None,
        zips: Sequence[Sequence[str]] = (),
        seeds: int = 0,
    ) -> "Sweep":
        """The sweep with what a command line says: axes as text replace or join its own, groups replace its own.

        seeds: that many, from 0 on; 0 leaves them. Raises SpecError for what the notebook's parameters do not admit.
        """
        schema = read_schema(find_notebook(self.notebook).path)
        texts = dict(axes or {})
        if seeds and "seed" in texts:
            raise SpecError("give --seeds or -p seed=..., not both")
        parsed = {name: axis_from_text(_parameter(self.notebook, schema, name), text) for name, text in texts.items()}
        merged = {**self.axes, **parsed}
        if seeds:
            merged["seed"] = seed_values(seeds)
        seed = {"seed": merged.pop("seed")} if "seed" in merged else {}
        chosen = tuple(map(tuple, zips)) or self.zips
        return replace(self, profile=profile or self.profile, axes=merged | seed, zips=chosen)


def seed_values(count: Any) -> Values:
    """Seeds 0, 1, ... of a sweep over so many; SpecError for a count below 1."""
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise SpecError(f"seeds must be a whole number from 1 on: got {count!r}")
    return list(range(count))


def list_sweeps(paper: str = "*") -> list[Sweep]:
    """Every declared sweep, of one paper or of all, sorted by id; SpecError for a file that breaks the form."""
    return [_read(file) for file in sorted(notebooks_root().glob(f"{paper}/sweeps/*.yaml"))]


def find_sweep(name: str) -> Sweep:
    """The sweep of that id (`paper/name`), or a bare one over a notebook; SpecError with the nearest names else."""
    file = notebooks_root() / Path(name).parent / "sweeps" / f"{Path(name).name}.yaml"
    if name.count("/") == 1 and file.is_file():
        return _read(file)
    ids = [notebook.id for notebook in list_notebooks()]
    if name in ids:
        return Sweep(name)
    declared = [f"{it.parent.parent.name}/{it.stem}" for it in sorted(notebooks_root().glob("*/sweeps/*.yaml"))]
    raise SpecError(f"no declared sweep and no notebook {name!r}{nearest(name, [*declared, *ids])}")


def estimate_s(plans: Sequence[Plan], *, workers: int, records: Sequence[Record] | None = None) -> float | None:
    """Seconds that so many workers need for the plans, from what the same notebook took at this profile; None if never.

    Each plan is taken to last as long as the median of the runs that are nearest to it: those that share the largest
    number of its values.
    """
    known = all_records() if records is None else records
    taken: list[float] = []
    for plan in plans:
        same = [it for it in known if (it.notebook, it.profile) == (plan.notebook.id, plan.values["profile"])]
        if not same:
            return None
        shared = [sum(it.parameters.get(name) == value for name, value in plan.values.items()) for it in same]
        near = [it.wall_time_s for it, count in zip(same, shared, strict=True) if count == max(shared)]
        taken.append(statistics.median(near))
    # no shorter than its longest cell
    return max(sum(taken) / min(workers, len(plans)), max(taken)) if plans else 0.0


@dataclass
class Progress:
    """Where a sweep stands; `durations` are those of the cells that this call has done, in seconds."""

    total: int
    workers: int
    cached: int = 0
    durations: list[float] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """Cells with a complete record."""
        return self.cached + len(self.durations)

    @property
    def left(self) -> int:
        """Cells that run or wait."""
        return self.total - self.done - len(self.failed)

    @property
    def running(self) -> int:
        """Cells that run now."""
        return min(self.workers, self.left)

    def left_s(self) -> float | None:
        """Seconds to the end, by the mean of the cells so far; None before the first."""
        if not self.durations:
            return None
        return statistics.mean(self.durations) * -(-self.left // max(1, self.workers))


def run_plans(
    plans: Sequence[Plan],
    *,
    workers: int,
    scheduler: str = "",
    force: bool = False,
    on_start: Callable[[Progress], object] = lambda progress: None,
    on_cell: Callable[[Plan, str, Progress], object] = lambda plan, said, progress: None,
) -> Progress:
    """Run every plan that the store does not hold, or every one by `force`, here or at a running scheduler.

    workers: processes on this machine. scheduler: address such as tcp://host:8786 instead.
    on_start: called once workers are there. on_cell: called with each cell that ended and one phrase about it.
    A failing cell does not stop the others; it is in the result. Raises Unavailable when there is no scheduler or it
    goes away; KeyboardInterrupt passes through when all workers have been stopped.
    """
    from lib.bench import cluster
    from lib.bench.runner import clean_leftovers

    todo = [plan for plan in plans if force or plan.cached() is None]
    progress = Progress(len(plans), workers, cached=len(plans) - len(todo))
    if not todo:
        return progress
    wants_gpu = any(plan.values["device"] != "cpu" for plan in todo)
    opened = (
        cluster.remote_cluster(scheduler)
        if scheduler
        else cluster.local_cluster(min(workers, len(todo)), wants_gpu=wants_gpu)
    )
    try:
        with opened as client:
            progress.workers = cluster.num_workers(client)
            on_start(progress)
            for plan, outcome in cluster.outcomes(client, todo, force=force):
                progress.workers = cluster.num_workers(client)
                if outcome.error:
                    progress.failed[plan.key] = outcome.error
                    on_cell(plan, "failed", progress)
                else:
                    progress.durations.append(outcome.seconds)
                    on_cell(plan, f"{outcome.seconds:.1f} s", progress)
    finally:
        for home in {plan.home for plan in todo}:
            clean_leftovers(home)
    return progress


def sweep(
    name: str,
    *,
    profile: str = "",
    axes: Mapping[str, str] | None = None,
    zips: Sequence[Sequence[str]] = (),
    seeds: int = 0,
    workers: int = 1,
    scheduler: str = "",
) -> list[Record]:
    """Records of all cells of a sweep, run where they are not there yet, in the order of the cells.

    name: a declared sweep or a notebook. axes: values by parameter as on the command line, {"tau": "0:0.4:0.05"}.
    zips, seeds: as in `Sweep.but`. Raises SpecError before anything starts, LabError with the causes when cells failed.
    """
    from lib.errors import LabError

    plans = find_sweep(name).but(profile=profile, axes=axes, zips=zips, seeds=seeds).plans()
    progress = run_plans(plans, workers=workers, scheduler=scheduler)
    if progress.failed:
        raise LabError(f"{len(progress.failed)} of {len(plans)} cells failed: {'; '.join(progress.failed.values())}")
    found = [plan.cached() for plan in plans]
    return [record for record in found if record is not None]


def _read(file: Path) -> Sweep:
    import yaml

    name = f"{file.parent.parent.name}/{file.stem}"
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SpecError(f"sweep {name} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not {"notebook", "axes"} <= set(content) <= set(FIELDS):
        raise SpecError(f"sweep {name} needs notebook and axes and may have {', '.join(FIELDS)}: got {content!r}")
    notebook = find_notebook(str(content["notebook"]))
    schema = read_schema(notebook.path)
    try:
        axes = {
            key: axis_from_yaml(_parameter(notebook.id, schema, key), value) for key, value in content["axes"].items()
        }
        if "seeds" in content:
            axes["seed"] = seed_values(content["seeds"])
    except SpecError as error:
        raise SpecError(f"sweep {name}: {error}") from error
    zips = tuple(tuple(names) for names in content.get("zip", ()))
    profile = content.get("profile", DEFAULT_PROFILE)
    return Sweep(notebook.id, profile, axes, zips, id=name, about=content.get("about", ""))


def _parameter(notebook: str, schema: Mapping[str, Parameter], name: str) -> Parameter:
    if name == "profile":
        raise SpecError("profile is chosen by its own argument (--profile NAME), not as a parameter")
    if name not in schema:
        raise SpecError(f"{notebook} has no parameter {name!r}{nearest(name, schema)}")
    return schema[name]
