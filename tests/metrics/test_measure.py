"""What a table shows where a score could not be computed."""

import pytest

from lib.errors import ShapeError, Unavailable
from lib.metrics import score_or_reason


def test_a_score_passes() -> None:
    assert score_or_reason(lambda: 1.5) == 1.5


def test_what_is_missing_becomes_the_reason() -> None:
    def missing() -> float:
        raise Unavailable("the weights toy are not on this machine; get them with: nocturne weights toy --download")

    assert score_or_reason(missing) == (
        "not run: the weights toy are not on this machine; get them with: nocturne weights toy --download"
    )


def test_other_errors_are_not_hidden() -> None:
    def wrong() -> float:
        raise ShapeError("another size")

    with pytest.raises(ShapeError, match="another size"):
        score_or_reason(wrong)
