"""The paper's claims as questions to a comparison, and the floor below which a comparison says nothing."""

from statistics import fmean

from lib.fodvid.comparison import (
    APPEARANCE,
    CUT,
    CUT_CRF,
    CUT_LOOK,
    FLOW,
    OTSU,
    OTSU_CRF,
    OTSU_LOOK,
    REFINED,
    REFINED_CRF,
    Comparison,
)
from lib.show.plots import mean_interval
from lib.show.tables import Table, table

# (claim, better method, other method)
CLAIMS = (
    ("flow helps: the cut beats appearance alone", CUT, APPEARANCE),
    ("appearance helps: the cut beats flow alone", CUT, FLOW),
    ("the cut beats a threshold on the motion (not in the paper)", CUT, OTSU),
    ("so it does when both have their edges drawn by a CRF", CUT_CRF, OTSU_CRF),
    ("a second cut by the video's own look beats that threshold (not in the paper)", CUT_LOOK, OTSU),
    ("so it does when the threshold has such a look too", CUT_LOOK, OTSU_LOOK),
    ("training on its masks beats the cut", REFINED, CUT),
    ("a CRF does not help the trained network", REFINED, REFINED_CRF),
)


def claims(compared: Comparison) -> Table:
    """Each claim with the mean paired difference in J and whether it holds.

    Pairs are takes (seeds) where there are several, else scenes. `yes` and `no` want an interval that leaves out 0.
    """
    rows = []
    for text, better, other in CLAIMS:
        mean, half_width = mean_interval(_differences(compared, better, other))
        verdict = ("yes" if mean > 0 else "no") if abs(mean) > half_width else "can't tell"
        rows.append([text, f"{mean:+.1f} ± {half_width:.1f}", verdict])
    return table(rows, ["claim", "difference in mean J (points)", "holds"])


def _differences(compared: Comparison, better: str, other: str) -> list[float]:
    first, second = compared.scores[better]["j"], compared.scores[other]["j"]
    if len(first) > 1:
        return [one - two for one, two in zip(first, second, strict=True)]
    return [value - compared.by_scene[other][scene] for scene, value in compared.by_scene[better].items()]


def quality_floor(compared: Comparison) -> dict[str, bool]:
    """What must hold for the comparison to say anything, whatever the paper claims."""
    mean = {name: fmean(values["j"]) for name, values in compared.scores.items()}
    return {
        "the cut finds the object: mean J above 40": mean[CUT] > 40,
        "flow helps: the cut is above appearance alone": mean[CUT] > mean[APPEARANCE],
        "training does not lose the cut: at most 5 points below it": mean[REFINED] > mean[CUT] - 5,
    }
