"""The paper's Tables 1 to 3 on NYUDv2 itself: full width, VGG-16's weights, the published training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from lib.context_reg.camvid_experiment import WITH
from lib.context_reg.compare import ALONE, Run, run_all, shrunk
from lib.context_reg.comparison import COLUMNS, VARIANTS, Case, Compared
from lib.context_reg.networks import NetworkSettings
from lib.context_reg.recipes import TrainingSettings
from lib.data.nyuv2 import ABOUT, SPLITS, NYUDv2
from lib.data.nyuv2_classes import class_names
from lib.data.origin import Origin
from lib.data.weights import weights_file
from lib.errors import DataMissing, Unavailable
from lib.metrics.measure import Measure
from lib.show.plots import mean_interval
from lib.show.scores import score_entries
from lib.show.tables import Table, table

SEGNET_SIZE = (200, 264)  # sec. 3.3
TABLES = {
    "table_1": (Case("fcn32s", "rgb", 40), Case("fcn32s", "hha", 40)),
    "table_2": (Case("fcn32s", "rgb", 4),),
    "table_3": (Case("segnet", "rgb", 40), Case("segnet", "hha", 40)),
}
WEIGHTS = "VGG-16 ImageNet"
MEASURE_OF = {COLUMNS.get(name, name): name for name in ("pixel accuracy", "mean accuracy", "mean IU", "fw IU")}
# cells of the text: case, measure
GAINS = (
    (Case("fcn32s", "rgb", 40), "fw IU"),
    (Case("fcn32s", "rgb", 40), "mean IU"),
    (Case("segnet", "rgb", 40), "pixel accuracy"),
    (Case("segnet", "hha", 40), "pixel accuracy"),
)
GAIN = {
    name: Measure(f"gain in {COLUMNS.get(name, name)}", "points", "higher", 100.0, "") for name in MEASURE_OF.values()
}
ABSENT = "not run: no NYUDv2 here (nyu_root)"
OTHERS = "not run: a method that the paper lists for context"


@dataclass(frozen=True)
class NYUResult:
    """What was measured on NYUDv2. why_not: by case name, why a case was not run. note: what the test pictures lack of
    the protocol, "" for all 654."""

    compared: Compared
    why_not: dict[str, str]
    origin: Origin
    note: str


def training_of(case: Case, *, regularized: bool) -> TrainingSettings:
    """The paper's training of a host, as `TrainingSettings.paper_fcn` and `paper_segnet` read it."""
    recipe = TrainingSettings.paper_fcn if case.host == "fcn32s" else TrainingSettings.paper_segnet
    return recipe(regularized=regularized)


def run_nyu(
    root: str,
    *,
    seeds: Sequence[int],
    device: str,
    folder: str = "",
    vgg: str | Path = "auto",
    num_steps: int = 0,
) -> NYUResult | None:
    """All cells of the paper that this project implements, and the hosts without the regulariser; None for root "".

    root: as in NYUDv2. Without HHA there the HHA rows are not run. folder: where each training's result is kept and
    read again, so that a run which was stopped goes on; "" for nowhere. num_steps: 0 for the paper's.
    Choice: Table 2's row reads RGB, since the paper names no input; SegNet is scored at the 200x264 that it is trained
    at. Without VGG-16's weights nothing is run. Raises DataMissing for a root of another layout.
    """
    if not root:
        return None
    tests = NYUDv2(root, "test")
    cases = [case for cases in TABLES.values() for case in cases]
    why_not = _why_not(root, cases, vgg)
    runs: dict[str, list[Run]] = {}
    for case in [case for case in cases if case.name not in why_not]:
        data, test = (_pictures(root, split, case) for split in ("train", "test"))
        runs[case.name] = _trainings(
            case, data, test, seeds=seeds, device=device, folder=folder, vgg=vgg, num_steps=num_steps
        )
    note = _note(tests, num_steps)
    digest = sha256("".join(f"{name}\n" for name in tests.names).encode()).hexdigest()
    return NYUResult(Compared(runs), why_not, replace(ABOUT.origin("", digest), name="NYUDv2"), note)


def _why_not(root: str, cases: Sequence[Case], vgg: str | Path) -> dict[str, str]:
    """Why cases can't be run, by name: no weights to start from, or no HHA."""
    try:
        if vgg == "auto":
            weights_file("vgg16")
        NYUDv2(root, "train", hha=True)
    except Unavailable as missing:
        return {case.name: f"not run: {missing}" for case in cases}
    except DataMissing as missing:
        return {case.name: f"not run: {missing}" for case in cases if case.channels == "hha"}
    return {}


