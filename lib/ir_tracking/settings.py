"""Constants of the multi-level filter (eqs 2 to 4), each once, with its section; the paper prints no value."""

from dataclasses import dataclass
from typing import Literal, Self, get_args

from lib.errors import SpecError

Polarity = Literal["bright", "dark"]
DIRECTIONS = (4, 8)


@dataclass(frozen=True)
class FilterSettings:
    """What the background filter follows. Raises SpecError for values out of range.

    Choice: the paper gives neither the length, the number and the angles of the lines nor the size of the rectangle.
    A line must be longer than the largest target in every direction, and the rectangle must fit inside the smallest
    target: a 4x4 opening erases a target of 3x3 pixels, 2x2 keeps it.
    """

    line_length_px: int = 11  # of a_i of eq. 2 at native sampling, pixels, odd; 15 for threefold oversampling
    directions: int = 4  # number of a_i in eq. 2: 0, 45, 90, 135 degrees; 8: also 22.5, 67.5, 112.5, 157.5
    opening_px: int = 2  # side of the square s of eq. 4; 1: no opening
    polarity: Polarity = "bright"  # of targets on their ground; eqs 2 to 4 find bright ones, the closing dual dark ones

    def __post_init__(self) -> None:
        length = self.line_length_px
        if not _is_whole(length) or length < 3 or length % 2 == 0:
            raise SpecError(f"line_length_px must be an odd whole number of at least 3: got {length!r}")
        if self.directions not in DIRECTIONS or not _is_whole(self.directions):
            raise SpecError(f"directions must be 4 or 8: got {self.directions!r}")
        if not _is_whole(self.opening_px) or self.opening_px < 1:
            raise SpecError(f"opening_px must be a whole number of at least 1: got {self.opening_px!r}")
        if self.polarity not in get_args(Polarity):
            raise SpecError(f"polarity must be one of {', '.join(get_args(Polarity))}: got {self.polarity!r}")

    @classmethod
    def oversampled(cls) -> Self:
        """For threefold oversampling, where a point covers more pixels: lines of 15 px."""
        return cls(line_length_px=15)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
