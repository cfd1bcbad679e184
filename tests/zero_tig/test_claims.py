"""Claims are judged by paired intervals; the floor catches a comparison that says nothing."""

from lib.zero_tig.claims import claims, difference, quality_floor
from lib.zero_tig.methods import METHODS

MEASURED = ("psnr_hm", "ssim_hm", "mabd_equal", "noise_kept")


def scores(**changes):
    """Three seeds of every method, all alike but for `changes`: method with _ -> measure -> values."""
    base = {"psnr_hm": [20.0, 25.0, 30.0], "ssim_hm": [0.5] * 3, "mabd_equal": [5.0] * 3, "noise_kept": [1.0] * 3}
    found = {name: dict(base) for name in [*METHODS, "input"]}
    for name, row in changes.items():
        found[name.replace("_", "-")] |= row
    return found


GOOD = {"psnr_hm": [21.0, 26.1, 30.9], "mabd_equal": [3.0, 3.1, 2.9], "noise_kept": [0.3] * 3}


def test_differences_are_paired():
    found = scores(Zero_TIG=GOOD)
    mean, half_width = difference(found, "Zero-TIG", "Zero-IG", "psnr_hm")
    assert abs(mean - 1) < 1e-9
    assert half_width < 0.3  # though the seeds are 5 dB apart


def test_a_claim_holds_fails_or_stays_open():
    verdicts = {row[0]: row[3] for row in claims(scores(Zero_TIG=GOOD, Zero_IG={"noise_kept": [0.1] * 3})).rows}
    assert verdicts["nearer to the truth than Zero-IG, brightness taken out"] == "yes"
    assert verdicts["steadier than Zero-IG where nothing moves"] == "yes"
    assert verdicts["less noise than Zero-IG"] == "no"
    assert verdicts["structure kept better than by Zero-IG"] == "can't tell"


def test_the_floor_wants_more_than_a_curve():
    assert all(quality_floor(scores(Zero_TIG=GOOD, Zero_IG=GOOD)).values())
    assert not all(quality_floor(scores()).values())
