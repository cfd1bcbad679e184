"""Spots that overlap: where they are and how bright, from where and how bright they were expected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDS = 8  # of Gauss-Newton
ENOUGH = 1e-3  # less gain of a round, in units of the logarithm, ends them
BRIGHTNESS_SPREAD = 0.2  # of a spot's brightness from one frame to the next, as a share of it
FAR_SIGMAS = 4.0  # pixels further than this from every spot show the noise
SIGMA_SPREAD = 0.1  # of the spots' width, as a share of it
# what the filter leaves of the noise, as a share of what it is on top of a spot; measured on simulated scans
NOISE_LEFT = 2 / 3
LEAST_NOISE = 0.05  # as a share of the brightest spot: no spot is exactly a Gaussian


@dataclass(frozen=True)
class Spots:
    """N Gaussian spots in a patch, as they are expected or as they were found.

    centres: (N, 2), x then y, pixels, pixel number + 0.5. variances: (N,), of a centre along one axis. brightness:
    (N,), in the middle, over the ground.
    """

    centres: Array
    variances: Array
    brightness: Array

    def only(self, which: Sequence[int]) -> "Spots":
        """Some of them."""
        idx = list(which)
        return Spots(self.centres[idx], self.variances[idx], self.brightness[idx])


def fit_spots(patch: Array, expected: Spots, *, sigma_px: float, noise: float) -> tuple[Spots, float]:
    """The likeliest spots on a level ground in a patch (h, w), and how unlikely their being there is.

    Maximum of the posterior by damped Gauss-Newton; the expected spots are its prior, and a brightness is at least 0.
    sigma_px: expected width, of all spots alike. noise: deviation of a pixel. The second result is the negative
    logarithm of the evidence (Laplace's approximation) up to a constant of the patch: fits of other spots in the same
    patch compare with it.
    """
    prior, weights = _prior(expected, ground=float(np.median(patch)), sigma_px=sigma_px, noise=noise)
    state, damping = prior, 1e-3
    misfit, slopes = _misfit(patch, state, noise)
    cost = _cost(misfit, state - prior, weights)
    for _ in range(ROUNDS):
        curvature = slopes.T @ slopes + np.diag(weights**2)
        slope = slopes.T @ misfit + weights**2 * (state - prior)
        tried = state - np.linalg.solve(curvature + damping * np.diag(curvature.diagonal()), slope)
        tried[2:-2:3] = np.maximum(tried[2:-2:3], 0)
        tried[-1] = max(tried[-1], sigma_px / 2)
        tried_misfit, tried_slopes = _misfit(patch, tried, noise)
        gain = cost - _cost(tried_misfit, tried - prior, weights)
        damping = damping / 10 if gain > 0 else damping * 10
        if gain > 0:
            state, misfit, slopes, cost = tried, tried_misfit, tried_slopes, cost - gain
        if 0 < gain < ENOUGH:
            break
    curvature = slopes.T @ slopes + np.diag(weights**2)
    variances = np.linalg.inv(curvature).diagonal()[:-2].reshape(-1, 3)[:, :2].mean(axis=1)
    narrower = np.linalg.slogdet(curvature)[1] / 2 - np.log(weights).sum()
    spots = state[:-2].reshape(-1, 3)
    return Spots(spots[:, :2], variances, spots[:, 2]), cost + float(narrower)


def patch_noise(patch: Array, centres: Array, *, sigma_px: float, brightest: float) -> float:
    """Deviation of a pixel on top of a spot, from those far from all centres (N, 2) in a filtered patch (h, w)."""
    rows, columns = np.indices(patch.shape) + 0.5
    away = np.hypot(columns - centres[:, 0, None, None], rows - centres[:, 1, None, None]).min(axis=0)
    far = patch[away > FAR_SIGMAS * sigma_px]
    left = float(far.std() if far.size > 1 else patch.std())
    return max(left / NOISE_LEFT, LEAST_NOISE * brightest)


def measurement(before: Array, before_variance: float, after: Array, after_variance: float) -> tuple[Array, float]:
    """The measured centre (2,) and its deviation that take a Kalman filter from one estimate (2,) to the other."""
    gain = max(1 - after_variance / before_variance, 1e-3)
    return before + (after - before) / gain, math.sqrt(before_variance * (1 - gain) / gain)


def _prior(expected: Spots, *, ground: float, sigma_px: float, noise: float) -> tuple[Array, Array]:
    """State: x, y, brightness of each spot, ground, width, as expected; and one over the deviation of each."""
    place = 1 / np.sqrt(expected.variances)
    weights = np.stack([place, place, 1 / (BRIGHTNESS_SPREAD * expected.brightness)], axis=1)
    state = np.concatenate([expected.centres, expected.brightness[:, None]], axis=1)
    return np.append(state, [ground, sigma_px]), np.append(weights, [1 / noise, 1 / (SIGMA_SPREAD * sigma_px)])


def _misfit(patch: Array, state: Array, noise: float) -> tuple[Array, Array]:
    """Model less patch over the noise (h w,), and its slopes (h w, parameters)."""
    rows, columns = np.arange(patch.shape[0]) + 0.5, np.arange(patch.shape[1]) + 0.5
    ground, sigma = state[-2:]
    model, wider, slopes = np.full(patch.shape, ground), np.zeros(patch.shape), []
    for x, y, brightness in state[:-2].reshape(-1, 3):
        right, down = (columns - x)[None], (rows - y)[:, None]
        away = (down**2 + right**2) / sigma**2
        bell = np.exp(-away / 2)
        model += brightness * bell
        wider += brightness * bell * away / sigma
        slopes += [brightness * bell * right / sigma**2, brightness * bell * down / sigma**2, bell]
    slopes += [np.ones(patch.shape), wider]
    return ((model - patch) / noise).ravel(), np.stack([one.ravel() for one in slopes], axis=1) / noise


def _cost(misfit: Array, off: Array, weights: Array) -> float:
    return 0.5 * float(misfit @ misfit + np.square(off * weights).sum())
