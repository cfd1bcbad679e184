"""Who helps whom: what each step does to the measures of the tasks after it, over watches of several seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from lib.metrics.measure import Measure
from lib.night_watch.chain import BRIGHTENED, ENHANCED, ENHANCED_IN_DAY, NIGHT, NIGHT_IN_DAY
from lib.night_watch.measure import MEAN_OF_ALL, MEAN_OF_STILL, MEASURES
from lib.seeds import Change, paired_change
from lib.show.scores import Scores, column_of
from lib.show.tables import Table, table

DIGITS = {"dB": 1, "%": 1, "1": 2}
PICTURE, MOVERS, TARGET, ROOM = "psnr", "j", "aor", "iu"
TASKS = (PICTURE, MOVERS, TARGET, ROOM)
Place = tuple[str, str]  # a row of the scores, a measure


@dataclass(frozen=True)
class Step:
    """A step, and for each task that comes after it where the score without the step stands, and where that with it."""

    name: str
    places: dict[str, tuple[Place, Place]]


def _swap(name: str, before: str, after: str, tasks: Sequence[str] = TASKS) -> Step:
    """A step that replaces the video that the tasks get."""
    return Step(name, {task: ((before, task), (after, task)) for task in tasks})


STEPS = (
    _swap("brightening by a gain", NIGHT, BRIGHTENED),
    _swap("enhancement", NIGHT, ENHANCED),
    _swap("enhancement rather than a gain", BRIGHTENED, ENHANCED),
    _swap("enhancement before fusion", NIGHT_IN_DAY, ENHANCED_IN_DAY),
    _swap("fusion with the day", ENHANCED, ENHANCED_IN_DAY),
    Step("background filter", {TARGET: ((ENHANCED, "aor_without"), (ENHANCED, TARGET))}),
    Step("discovery", {ROOM: ((MEAN_OF_ALL, ROOM), (MEAN_OF_STILL, ROOM))}),
    _swap("enhancement and fusion", NIGHT, ENHANCED_IN_DAY),
)


@dataclass(frozen=True)
class Effect:
    """What one step does to one task: means over the seeds before and after it, and the change with its verdict."""

    step: str
    task: str
    before: float
    after: float
    change: Change


def effects(scores: Scores) -> list[Effect]:
    """All effects that the scores (row -> measure -> one value a seed) tell of, in the order of STEPS and TASKS.

    The change is taken seed by seed, so that what is hard or easy about a room drops out; see lib.seeds for verdicts.
    """
    found = []
    for step in STEPS:
        for task, (before, after) in step.places.items():
            values = [dict(enumerate(scores[row][measure])) for row, measure in (before, after)]
            change = paired_change(*values, better=MEASURES[task].better)
            mean_before, mean_after = (fmean(one.values()) for one in values)
            found.append(Effect(step.name, task, mean_before, mean_after, change))
    return found


def effect_table(found: Sequence[Effect]) -> Table:
    """Rows are steps, columns the tasks after them: before -> after, the change with its 95 % interval, the verdict."""
    by_place = {(one.step, one.task): one for one in found}
    rows: list[list[object]] = [
        [step.name, *(_cell(by_place[step.name, task]) if task in step.places else "-" for task in TASKS)]
        for step in STEPS
    ]
    return table(rows, ["step", *(column_of(MEASURES[task]) for task in TASKS)])


def _cell(effect: Effect) -> str:
    """One effect as text, with a word for what it shows."""
    digits = DIGITS[MEASURES[effect.task].unit]
    change = effect.change
    moved = f"{effect.before:.{digits}f} → {effect.after:.{digits}f} ({change.mean:+.{digits}f}"
    half_width = "" if change.num_pairs == 1 else f" ± {change.mean - change.low:.{digits}f}"
    word = {"better": " helps", "worse": " hurts"}.get(change.verdict, "")
    return f"{moved}{half_width}){word}"


def effect_entries(found: Sequence[Effect], *, data: str) -> list[dict[str, Any]]:
    """The effects as keyword arguments of a run's `add_score`, the change as value, in the table `who helps whom`."""
    return [
        {
            "table": "who helps whom",
            "row": one.step,
            "column": f"change of {measure.name}",
            "value": one.change.mean,
            "unit": measure.unit,
            "better": measure.better,
            "protocol": f"{measure.protocol}; with the step minus without it, mean over {one.change.num_pairs} rooms",
            "data": data,
            "interval": None if one.change.num_pairs == 1 else (one.change.low, one.change.high),
        }
        for one in found
        for measure in [_measure(one)]
    ]


def _measure(effect: Effect) -> Measure:
    return MEASURES[effect.task]


def quality_floor(scores: Scores) -> dict[str, bool]:
    """What must hold of any run on simulated rooms, by means over them: statement -> whether it does."""
    mean = {(row, measure): fmean(values) for row, held in scores.items() for measure, values in held.items()}
    return {
        "enhanced and fused is 10 dB nearer to daylight than the night": mean[ENHANCED_IN_DAY, PICTURE]
        > mean[NIGHT, PICTURE] + 10,
        "discovery finds the walker in it: mean J above 50 %": mean[ENHANCED_IN_DAY, MOVERS] > 50,
        "the filter keeps the small target in the enhanced video: AOR above 0.6": mean[ENHANCED, TARGET] > 0.6,
        "the labeller sees more of the room in it than at night": mean[ENHANCED_IN_DAY, ROOM] > mean[NIGHT, ROOM],
    }
