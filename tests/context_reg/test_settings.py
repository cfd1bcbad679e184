"""Constants of the regulariser, and the values that they refuse."""

import pytest

from lib.context_reg.settings import RegularizationSettings
from lib.errors import SpecError


def test_constants_of_the_paper() -> None:
    paper = RegularizationSettings.paper()
    assert (paper.sigma, paper.weight, paper.norm_weight, paper.sum_weight) == (0.25, 100, 1000, 1000)
    assert (paper.reduction, paper.kernel_loss, paper.tied) == ("sum", "printed", True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"initialisation": "sobel"}, "one of differences, kirsch, random: got 'sobel'"),
        ({"reduction": "none"}, "one of sum, mean"),
        ({"sigma": 0.0}, "sigma must be above 0"),
        ({"weight": -1.0}, "weight must be at least 0"),
        ({"norm_weight": float("nan")}, "norm_weight must be at least 0 and finite"),
        ({"num_kernels": 2.5}, "num_kernels must be a whole number"),
    ],
)
def test_what_is_refused(change: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        RegularizationSettings().but(**change)
