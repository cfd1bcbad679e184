"""Tables: text and HTML, rounding, alignment."""

import pytest

from lib.errors import ShapeError
from lib.show import table


def test_text_is_aligned_and_rounded() -> None:
    made = table(
        [["average", 12.3456, 3], ["ours, fitted", -0.0001, None]],
        ["method", "seam (grey levels)", "frames"],
        digits={"seam (grey levels)": 2},
        caption="Measures",
    )
    assert repr(made).splitlines() == [
        "Measures",
        "method        seam (grey levels)   frames",
        "------------  ------------------  -------",
        "average                    12.35        3",
        "ours, fitted                0.00  not run",
    ]


def test_html_is_escaped_and_says_the_same() -> None:
    html = table([["<b>", 1.0]], ["a & b", "score"], digits=1)._repr_html_()
    assert "&lt;b&gt;" in html
    assert "a &amp; b" in html
    assert '<td style="text-align:right">1.0</td>' in html
    assert "<b>" not in html


def test_other_values() -> None:
    made = table([[True, "x", -1.5], [False, 2, float("inf")]], ["flag", "mixed", "number"], digits=0)
    assert made.rows == (("yes", "x", "-2"), ("no", "2", "inf"))
    assert made.numeric == (False, False, True)


def test_no_rows_and_wrong_rows() -> None:
    assert repr(table([], ["a", "bc"])) == "a  bc\n-  --"
    with pytest.raises(ShapeError, match="row 1 must have 2 cells"):
        table([[1, 2], [1]], ["a", "b"])
