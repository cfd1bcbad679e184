"""The compiled steps of the parts' space, each against matrices."""

import numpy as np
import pytest

from lib.solvers import part_kernels

LABELS = np.array([0, 2, 1, 0, 2, 2, 1])
RANDOM = np.random.default_rng(0)
ENTRIES = np.array([0.6, 0.48, 0.28, -0.8, 0.36, 0.8, 0.96])  # of length 1 on each part
ROWS = RANDOM.standard_normal((3, 7))
BASIS = np.stack([ENTRIES * (part == LABELS) for part in range(3)])


def test_removed_is_what_the_parts_span() -> None:
    assert np.allclose(BASIS @ BASIS.T, np.eye(3))
    found = part_kernels.remove(ROWS, ENTRIES, LABELS, 3)
    assert np.allclose(found, ROWS - ROWS @ BASIS.T @ BASIS)


def test_correction_solves_within_the_parts_space() -> None:
    values, levels, link = np.array([0.3, -0.2, 0.05]), np.array([0.7, 0.1, 0.5]), np.array([0.2, 0.4, 0.1])
    chosen = np.array([2, 0])
    found = part_kernels.correct(ROWS, values, chosen, levels, link, ENTRIES, LABELS, 1e-12)
    assert found.shape == (2, 7)
    coarse = np.diag(levels) - np.outer(link, link)
    for row, idx in zip(found, chosen, strict=True):
        part = BASIS @ ROWS[idx]
        solved = np.linalg.solve(coarse - values[idx] * np.eye(3), part)
        assert np.allclose(row, ROWS[idx] + (solved - part) @ BASIS)


@pytest.mark.parametrize("value", [0.5, 0.46])  # a level, and an eigenvalue of the coarse problem
def test_correction_stays_finite_where_it_would_divide_by_zero(value: float) -> None:
    levels, link = np.array([0.5, 0.5, 0.5]), np.array([0.2, 0.0, 0.0])
    found = part_kernels.correct(ROWS, np.full(3, value), np.arange(3), levels, link, ENTRIES, LABELS, 1e-12)
    assert np.isfinite(found).all()
