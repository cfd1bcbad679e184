"""The paper's claims as questions to comparisons, and the floor below which a comparison says nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from lib.context_reg.camvid_experiment import WITH
from lib.context_reg.compare import MEASURES
from lib.context_reg.comparison import VARIANTS, Compared, is_clear, said_points
from lib.show.tables import Table, table

NEAR = 1.1  # of the loss of even odds, which a host has that knows nothing
BENCHMARK = "NYUDv2"  # what the paper's numbers are measured on


@dataclass(frozen=True)
class Claim:
    """What the paper says rises with the regulariser. host: as in the paper's tables. cell: row and column of the
    paper's own number for it, None where it shows pictures only."""

    text: str
    host: str
    measure: str
    cell: tuple[str, str] | None = None


CLAIMS = (
    Claim("mean IU rises", "FCN RGB", "mean IU", ("FCN RGB + context", "gain in mean IU")),
    Claim("frequency-weighted IU rises", "FCN RGB", "fw IU", ("FCN RGB + context", "gain in frequency-weighted IU")),
    Claim("pixel accuracy rises", "SegNet RGB", "pixel accuracy", ("SegNet RGB + context", "gain in pixel accuracy")),
    Claim("pixel accuracy rises", "SegNet HHA", "pixel accuracy", ("SegNet HHA + context", "gain in pixel accuracy")),
    Claim("objects' boundaries improve", "FCN RGB", "boundary F"),
    Claim("objects' boundaries improve", "SegNet RGB", "boundary F"),
    Claim("small objects are kept", "SegNet RGB", "small-object IU"),
)


def answer(differences: Sequence[float]) -> str:
    """Whether a paired difference is above 0: `yes` or `no` want an interval that leaves it out, and two seeds."""
    if not is_clear(differences):
        return "can't tell"
    return "yes" if fmean(differences) > 0 else "no"


def verdict(claim: Claim, data: str, answered: str) -> str:
    """What a measurement on `data` says of the claim: a number of the paper is judged on its own data only."""
    if claim.cell is not None and data != BENCHMARK:
        return "not comparable"
    return "supported" if answered == "yes" else "not supported"


def claims(found: Mapping[str, Compared], gains: Mapping[tuple[str, str], str]) -> Table:
    """Every claim on every data set where its host was trained on RGB or HHA as the paper did.

    found: by data set; the first case of a host counts, which has the most classes. gains: the paper's own numbers by
    row and column, as printed.
    """
    rows = []
    for claim in CLAIMS:
        for data, compared in found.items():
            case = next((name for name in compared.runs if name.startswith(f"{claim.host},")), None)
            if case is None or claim.measure not in [measure.name for measure in compared.measures()]:
                continue
            differences = compared.differences(case, claim.measure)
            said = said_points(differences, signed=True)
            answered = answer(differences)
            published = "-" if claim.cell is None else f"+{gains[claim.cell]}"
            rows.append(
                [f"{claim.text}, {claim.host}", published, data, said, answered, verdict(claim, data, answered)]
            )
    return table(
        rows, ["with the regulariser", "paper, points", "measured on", "here, points", "rises", "the claim is"]
    )


def quality_floor(compared: Compared, *, seeds: Sequence[int]) -> dict[str, bool]:
    """What must hold for the comparison to say anything, whatever the paper claims."""
    runs = [run for case in compared.runs.values() for run in case]
    kernels = [kernel for run in runs for kernel in run.kernels or []]
    norms = [sum(value * value for row in kernel for value in row) ** 0.5 for kernel in kernels]
    return {
        "no training diverged: softmax losses end at most a tenth above that of even odds": all(
            run.last_loss["softmax"] < NEAR * math.log(run.settings["network"]["num_classes"]) for run in runs
        ),
        "every case has both variants for every seed": all(
            len(compared.scores(case, variant, "mean IU")) == len(seeds)
            for case in compared.runs
            for variant in VARIANTS
        ),
        "the regulariser took part, and its kernels kept their norm within a tenth": all(
            run.last_loss["context"] > 0 for run in runs if run.variant == WITH
        )
        and all(abs(norm - 1) < 0.1 for norm in norms),
        "all measures were taken": len(compared.measures()) == len(MEASURES),
    }
