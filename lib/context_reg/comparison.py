"""Hosts with and without the regulariser on one data set: paired trainings, tables, and entries of a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lib.context_reg.camvid_experiment import BUDGETS, WITH, run_camvid
from lib.context_reg.compare import ALONE, MEASURES, Run, paired_differences, read_runs, run_all, scores_of
from lib.context_reg.networks import Channels, Host, NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.context_reg.settings import RegularizationSettings
from lib.context_reg.train import Trained
from lib.data.camvid import ABOUT as CAMVID_ABOUT
from lib.data.labels import LabelledPicture
from lib.data.nyuv2_classes import CLASS_NAMES, SUPERCLASSES, class_names
from lib.data.origin import Origin
from lib.errors import SpecError
from lib.metrics.measure import Measure
from lib.show.plots import mean_interval
from lib.show.progress import progress
from lib.show.scores import column_of, score_entries
from lib.show.tables import Table, table

VARIANTS = (ALONE, WITH)
HOST_NAMES: dict[Host, str] = {"fcn32s": "FCN", "segnet": "SegNet"}  # as the paper's tables call them
COLUMNS = {"fw IU": "frequency-weighted IU"}  # measures that the paper's tables name otherwise
CAMVID = Origin(CAMVID_ABOUT.name, CAMVID_ABOUT.kind, CAMVID_ABOUT.licence, "", CAMVID_ABOUT.source)
CLEAR = "*"  # stands at a difference whose interval leaves out 0
FIRST = 2  # length of the training alone as a multiple of the one that both variants go on with
SLOWER = 0.4  # rate of the second training as a share of the first one's
# segnet: of lambda 0.05, 0.1, 0.2 the one that cost least mean IU on other rooms with a seed that no reported run has;
# fcn32s: that of the experiment on CamVid
ROOMS_REGULARIZED: dict[Host, RegularizationSettings] = {
    "segnet": RegularizationSettings(weight=0.05, sigma=0.05),
    "fcn32s": RegularizationSettings(weight=0.05, sigma=0.1),
}


@dataclass(frozen=True)
class Case:
    """One pair of trainings, with the regulariser and without: a host, what it reads, and how many classes it tells."""

    host: Host
    channels: Channels
    num_classes: int

    @property
    def name(self) -> str:
        """As the paper's tables call it, with the number of classes: `FCN RGB, 40 classes`."""
        return f"{HOST_NAMES[self.host]} {self.channels.upper()}, {self.num_classes} classes"


CASES = tuple(
    Case(host, channels, classes) for classes in (40, 4) for host in HOST_NAMES for channels in ("rgb", "hha")
)


@dataclass(frozen=True)
class Compared:
    """Trainings on one data set. runs: by case name. trained: those kept to be looked at, by case name and variant, of
    the first seed."""

    runs: dict[str, list[Run]]
    trained: dict[str, dict[str, Trained]] = field(default_factory=dict)

    def scores(self, case: str, variant: str, measure: str) -> list[float]:
        """One value a seed, seeds in order; empty where the measure has none."""
        runs = self.runs[case]
        return [value for _, value in sorted(scores_of(runs, runs[0].host, variant, measure).items())]

    def differences(self, case: str, measure: str) -> list[float]:
        """With the regulariser minus without, one value a seed; points. DataMissing where no seed has both."""
        runs = self.runs[case]
        return paired_differences(runs, runs[0].host, WITH, measure)

    def measures(self) -> list[Measure]:
        """The measures that every case has for both variants, in the order of MEASURES."""
        return [
            measure
            for name, measure in MEASURES.items()
            if all(self.scores(case, variant, name) for case in self.runs for variant in VARIANTS)
        ]


@dataclass(frozen=True)
class Plan:
    """A reduced host, its training alone, and the second training, with the regulariser or without, that follows."""

    network: NetworkSettings
    first: TrainingSettings
    second: TrainingSettings


def plan_for(case: Case, *, width: int, num_steps: int, device: str) -> Plan:
    """What is trained on rooms: `2 num_steps` steps with the softmax loss alone, then `num_steps` with both variants.

    Choice: the regulariser comes late, with lambda rising over half of the second training. From random weights a
    network says the same everywhere, which the context loss likes best; the paper starts from ImageNet's weights.
    """
    network = NetworkSettings(
        case.host, case.num_classes, width, case.channels, padding="head", class_names=class_names(case.num_classes)
    )
    first = TrainingSettings(
        num_steps=FIRST * num_steps, batch_size=4, learning_rate=BUDGETS[case.host].learning_rate,
        warm_up=FIRST * num_steps // 15, checkpoint_every=FIRST * num_steps, device=device,
    )  # fmt: skip
    second = first.but(
        num_steps=num_steps, learning_rate=SLOWER * first.learning_rate, warm_up=num_steps // 15,
        ramp_steps=num_steps // 2, checkpoint_every=num_steps,
    )  # fmt: skip
    return Plan(network, first, second)