def _pictures(root: str, split: Any, case: Case) -> Any:
    data = NYUDv2(root, split, num_classes=40 if case.num_classes == 40 else 4, hha=case.channels == "hha")
    return shrunk(data, SEGNET_SIZE) if case.host == "segnet" else data


def _trainings(
    case: Case,
    data: Any,
    test: Any,
    *,
    seeds: Sequence[int],
    device: str,
    folder: str,
    vgg: str | Path,
    num_steps: int,
) -> list[Run]:
    network = NetworkSettings(
        case.host, case.num_classes, channels=case.channels, class_names=class_names(case.num_classes)
    )
    runs = []
    place = Path(folder) / case.name.replace(", ", "-").replace(" ", "_") if folder else None
    if place is not None:
        place.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for variant in VARIANTS:
            settings = training_of(case, regularized=variant == WITH).but(device=device)
            settings = settings.but(num_steps=num_steps) if num_steps else settings
            runs += run_all(
                data,
                test,
                networks=[(network, settings)],
                variants={variant: settings.regularization},
                seeds=[seed],
                vgg=vgg,
                folder=place,
            )
    return runs


def _note(tests: NYUDv2, num_steps: int) -> str:
    notes = [f"{len(tests)} of {len(SPLITS['test'])} test images"] if tests.missing else []
    return "; ".join([*notes, *([f"{num_steps} steps"] if num_steps else [])])


def published_rows(case: Case, *, table: str) -> dict[str, str]:
    """Rows of a published table that a case fills, by variant: Table 2 has no baseline."""
    if table == "table_2":
        return {WITH: "FCN + context"}
    row = case.name.split(",")[0]
    return {ALONE: row, WITH: f"{row} + context"}


def beside_published(name: str, printed: Mapping[str, Mapping[str, str]], found: NYUResult | None) -> Table:
    """Every row of a published table, and beside it what was measured here on NYUDv2, or why not.

    name: table_1, table_2 or table_3. printed: row -> column -> as printed. Ours in the order of the columns.
    """
    columns = list(dict.fromkeys(column for row in printed.values() for column in row))
    ours = _ours(name, columns, found)
    rows = [
        [row, *(cells.get(column, "-") for column in columns), ours.get(row, OTHERS)] for row, cells in printed.items()
    ]
    return table(rows, [f"{name.replace('_', ' ').capitalize()}, %", *columns, "here, same columns"])


def _ours(name: str, columns: Sequence[str], found: NYUResult | None) -> dict[str, str]:
    said = {}
    for case in TABLES[name]:
        for variant, row in published_rows(case, table=name).items():
            if found is None:
                said[row] = ABSENT
            elif case.name in found.why_not:
                said[row] = found.why_not[case.name]
            else:
                scores = [found.compared.scores(case.name, variant, MEASURE_OF[column]) for column in columns]
                shown = " / ".join(f"{mean_interval(values)[0]:.1f}" for values in scores)
                said[row] = f"{shown} ({found.note})" if found.note else shown
    return said


def published_entries(
    found: NYUResult, protocols: Mapping[str, Mapping[tuple[str, str], str]], *, data: str
) -> list[dict[str, Any]]:
    """Our scores on NYUDv2 in the places of the published tables and text, as arguments of a run's `add_score`.

    protocols: of the published cells, by table, then by row and column: they are ours too but for `note`.
    """
    compared, entries = found.compared, []
    places = [
        (name, row, measure, compared.scores(case.name, variant, measure.name))
        for name, cases in TABLES.items()
        for case in cases
        if case.name in compared.runs
        for variant, row in published_rows(case, table=name).items()
        for measure in compared.measures()
    ]
    places += [
        ("text", published_rows(case, table="")[WITH], GAIN[name], compared.differences(case.name, name))
        for case, name in GAINS
        if case.name in compared.runs
    ]
    for name, row, measure, values in places:
        column = COLUMNS.get(measure.name, measure.name)
        if (row, column) in protocols[name]:
            protocol = "; ".join(filter(None, (protocols[name][row, column], found.note)))
            named = {column: replace(measure, name=column, protocol=protocol)}
            made = score_entries({row: {column: values}}, named, table=name, data=data)
            entries += [entry | {"weights": WEIGHTS} for entry in made]
    return entries
