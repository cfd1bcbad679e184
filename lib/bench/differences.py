"""Two runs side by side: what changed between them, and what that did to their scores."""

import subprocess
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lib.bench.plan import KEY_LENGTH, changes_between
from lib.bench.record import Record, Score, all_records
from lib.errors import SpecError
from lib.seeds import Change, paired_change

Place = tuple[str, str, str, str, str]
WHOLE = "the whole run"


@dataclass(frozen=True)
class ScoreChange:
    """One score that both runs have; `change` is over the seeds that both were run at."""

    score: Score
    before: float
    after: float
    change: Change


@dataclass(frozen=True)
class Difference:
    """What changed between two runs, in phrases, and how each score moved; scores of one side only are counted."""

    before: Record
    after: Record
    seeds: tuple[int, ...]
    changes: tuple[str, ...]
    scores: tuple[ScoreChange, ...]
    only_before: int
    only_after: int


def find_record(name: str, *, runs: Sequence[Record] | None = None) -> Record:
    """The record of a key, or of the beginning of one, or of a run's folder.

    Raises SpecError where none or more than one has it.
    """
    known = all_records() if runs is None else runs
    key = Path(name).name if "/" in name else name
    found = [record for record in known if record.key.startswith(key.lower())] if key else []
    if not found:
        raise SpecError(f"no run {name!r}; `nocturne runs` lists the keys")
    if len(found) > 1:
        keys = ", ".join(record.key[:KEY_LENGTH] for record in found)
        raise SpecError(f"{name!r} is the beginning of several runs: {keys}; give more of the key")
    return found[0]


def compare_runs(before: Record, after: Record, *, runs: Iterable[Record] | None = None) -> Difference:
    """What changed from one run to the other, and what that did to the scores.

    The runs' siblings, which differ from them in nothing but the seed, take part: each score is compared over the
    seeds that both sides have. Where there are none, or the seed alone differs, the two runs are the one pair.
    runs: where to look for siblings, by default the whole store.
    """
    known = list(all_records() if runs is None else runs)
    left, right = _by_seed(before, known), _by_seed(after, known)
    seeds = sorted(left.keys() & right.keys())
    # two that differ in the seed alone are each other's siblings: comparing these would compare all with themselves
    if not seeds or _but_seed(before) == _but_seed(after):
        left, right, seeds = {0: before}, {0: after}, [0]
        paired: tuple[int, ...] = ()
    else:
        paired = tuple(seeds)
    scores = []
    for score, find in _comparable(before, after):
        found = [{seed: find(side[seed]) for seed in seeds} for side in (left, right)]
        values = [{seed: it.value for seed, it in side.items() if it is not None} for side in found]
        common = values[0].keys() & values[1].keys()
        if common:
            means = [sum(side[seed] for seed in common) / len(common) for side in values]
            change = paired_change(values[0], values[1], better=score.better)
            scores.append(ScoreChange(score, means[0], means[1], change))
    places = [set(_scores(record)) for record in (before, after)]
    return Difference(
        before,
        after,
        paired,
        tuple(what_changed(before, after)),
        tuple(scores),
        only_before=len(places[0] - places[1]),
        only_after=len(places[1] - places[0]),
    )


def what_changed(before: Record, after: Record) -> list[str]:
    """Phrases on notebook, source, parameters, data, versions and machine; empty where all are the same."""
    changes = []
    if before.notebook != after.notebook:
        changes.append(f"notebook {before.notebook} -> {after.notebook}")
    changes += changes_between(before.key_parts, after.key_parts)
    changes += _commits(before, after)
    origins = [{origin.name: origin.sha256 for origin in record.origins} for record in (before, after)]
    for name in sorted(origins[0].keys() | origins[1].keys()):
        if name not in origins[1]:
            changes.append(f"data no longer {name!r}")
        elif name not in origins[0]:
            changes.append(f"data now {name!r}")
        elif origins[0][name] != origins[1][name]:
            changes.append(f"content of {name!r}")
    pairs = [("device", before.device, after.device), ("processor", before.hardware.cpu, after.hardware.cpu)]
    pairs.append(("gpu in use", before.hardware.gpu or "none", after.hardware.gpu or "none"))
    return changes + [f"{name} {old} -> {new}" for name, old, new in pairs if old != new]


def _by_seed(record: Record, known: Iterable[Record]) -> dict[int, Record]:
    """The record and its siblings, by seed; of two at one seed the newest, and the record itself before all."""
    found: dict[int, Record] = {}
    for other in known:
        if other.notebook == record.notebook and _but_seed(other) == _but_seed(record):
            found.setdefault(other.seed, other)
    return found | {record.seed: record}


def _but_seed(record: Record) -> dict[str, object]:
    parameters = {name: value for name, value in record.key_parts.get("parameter", {}).items() if name != "seed"}
    return record.key_parts | {"parameter": parameters}


def _scores(record: Record) -> dict[Place, Score]:
    return {(it.table, it.row, it.column, it.data, it.unit): it for it in record.scores}


def _at(place: Place, record: Record) -> Score | None:
    return _scores(record).get(place)


def _measured(name: str, record: Record) -> Score | None:
    return record.measures.get(name)


def _comparable(before: Record, after: Record) -> list[tuple[Score, Callable[[Record], Score | None]]]:
    """Each score of `after` that `before` has too, and where any run has it.

    Cells of a sweep differ in table and row: there the measures of the whole run are compared, by their column.
    """
    held = _scores(before)
    found: list[tuple[Score, Callable[[Record], Score | None]]] = [
        (score, partial(_at, place)) for place, score in _scores(after).items() if place in held
    ]
    named = {score.column for score, _ in found}
    for name, score in after.measures.items():
        other = before.measures.get(name)
        if name not in named and other is not None and (other.unit, other.data) == (score.unit, score.data):
            found.append((replace(score, table=WHOLE, row=""), partial(_measured, name)))
    return found


def _commits(before: Record, after: Record) -> list[str]:
    """The two commits, and which files of the source differ between them, where git knows both."""
    old, new = before.code.git_commit, after.code.git_commit
    if before.code.lib_sha256 == after.code.lib_sha256 or not (old and new) or old == new:
        return []
    from lib.bench.provenance import LIB

    command = ["git", "-C", str(LIB.parent), "diff", "--name-only", old, new, "--", "lib"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        done = None
    files = done.stdout.split() if done is not None and done.returncode == 0 else []
    listed = f": {', '.join(files[:8])}{' and others' if len(files) > 8 else ''}" if files else ""
    dirty = " (with uncommitted changes)" if before.code.git_dirty or after.code.git_dirty else ""
    return [f"commit {old[:10]} -> {new[:10]}{dirty}{listed}"]
