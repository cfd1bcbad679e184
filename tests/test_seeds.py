import math

import numpy as np
import pytest
from scipy import stats

from lib.errors import SpecError
from lib.seeds import bootstrap_interval, mean_interval, paired_change, verdict_of


def test_the_interval_of_the_mean_is_that_of_scipy():
    values = [3.0, 4.5, 2.2, 6.1, 5.0]
    mean, half_width = mean_interval(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high), rel=1e-12)
    assert mean_interval([7.0]) == (7.0, 0.0)


def test_the_bootstrap_is_that_of_scipy_within_its_own_scatter():
    values = list(np.random.default_rng(0).gamma(2.0, size=40))
    ours = bootstrap_interval(values, generator=np.random.default_rng(1))
    theirs = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(2))
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.03)
    assert bootstrap_interval(values, generator=np.random.default_rng(1)) == ours


def test_the_bootstrap_takes_another_statistic():
    low, high = bootstrap_interval([1.0, 1.0, 1.0, 50.0], generator=np.random.default_rng(0), statistic=np.median)
    assert low == 1.0
    assert high > 1.0
    with pytest.raises(SpecError, match="at least two values: got 1"):
        bootstrap_interval([1.0], generator=np.random.default_rng(0))


def test_a_paired_change_is_the_paired_t_test():
    before = {0: 10.0, 1: 12.0, 2: 9.0, 3: 11.0, 9: 0.0}
    after = {0: 11.0, 1: 13.5, 2: 9.5, 3: 12.2, 7: 0.0}
    change = paired_change(before, after, better="higher")
    test = stats.ttest_rel([after[seed] for seed in range(4)], [before[seed] for seed in range(4)])
    interval = test.confidence_interval(0.95)
    assert (change.num_pairs, change.verdict) == (4, "better")
    assert change.p_value == pytest.approx(test.pvalue, rel=1e-9)
    assert (change.low, change.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_pairing_shows_what_the_spread_of_the_seeds_would_hide():
    """Each seed gains exactly one, between seeds lie a hundred: unpaired, nothing could be said."""
    before = {seed: 100.0 * seed for seed in range(3)}
    after = {0: 1.0, 1: 101.1, 2: 200.9}
    assert paired_change(before, after, better="higher").verdict == "better"
    assert stats.ttest_ind(list(after.values()), list(before.values())).pvalue > 0.9


@pytest.mark.parametrize(
    ("changes", "better", "floor", "verdict"),
    [
        ([5.0, 5.1], "higher", 0.0, "too few seeds"),
        ([1.0, -1.0, 0.5], "higher", 0.0, "not shown"),
        ([0.0, 0.0, 0.0], "higher", 0.0, "not shown"),
        ([1.0, 1.1, 0.9], "higher", 1.0, "within the noise"),
        ([1.0, 1.1, 0.9], "higher", 0.9, "better"),
        ([1.0, 1.1, 0.9], "lower", 0.0, "worse"),
        ([-1.0, -1.1, -0.9], "lower", 0.0, "better"),
        ([-1.0, -1.1, -0.9], "higher", 0.0, "worse"),
        ([2.0, 2.0, 2.0], "none", 0.0, "changed"),
    ],
)
def test_the_verdict_follows_the_written_rules(changes, better, floor, verdict):
    assert verdict_of(changes, better=better, noise_floor=floor) == verdict


def test_not_shown_is_a_p_value_of_at_least_five_per_cent():
    generator = np.random.default_rng(0)
    for _ in range(200):
        changes = list(generator.normal(0.4, 1.0, size=6))
        shown = verdict_of(changes) == "changed"
        assert shown == (stats.ttest_1samp(changes, 0).pvalue < 0.05)


def test_one_pair_has_a_difference_and_nothing_else():
    change = paired_change({0: 1.0}, {0: 3.0}, better="higher")
    assert (change.num_pairs, change.mean, change.verdict) == (1, 2.0, "too few seeds")
    assert math.isnan(change.low)
    assert math.isnan(change.p_value)


def test_no_common_seed_is_said():
    with pytest.raises(SpecError, match=r"no seed is in both: got \[0\] and \[1, 2\]"):
        paired_change({0: 1.0}, {1: 1.0, 2: 2.0})
