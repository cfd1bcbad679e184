"""Splits: whole sequences stay together, single frames leak, every sequence tests once."""

import pytest

from lib.errors import SpecError
from lib.ir_tracking.split import cross_validation, split

LENGTHS = [30, 20, 50, 10, 40, 25, 35, 45, 15, 30]


def test_by_sequence_no_sequence_is_on_both_sides() -> None:
    made = split(LENGTHS)
    assert made.shared_sequences == 0
    assert sum(bool(test) for test in made.test) == 2
    for train, test, length in zip(made.train, made.test, LENGTHS, strict=True):
        assert sorted((*train, *test)) == list(range(length))


def test_by_frame_is_exactly_a_fifth_and_leaks() -> None:
    made = split(LENGTHS, by="frame")
    assert sum(map(len, made.test)) == 60
    assert made.shared_sequences >= 9
    for train, test, length in zip(made.train, made.test, LENGTHS, strict=True):
        assert sorted((*train, *test)) == list(range(length))


def test_folds_test_each_sequence_once() -> None:
    folds = cross_validation(LENGTHS, folds=4)
    tested = [idx for fold in folds for idx, test in enumerate(fold.test) if test]
    assert sorted(tested) == list(range(10))
    assert all(fold.shared_sequences == 0 for fold in folds)


def test_seed_decides() -> None:
    assert split(LENGTHS, seed=1) == split(LENGTHS, seed=1)
    assert split(LENGTHS, seed=1) != split(LENGTHS, seed=2)


def test_what_cannot_be_split() -> None:
    with pytest.raises(SpecError, match="two sequences"):
        split([5])
    with pytest.raises(SpecError, match="test_share"):
        split(LENGTHS, test_share=1)
    with pytest.raises(SpecError, match=r"folds must lie within 2\.\.10"):
        cross_validation(LENGTHS, folds=11)