def compare_on_rooms(
    rooms: Sequence[LabelledPicture],
    tests: Sequence[LabelledPicture],
    *,
    cases: Sequence[Case] = CASES,
    width: int,
    num_steps: int,
    seeds: Sequence[int],
    device: str,
    keep: Sequence[Case] = (),
) -> Compared:
    """Every case with and without the regulariser for every seed, trained on `rooms` and scored on `tests`.

    rooms, tests: with 40 classes and with HHA; both variants of a seed go on from the same weights with the same
    batches, `num_steps` of them (`plan_for`). keep: cases whose networks of the first seed stay in `trained`.
    """
    by_classes = {40: (rooms, tests), 4: (superclasses(rooms), superclasses(tests))}
    runs: dict[str, list[Run]] = {}
    kept: dict[str, dict[str, Trained]] = {case.name: {} for case in keep}

    def look(run: Run, trained: Trained) -> None:
        if case in keep and run.seed == seeds[0]:
            kept[case.name][run.variant] = trained

    for case in progress(cases, label="hosts"):
        data, test = by_classes[case.num_classes]
        plan = plan_for(case, width=width, num_steps=num_steps, device=device)
        runs[case.name] = run_all(
            data,
            test,
            networks=[(plan.network, plan.second)],
            variants={ALONE: None, WITH: ROOMS_REGULARIZED[case.host]},
            seeds=seeds,
            alone_first={case.host: plan.first},
            seen=look,
        )
    return Compared(runs, kept)


def superclasses(pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    """The same pictures with the four super-classes in place of the forty; simulated rooms have no void."""
    return [replace(one, labels=one.labels.new_tensor(SUPERCLASSES)[one.labels]) for one in pictures]


def camvid_comparison(root: str, *, seeds: Sequence[int], vgg: str | Path | None = None) -> Compared | None:
    """Both hosts on CamVid: a folder of finished runs is read, CamVid itself is trained on; None for root "".

    root: with the JSON files of `python -m lib.context_reg.camvid_experiment`, or with train/ and val/. Hosts without a
    seed that has both variants are left out. Raises DataMissing where the folder holds neither, SpecError where no host
    has a pair.
    """
    if not root:
        return None
    finished = any(Path(root).glob("*.json"))
    runs = read_runs(Path(root)) if finished else run_camvid(root, seeds=seeds, vgg=vgg)
    by_case: dict[str, list[Run]] = {}
    for host, name in HOST_NAMES.items():
        seeds_of = [{run.seed for run in runs if (run.host, run.variant) == (host, one)} for one in VARIANTS]
        paired = seeds_of[0] & seeds_of[1]
        if paired:
            by_case[f"{name} RGB, CamVid"] = [run for run in runs if run.host == host and run.seed in paired]
    if not by_case:
        raise SpecError(f"{root} holds no seed with both {ALONE} and {WITH}; let the experiment run further")
    return Compared(by_case)


def score_table(compared: Compared, *, caption: str = "") -> Table:
    """Mean and 95 % interval of every measure, one row a case and variant."""
    measures = compared.measures()
    rows = [
        [f"{case}, {'with' if variant == WITH else 'alone'}"]
        + [said_points(compared.scores(case, variant, measure.name)) for measure in measures]
        for case in compared.runs
        for variant in VARIANTS
    ]
    return table(rows, ["host", *(column_of(measure) for measure in measures)], caption=caption)


def difference_table(compared: Compared, *, caption: str = "") -> Table:
    """With minus without, in points, paired by seed: mean and 95 % interval, a star where that leaves out 0."""
    measures = compared.measures()
    rows = []
    for case in compared.runs:
        changes = [compared.differences(case, measure.name) for measure in measures]
        rows.append([case, *(said_points(one, signed=True) + CLEAR * is_clear(one) for one in changes)])
    return table(rows, ["with minus without, points", *(measure.name for measure in measures)], caption=caption)


def said_points(values: Sequence[float], *, signed: bool = False) -> str:
    """Mean and half of the 95 % interval as text, one decimal; one value has no interval."""
    mean, half_width = mean_interval(values)
    sign = "+" if signed else ""
    shown = f"{round(mean, 1) + 0.0:{sign}.1f}"  # + 0.0: a rounded zero has no sign of its own
    return f"{shown} ± {half_width:.1f}" if len(values) > 1 else f"{shown}, one seed"


def is_clear(values: Sequence[float]) -> bool:
    """Whether paired differences tell: several seeds, and an interval that leaves out 0."""
    mean, half_width = mean_interval(values)
    return len(values) > 1 and abs(mean) > half_width


def entries(compared: Compared, *, table: str, data: str, note: str) -> list[dict[str, Any]]:
    """Scores and paired differences as keyword arguments of a run's `add_score`.

    note: what stands behind the protocol of each, such as on how small pictures. Differences have the row of their
    case and `gain in ...` as column, in points.
    """
    measures = {one.name: replace(one, protocol=f"{one.protocol}; {note}") for one in compared.measures()}
    scores = {
        f"{case}, {variant}": {name: compared.scores(case, variant, name) for name in measures}
        for case in compared.runs
        for variant in VARIANTS
    }
    gains = {
        name: Measure(f"gain in {name}", "points", "higher", 100.0, f"with minus without, paired by seed; {about}")
        for name, about in ((one.name, one.protocol) for one in measures.values())
    }
    differences = {case: {name: compared.differences(case, name) for name in measures} for case in compared.runs}
    found = score_entries(scores, measures, table=table, data=data)
    return found + score_entries(differences, gains, table=f"{table}, gains", data=data)


def published_gains(printed: Mapping[str, Mapping[str, str]], measure: str) -> dict[str, float]:
    """What the paper's own tables gain with the regulariser, by case name, for the cases that have both rows.

    printed: row -> column -> as printed, of all tables with 40 classes together.
    """
    column = COLUMNS.get(measure, measure)
    found = {}
    for case in CASES:
        row = case.name.split(",")[0]
        if case.num_classes == len(CLASS_NAMES) and row in printed and f"{row} + context" in printed:
            found[case.name] = float(printed[f"{row} + context"][column]) - float(printed[row][column])
    return found
