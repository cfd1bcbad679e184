"""Statistics over seeds: means with intervals, paired changes, and the rules by which a change is called one.

The rules of `verdict_of`, in their order, for the changes that the same seeds show from a default to another setting:

1. `too few seeds`: fewer than MIN_PAIRS pairs; no interval of so few says anything.
2. `not shown`: the 95 % interval of the mean change (Student's t over the pairs) holds 0. The same as a two-sided
   paired t-test with p >= 0.05.
3. `within the noise`: the mean change is no larger than the noise floor, what another draw of the noise alone does.
4. Else `better` or `worse` by the direction of the measure, and `changed` for a measure without one.

A verdict of 1 to 3 does not say that there is no change: it says that these seeds don't show one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

from lib.errors import SpecError

if TYPE_CHECKING:
    from numpy.random import Generator

Better = Literal["higher", "lower", "none"]
Verdict = Literal["too few seeds", "not shown", "within the noise", "better", "worse", "changed"]
CONFIDENCE = 0.95
MIN_PAIRS = 3
RESAMPLES = 9999


@dataclass(frozen=True)
class Change:
    """Mean of the paired changes with its 95 % interval and p-value (both nan below two pairs), and the verdict."""

    num_pairs: int
    mean: float
    low: float
    high: float
    p_value: float
    verdict: Verdict


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean, and half the width of its 95 % interval by Student's t; one value has no interval: 0."""
    if len(values) < 2:
        return fmean(values), 0.0
    from scipy.stats import t

    quantile = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return fmean(values), quantile * stdev(values) / len(values) ** 0.5


def bootstrap_interval(
    values: Sequence[float],
    *,
    generator: "Generator",
    statistic: Callable[[Sequence[float]], float] = fmean,
) -> tuple[float, float]:
    """95 % interval (low, high) of a statistic by the percentile bootstrap, without assuming a normal distribution.

    values: at least two, one a seed. Below ten it is too narrow (Student's interval is not); meant for statistics
    that have no formula, such as a median. generator: draws RESAMPLES samples with replacement.
    """
    import numpy as np

    if len(values) < 2:
        raise SpecError(f"a bootstrap needs at least two values: got {len(values)}")
    given = np.asarray(values, dtype=np.float64)
    drawn = given[generator.integers(len(given), size=(RESAMPLES, len(given)))]
    found = drawn.mean(axis=1) if statistic is fmean else np.array([statistic(sample) for sample in drawn])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, [tail, 1 - tail])
    return float(low), float(high)


def paired_change(
    before: Mapping[int, float], after: Mapping[int, float], *, better: Better = "none", noise_floor: float = 0.0
) -> Change:
    """Change from `before` to `after` over the seeds that both have: what all settings share of a seed drops out.

    before, after: value by seed, in one unit. Raises SpecError where no seed is in both.
    """
    seeds = sorted(before.keys() & after.keys())
    if not seeds:
        raise SpecError(f"no seed is in both: got {sorted(before)} and {sorted(after)}; run both at the same seeds")
    changes = [after[seed] - before[seed] for seed in seeds]
    mean, half_width = mean_interval(changes)
    if len(changes) < 2:
        return Change(1, mean, float("nan"), float("nan"), float("nan"), "too few seeds")
    verdict = verdict_of(changes, better=better, noise_floor=noise_floor)
    return Change(len(changes), mean, mean - half_width, mean + half_width, _p_value(changes), verdict)


def verdict_of(changes: Sequence[float], *, better: Better = "none", noise_floor: float = 0.0) -> Verdict:
    """What the paired changes of several seeds show, by the rules of this module."""
    if len(changes) < MIN_PAIRS:
        return "too few seeds"
    mean, half_width = mean_interval(changes)
    if abs(mean) <= half_width:
        return "not shown"
    if abs(mean) <= noise_floor:
        return "within the noise"
    if better == "none":
        return "changed"
    return "better" if (mean > 0) == (better == "higher") else "worse"


def _p_value(changes: Sequence[float]) -> float:
    """Two-sided p-value of a mean change of 0; changes that are all equal leave no doubt either way."""
    from scipy.stats import t

    spread = stdev(changes)
    if not spread:
        return 1.0 if not fmean(changes) else 0.0
    return float(2 * t.sf(abs(fmean(changes)) / (spread / len(changes) ** 0.5), len(changes) - 1))
