"""Vectors in compiled code: each operation against NumPy."""

from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError
from numpy.typing import NDArray

from lib.context_reg.lanes import WIDTH, fill, load, magnitude, prefetch, store, total, with_sign

Row = NDArray[np.float32]


@numba.njit
def arithmetic(a: Row, b: Row, result: Row) -> float:
    prefetch(a, 1)
    x, y = load(a, 1), load(b, 0)
    store(result, 0, x * y + fill(np.float32(0.5)) - y)
    return total(x)


@numba.njit
def signs(value: Row, of: Row, result: Row) -> None:
    store(result, 0, with_sign(load(value, 0), load(of, 0)))
    store(result, WIDTH, magnitude(load(of, 0)))


@pytest.fixture
def rows() -> tuple[Row, Row]:
    rng: Any = np.random.default_rng(0)
    return rng.standard_normal((2, WIDTH + 1)).astype(np.float32)


def test_arithmetic(rows: tuple[Row, Row]) -> None:
    a, b = rows
    result = np.full(WIDTH + 1, 7, np.float32)
    found = arithmetic(a, b, result)
    assert np.allclose(result[:WIDTH], a[1:] * b[:WIDTH] + 0.5 - b[:WIDTH], atol=1e-6)
    assert result[WIDTH] == 7
    assert found == pytest.approx(a[1:].sum(), abs=1e-5)


def test_signs(rows: tuple[Row, Row]) -> None:
    value, of = np.abs(rows[0]), rows[1].copy()
    of[:3] = 0.0, -0.0, np.nan
    result = np.empty(2 * WIDTH, np.float32)
    signs(value, of, result)
    assert (result[:2] == 0).all()
    assert abs(result[2]) == value[2]
    assert np.array_equal(result[3:WIDTH], np.copysign(value, of)[3:WIDTH])
    assert np.array_equal(result[WIDTH:], np.abs(of[:WIDTH]), equal_nan=True)


@pytest.mark.parametrize("kind", ["two axes", "every other number", "float64"])
def test_arrays_that_are_not_flat(kind: str, rows: tuple[Row, Row]) -> None:
    """Their numbers lie elsewhere than a place says."""
    a = {"two axes": np.zeros((2, 2 * WIDTH), np.float32), "every other number": np.zeros(4 * WIDTH, np.float32)[::2]}
    with pytest.raises(TypingError, match="flat, contiguous array of float32"):
        signs(a.get(kind, np.zeros(2 * WIDTH)), rows[1], np.empty(2 * WIDTH, np.float32))
