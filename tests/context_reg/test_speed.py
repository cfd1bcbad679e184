"""The rows of the speed table: the peer computes the same, and what memory each side takes."""

import pytest
import torch

from lib.context_reg import speed


def test_peer_computes_the_same() -> None:
    parts = speed.random_parts(20, 30, classes=5)
    for found, expected in zip(speed.step(speed.ours, parts), speed.step(speed.plain_context_loss, parts), strict=True):
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_extra_memory_is_that_of_the_largest_moment() -> None:
    mebibyte = 2**20
    found = speed.extra_memory(lambda: bytearray(b"1") * (64 * mebibyte))
    if found is None:
        pytest.skip("needs a Linux kernel that resets the peak of a process's memory")
    assert found == pytest.approx(64 * mebibyte, rel=0.2)


def test_a_sixth_of_the_memory() -> None:
    """At a quarter of the smaller size of the table, where the interpreter's own memory counts for more."""
    parts = speed.random_parts(120, 160)
    speed.step(speed.ours, parts)
    used = [
        speed.extra_memory(lambda each=each: speed.step(each, parts)) for each in (speed.ours, speed.plain_context_loss)
    ]
    if None in used:
        pytest.skip("needs a Linux kernel that resets the peak of a process's memory")
    assert used[0] < used[1] / 6


def test_rows_and_goals() -> None:
    rows = speed.races()
    assert [row.goal for row in rows] == [25, 25, 20, pytest.approx(1 / 0.15), 1]
    assert all(callable(row.ours) for row in rows[:4])
    if not torch.cuda.is_available():
        assert rows[-1].ours == "needs a GPU"
