"""What must hold before a page says anything, and the paper's claims as questions to a comparison."""

from collections.abc import Mapping
from statistics import fmean

from lib.ir_tracking.ablation import Variant
from lib.ir_tracking.scan_settings import ScanSettings
from lib.show.sweeps import Sweep


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
