"""The permutohedral lattice against the sum over all pairs: how near, and what holds exactly."""

import numpy as np
import pytest
from numpy.typing import NDArray

from lib.fodvid.lattice import PermutohedralLattice, exact_filter

Array = NDArray[np.float64]


def points(dims: int, *, spread: float, count: int = 800) -> Array:
    """Points whose neighbours are some standard deviations of the filter apart at most."""
    return np.random.default_rng(dims).normal(size=(count, dims)) * spread


def values(count: int = 800) -> Array:
    return np.random.default_rng(9).random((count, 2))


def direct(at: Array, of: Array) -> Array:
    """Gaussian sum, one point after the other."""
    return np.array(
        [sum(np.exp(-((at[i] - at[j]) ** 2).sum() / 2) * of[j] for j in range(len(at))) for i in range(len(at))]
    )


def test_exact_filter_is_the_gaussian_sum() -> None:
    at, of = points(3, spread=2, count=30), values(30)
    np.testing.assert_allclose(exact_filter(at, of), direct(at, of), rtol=1e-12)


@pytest.mark.parametrize(
    ("dims", "relative"),
    # measured 0.014, 0.020, 0.025, 0.049 at a density that fills the lattice: tents in place of Gaussians, steps of
    # the lattice, and mass that leaves the occupied corners; worse in more dimensions
    [(1, 0.025), (2, 0.035), (3, 0.045), (5, 0.07)],
)
def test_lattice_is_near_the_gaussian_sum(dims: int, relative: float) -> None:
    at, of = points(dims, spread=1), values()
    exact, near = exact_filter(at, of), PermutohedralLattice(at)(of)
    factor = (exact * near).sum() / (near * near).sum()
    assert np.linalg.norm(factor * near - exact) < relative * np.linalg.norm(exact)


def test_filter_is_symmetric() -> None:
    """<K a, b> = <a, K b>, which the CRF's normalisation on both sides rests on; blurs in sequence keep it nearly."""
    at = points(3, spread=1)
    a, b = values()[:, :1], values()[:, 1:] - 0.5
    lattice = PermutohedralLattice(at)
    there, back = float((lattice(a) * b).sum()), float((a * lattice(b)).sum())
    size = float(np.linalg.norm(lattice(a)) * np.linalg.norm(b))
    assert abs(there - back) < 1e-3 * size


def test_width_is_one_standard_deviation() -> None:
    """Spikes at all places between two corners of the lattice are answered with the kernel's variance, 1, on average.

    Blurs give 3/4, and the sharing out and the reading, two tents, 1/8 each: less for a spike on a corner.
    """
    at = np.arange(-800, 801)[:, None] / 100
    spikes = np.zeros((1601, 87))  # corners are 0.866 apart
    spikes[800 + np.arange(87), np.arange(87)] = 1
    answers = PermutohedralLattice(at)(spikes)
    distances = at - at[800 + np.arange(87)].T
    variances = (answers * distances**2).sum(axis=0) / answers.sum(axis=0)
    assert variances.mean() == pytest.approx(1, abs=0.01)
    assert variances[0] == pytest.approx(0.875, abs=1e-3)


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_shares_of_a_point_sum_to_one_and_its_corners_surround_it(dims: int) -> None:
    lattice = PermutohedralLattice(points(dims, spread=3))
    assert lattice.read.data.min() >= -1e-12
    np.testing.assert_allclose(np.asarray(lattice.read.sum(axis=1)).ravel(), 1, atol=1e-12)
    assert np.diff(lattice.read.indptr).max() == dims + 1


def test_far_points_do_not_see_each_other() -> None:
    at = np.array([[0.0, 0.0], [100.0, 0.0]])
    answer = PermutohedralLattice(at)(np.array([[1.0], [0.0]]))
    assert answer[1, 0] == 0
    assert answer[0, 0] > 0


def test_linear_and_the_same_for_equal_points() -> None:
    at = np.repeat(points(2, spread=1, count=20), 2, axis=0)
    of = values(40)
    lattice = PermutohedralLattice(at)
    np.testing.assert_allclose(
        lattice(2 * of[:, :1] - of[:, 1:]), 2 * lattice(of)[:, :1] - lattice(of)[:, 1:], atol=1e-12
    )
    np.testing.assert_array_equal(lattice(of)[::2], lattice(of)[1::2])
