"""What must hold before a page says anything, and the paper's claims as questions to a comparison."""

from collections.abc import Mapping
from statistics import fmean

from lib.ir_tracking.ablation import Variant
from lib.ir_tracking.comparison import (
    CORRELATION,
    KALMAN,
    MIL,
    NANO,
    NO_FILTER,
    NO_FUSION,
    NO_REGIONS,
    OURS,
    SHORT,
    STILL,
    Comparison,
    difference,
    mean_of,
)
from lib.ir_tracking.measures import DIGITS, MEASURES
from lib.ir_tracking.scan_settings import ScanSettings
from lib.show.sweeps import Sweep
from lib.show.tables import Table, table

# (claim, better, other, measure)
CLAIMS = (
    ("the highest overlap: above top-hat + Kalman", OURS, KALMAN, "aor"),
    ("above normalised correlation", OURS, CORRELATION, "aor"),
    ("above OpenCV's MIL", OURS, MIL, "aor"),
    ("above OpenCV's NanoTrack", OURS, NANO, "aor"),
    ("the highest precision: above top-hat + Kalman", OURS, KALMAN, "precision_3"),
    ("above normalised correlation", OURS, CORRELATION, "precision_3"),
    ("above OpenCV's MIL", OURS, MIL, "precision_3"),
    ("above OpenCV's NanoTrack", OURS, NANO, "precision_3"),
    ("region selection helps the overlap", SHORT, NO_REGIONS, "aor"),
    ("and the precision", SHORT, NO_REGIONS, "precision_3"),
    ("fusion helps the overlap", SHORT, NO_FUSION, "aor"),
    ("and the precision", SHORT, NO_FUSION, "precision_3"),
    ("the filter helps the overlap", SHORT, NO_FILTER, "aor"),
    ("and the precision", SHORT, NO_FILTER, "precision_3"),
)


def ablation_floor(swept: Mapping[str, Sweep[Variant]], same_target: Sweep[ScanSettings]) -> dict[str, bool]:
    """What must hold for the ablation to say anything.

    swept: sweeps by name, with `line length` and `anchors` among them. same_target: by sampling.
    """
    lines, anchors = swept["line length"], swept["anchors"]
    lengths = list(lines.axis.settings)
    tracked = fmean(lines.scores["precision_3"][lines.axis.default])
    gains = {label: fmean(values) for label, values in lines.scores["gain"].items()}
    overlap = {label: fmean(values) for label, values in anchors.scores["aor"].items()}
    after = {label: fmean(values) for label, values in same_target.scores["snr_after"].items()}
    large = [label for label in overlap if label.endswith("large")]
    return {
        "the target is followed: precision at 3 px above 50 %": tracked > 50,
        "shorter lines suppress more: the gain falls to the longest": gains[lengths[0]] > gains[lengths[-1]],
        "small targets take small anchors": all(overlap[label] < overlap[anchors.axis.default] for label in large),
        "the same target stands out more at 2 x 2 samples than at 1 x 1": after["2 x 2"] > after["1 x 1"],
    }


def claims(compared: Comparison) -> Table:
    """Each claim of the paper with the mean paired difference over the sequences and whether it holds.

    `yes` and `no` want an interval that leaves out 0; else the sequences can't tell. Trackers that did not run are left
    out.
    """
    rows = []
    for text, better, other, measure in CLAIMS:
        if not {better, other} <= set(compared.scores):
            continue
        mean, half_width = difference(compared, better, other, measure)
        verdict = ("yes" if mean > 0 else "no") if abs(mean) > half_width else "can't tell"
        about = MEASURES[measure]
        digits, unit = DIGITS[about.unit], "" if about.unit == "1" else f" {about.unit}"
        rows.append([text, about.name, f"{mean:+.{digits}f} ± {half_width:.{digits}f}{unit}", verdict])
    return table(rows, ["claim", "measure", "difference", "holds"])


def quality_floor(compared: Comparison, gain_db: float) -> dict[str, bool]:
    """What must hold for the comparison to say anything, whatever the paper claims.

    gain_db: median SCR gain of the filter on the same sequences.
    """
    return {
        "ours follows the target: precision at 3 px above 80 %": mean_of(compared, OURS, "precision_3") > 80,
        "the box fits: AOR above 0.55": mean_of(compared, OURS, "aor") > 0.55,
        "the targets move: a box held still overlaps less than half as much": mean_of(compared, STILL, "aor")
        < mean_of(compared, OURS, "aor") / 2,
        "the filter lifts the median target by 5 dB or more": gain_db >= 5,
    }
