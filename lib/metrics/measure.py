"""What a score is called, its unit, which direction is better, and the protocol it follows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lib.errors import Unavailable


@dataclass(frozen=True)
class Measure:
    """The description that travels with a score into the record; `best` is the value of a perfect result."""

    name: str
    unit: str
    better: Literal["higher", "lower", "none"]
    best: float
    protocol: str


def score_or_reason(score: Callable[[], float]) -> float | str:
    """The score, or "not run: ..." with the reason and the cure where weights or a package are missing.

    score: what to compute, such as `lambda: lpips(result, reference)`. Other errors pass through.
    """
    try:
        return score()
    except Unavailable as missing:
        return f"not run: {missing}"
