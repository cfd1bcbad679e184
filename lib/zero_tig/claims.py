"""The paper's claims as questions to a comparison, and the floor below which a comparison says nothing."""

from statistics import fmean

from lib.show.plots import mean_interval
from lib.show.scores import Scores, mean_of
from lib.show.tables import Table, table
from lib.zero_tig.evaluate import DIGITS, MEASURES

INPUT = "input"


def difference(scores: Scores, first: str, second: str, measure: str) -> tuple[float, float]:
    """Mean paired difference of two methods over the seeds, and half its 95 % interval."""
    pairs = zip(scores[first][measure], scores[second][measure], strict=True)
    return mean_interval([one - other for one, other in pairs])


def claims(scores: Scores) -> Table:
    """What the paper claims of Zero-TIG, each with the mean paired difference over the seeds and whether it holds.

    `yes` and `no` want an interval that leaves out 0; else the seeds don't tell.
    """
    asked = [
        ("nearer to the truth than Zero-IG, brightness taken out", "Zero-IG", "psnr_hm"),
        ("steadier than Zero-IG where nothing moves", "Zero-IG", "mabd_equal"),
        ("nearer to the truth than a gamma curve", "gamma 1/2.2", "psnr_hm"),
        ("nearer to the truth than CLAHE", "CLAHE", "psnr_hm"),
        ("nearer to the truth than Zero-DCE", "Zero-DCE", "psnr_hm"),
        ("structure kept better than by Zero-IG", "Zero-IG", "ssim_hm"),
        ("less noise than Zero-IG", "Zero-IG", "noise_kept"),
    ]
    rows = []
    for text, other, measure in asked:
        about = MEASURES[measure]
        mean, half_width = difference(scores, "Zero-TIG", other, measure)
        digits = DIGITS[about.unit]
        better = mean > 0 if about.better == "higher" else mean < 0
        verdict = ("yes" if better else "no") if abs(mean) > half_width else "can't tell"
        unit = "" if about.unit == "1" else f" {about.unit}"
        rows.append([text, about.name, f"{mean:+.{digits}f} ± {half_width:.{digits}f}{unit}", verdict])
    return table(rows, ["Zero-TIG is", "measure", "difference", "holds"])


def quality_floor(scores: Scores) -> dict[str, bool]:
    """What must hold for the comparison to say anything, whatever the paper claims."""
    baselines = ("gamma 1/2.2", "CLAHE", "Zero-DCE")
    return {
        "a curve changes nothing after matching: gamma is as near as the input": abs(
            fmean(scores["gamma 1/2.2"]["psnr_hm"]) - fmean(scores[INPUT]["psnr_hm"])
        )
        < 0.5,
        "both networks come nearer to the truth than their input": all(
            mean_of(scores, name, "psnr_hm") > mean_of(scores, INPUT, "psnr_hm") for name in ("Zero-IG", "Zero-TIG")
        ),
        "Zero-TIG is nearer to the truth than gamma, CLAHE and Zero-DCE": all(
            mean_of(scores, "Zero-TIG", "psnr_hm") > mean_of(scores, name, "psnr_hm") for name in baselines
        ),
        "Zero-TIG keeps less noise and is steadier than gamma": mean_of(scores, "Zero-TIG", "noise_kept")
        < mean_of(scores, "gamma 1/2.2", "noise_kept")
        and mean_of(scores, "Zero-TIG", "mabd_equal") < mean_of(scores, "gamma 1/2.2", "mabd_equal"),
    }
