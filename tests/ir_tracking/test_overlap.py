"""Fits of overlapping spots against spots that were painted, and the measurement that they stand for."""

import numpy as np
import pytest
import torch

from lib.ir_tracking.kalman import ConstantVelocity
from lib.ir_tracking.overlap import BRIGHTNESS_SPREAD, SIGMA_SPREAD, Array, Spots, fit_spots, measurement, patch_noise

SIGMA = 1.0


def painted(
    centres: Array, brightness: Array, *, ground: float = 40.0, sigma: float = SIGMA, noise: float = 1.0, seed: int = 0
) -> Array:
    rows, columns = np.arange(19) + 0.5, np.arange(21) + 0.5
    patch = np.full((19, 21), ground)
    for (x, y), height in zip(centres, brightness, strict=True):
        patch += height * np.exp(-((rows[:, None] - y) ** 2 + (columns - x) ** 2) / (2 * sigma**2))
    noisy: Array = patch + np.random.default_rng(seed).normal(0, noise, patch.shape)
    return noisy


def expected(centres: Array, brightness: Array, *, spread: float = 1.0) -> Spots:
    return Spots(centres, np.full(len(centres), spread**2), brightness)


@pytest.mark.parametrize("apart", [6.0, 3.0, 1.5])
def test_spots_are_found_where_they_are_and_as_sure_as_they_can_be(apart: float) -> None:
    truth = np.array([[9.3, 8.6], [9.3 + apart * 0.8, 8.6 + apart * 0.6]])
    brightness = np.array([40.0, 30.0])
    prior = expected(truth + np.array([[0.5, -0.4], [-0.3, 0.5]]), brightness)
    off = []
    for seed in range(12):
        found, _ = fit_spots(painted(truth, brightness, seed=seed), prior, sigma_px=SIGMA, noise=1.0)
        off.append((found.centres - truth) / np.sqrt(found.variances)[:, None])
    assert np.sqrt(np.mean(np.square(off))) < 1.5  # deviations
    assert found.variances.max() < 0.15**2
    np.testing.assert_allclose(found.brightness, brightness, rtol=0.2)


def test_what_the_patch_cannot_tell_stays_as_it_was_expected() -> None:
    centres, brightness = np.array([[10.0, 9.0], [10.0, 9.0]]), np.array([5.0, 5.0])
    prior = expected(centres + np.array([[0.4, 0.0], [-0.4, 0.0]]), brightness, spread=0.5)
    found, _ = fit_spots(painted(centres, brightness, noise=5.0), prior, sigma_px=SIGMA, noise=5.0)
    assert (found.variances > 0.5 * prior.variances).all()
    assert np.abs(found.centres - prior.centres).max() < 0.5


def test_the_evidence_counts_the_spots() -> None:
    places, brightness = np.array([[8.0, 9.0], [11.0, 10.0]]), np.array([25.0, 35.0])
    prior = expected(places, brightness, spread=0.5)
    for there in ((0, 1), (1,), (0,), ()):
        idx = list(there)
        patch = painted(places[idx], brightness[idx])
        costs = {which: fit_spots(patch, prior.only(which), sigma_px=SIGMA, noise=1.0)[1] for which in
                 ((0, 1), (1,), (0,), ())}  # fmt: skip
        assert min(costs, key=lambda which: costs[which]) == there


def test_a_fit_has_the_lowest_cost_around_it() -> None:
    places, brightness = np.array([[8.0, 9.0], [10.0, 10.0]]), np.array([25.0, 35.0])
    patch, prior = painted(places, brightness), expected(places + 0.3, brightness)
    found, _ = fit_spots(patch, prior, sigma_px=SIGMA, noise=1.0)

    def cost(spots: Array, ground: float, sigma: float) -> float:
        model = painted(spots[:, :2], spots[:, 2], ground=ground, sigma=sigma, noise=0.0)
        off = [
            *(spots[:, :2] - prior.centres).ravel(),
            *((spots[:, 2] / brightness - 1) / BRIGHTNESS_SPREAD),
            ground - np.median(patch),
            (sigma / SIGMA - 1) / SIGMA_SPREAD,
        ]
        return 0.5 * float(np.square(model - patch).sum() + np.square(off).sum())

    best = np.concatenate([found.centres, found.brightness[:, None]], axis=1)
    # ground and width aren't given back: the best ones for these spots
    grid = [(cost(best, ground, sigma), ground, sigma) for ground in np.linspace(39, 41, 81)
            for sigma in np.linspace(0.9, 1.1, 81)]  # fmt: skip
    least, ground, sigma = min(grid)
    for part in range(best.size):
        for step in (-0.1, 0.1):
            moved = best.copy()
            moved.flat[part] += step
            assert cost(moved, ground, sigma) > least


def test_wider_spots_are_not_taken_for_two_places() -> None:
    places, brightness = np.array([[9.4, 9.0], [9.4, 9.0]]), np.array([40.0, 40.0])
    prior = expected(places, brightness)
    off = []
    for seed in range(8):
        patch = painted(places, brightness, sigma=1.1 * SIGMA, seed=seed)
        found, _ = fit_spots(patch, prior, sigma_px=SIGMA, noise=1.0)
        off.append((found.centres - places) / np.sqrt(found.variances)[:, None])
    assert np.sqrt(np.mean(np.square(off))) < 1.5


def test_noise_is_that_away_from_the_spots_and_never_nothing() -> None:
    places, brightness = np.array([[8.0, 9.0], [10.0, 10.0]]), np.array([200.0, 300.0])
    patch = painted(places, brightness, noise=12.0)
    assert patch_noise(patch, places, sigma_px=SIGMA, brightest=300.0) == pytest.approx(12 * 1.5, rel=0.15)
    clean = painted(places, brightness, noise=0.0)
    assert patch_noise(clean, places, sigma_px=SIGMA, brightest=300.0) == pytest.approx(15.0, rel=0.1)
    assert patch_noise(np.arange(4.0).reshape(2, 2), np.array([[1.0, 1.0]]), sigma_px=SIGMA, brightest=1.0) > 0


def test_a_motion_filter_that_takes_the_measurement_arrives_at_the_fit() -> None:
    motion = ConstantVelocity(torch.tensor([[5.0, 6.0]]))
    motion.predict()
    before, variance = motion.centres[0].numpy().copy(), float(motion.covariances[0, 0, 0])
    after, after_variance = np.array([5.7, 5.1]), 0.3 * variance
    place, spread = measurement(before, variance, after, after_variance)
    motion.update(torch.from_numpy(place[None]), spread_px=torch.tensor([spread]))
    np.testing.assert_allclose(motion.centres[0], after, atol=1e-6)
    assert float(motion.covariances[0, 0, 0]) == pytest.approx(after_variance, rel=1e-6)
    assert measurement(before, variance, before, variance)[1] > 10 * variance**0.5
