"""The commands over the records: `nocturne runs`, `nocturne prune`, `nocturne diff`."""

from typing import TYPE_CHECKING, Annotated

import typer

from lib.bench.console import print_columns
from lib.errors import SpecError

if TYPE_CHECKING:
    import pandas as pd

    from lib.bench.differences import ScoreChange

SHOWN = ("key", "notebook", "profile", "seed", "changed", "started", "wall_time_s")
SHOWN_SCORES = ("key", "notebook", "seed", "changed", "table", "row", "column", "value", "unit")


def runs(
    where: Annotated[str, typer.Option(help="paper == 'fodvid' and tau > 0.2", show_default=False)] = "",
    scores: Annotated[bool, typer.Option("--scores", help="One line a score instead of one a run.")] = False,
    form: Annotated[str, typer.Option("--format", help="text, or csv with all columns")] = "text",
) -> None:
    """Show the records, chosen by an expression over paper, notebook, profile, parameters, times and machine."""
    from lib.bench.views import names_in, runs_frame, scores_frame

    if form not in ("text", "csv"):
        raise SpecError(f"format must be text or csv: got {form!r}")
    frame = scores_frame(where) if scores else runs_frame(where)
    if form == "csv":
        typer.echo(frame.to_csv(index=False), nl=False)
        return
    shown = SHOWN_SCORES if scores else SHOWN
    columns = [*shown, *(name for name in (names_in(where) if where else []) if name not in (*shown, "paper"))]
    print_columns([_texts(row, columns) for _, row in frame.iterrows()], header=tuple(columns))
    typer.echo(f"{len(frame)} {'scores' if scores else 'runs'}")


def prune(
    where: Annotated[str, typer.Option(help="The records to delete, as in `runs`.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it this only shows what would go.")] = False,
) -> None:
    """Free space: failed, half-done and superseded runs, or chosen ones; what a page refers to stays."""
    from lib.bench.prune import delete, find_waste
    from lib.paths import paths

    waste = find_waste(where)
    here = paths().runs
    print_columns([(f"{it.size_mib:.1f} MiB", str(it.folder.relative_to(here)), it.why) for it in waste])
    total = f"{sum(it.size_mib for it in waste):.1f} MiB in {len(waste)} folders of {here}"
    if not yes:
        typer.echo(f"{total} could go; delete them with --yes" if waste else "nothing to delete")
        return
    typer.echo(f"{delete(waste):.1f} MiB freed")


def diff(
    run_a: Annotated[str, typer.Argument(help="Key of a run, or its beginning.")],
    run_b: Annotated[str, typer.Argument(help="Key of the other run.")],
    every: Annotated[bool, typer.Option("--all", help="Show also scores that did not move.")] = False,
) -> None:
    """Show what changed from one run to another, and what that did to the scores, paired over seeds."""
    from lib.bench.differences import compare_runs, find_record

    found = compare_runs(find_record(run_a), find_record(run_b))
    typer.echo("changed: " + ("; ".join(found.changes) or "nothing that is recorded"))
    paired = (
        f"paired over seeds {', '.join(map(str, found.seeds))}" if found.seeds else "no seed in common, so unpaired"
    )
    typer.echo(f"scores: {len(found.scores)} in both, {paired}")
    moved = [it for it in found.scores if every or it.change.mean]
    if moved:
        header = ("table", "row", "column", "before", "after", "change", "95 % interval", "verdict")
        print_columns([_score_line(it) for it in moved], header=header)
    if still := len(found.scores) - len(moved):
        typer.echo(f"{still} did not move")
    if found.only_before or found.only_after:
        typer.echo(f"{found.only_before} only in the first, {found.only_after} only in the second")


def _texts(row: "pd.Series", columns: list[str]) -> tuple[str, ...]:
    import pandas as pd

    values = [row[name] for name in columns]
    return tuple("" if pd.isna(value) else f"{value:g}" if isinstance(value, float) else str(value) for value in values)


def _score_line(moved: "ScoreChange") -> tuple[str, ...]:
    score, change = moved.score, moved.change
    unit = "" if score.unit == "1" else f" {score.unit}"
    interval = f"{change.low:+.3g} .. {change.high:+.3g}" if change.num_pairs > 1 else "-"
    values = (f"{moved.before:.5g}{unit}", f"{moved.after:.5g}{unit}", f"{change.mean:+.3g}")
    return (score.table, score.row, score.column, *values, interval, change.verdict)
