"""What a score is called, its unit, which direction is better, and the protocol it follows."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Measure:
    """The description that travels with a score into the record; `best` is the value of a perfect result."""

    name: str
    unit: str
    better: Literal["higher", "lower", "none"]
    best: float
    protocol: str
