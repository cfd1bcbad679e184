"""The builder of one simulated room: its colours, its random numbers, and the solids that a piece is made of."""

import math
from collections.abc import Sequence

import numpy as np

from lib.data.simulate.room_solids import Colour, Paint, Piece, Shape, Solid, Top

# linear reflectances of things in homes
WOODS: tuple[Colour, ...] = (
    (0.42, 0.24, 0.11), (0.23, 0.10, 0.04), (0.10, 0.045, 0.022), (0.55, 0.38, 0.20), (0.33, 0.16, 0.07),
    (0.62, 0.50, 0.34), (0.045, 0.028, 0.02),
)  # fmt: skip
WALLS: tuple[Colour, ...] = (
    (0.72, 0.69, 0.62), (0.66, 0.58, 0.44), (0.78, 0.77, 0.75), (0.52, 0.56, 0.58), (0.58, 0.62, 0.48),
    (0.70, 0.60, 0.40), (0.45, 0.50, 0.58), (0.62, 0.50, 0.42), (0.55, 0.53, 0.50), (0.40, 0.20, 0.15),
)  # fmt: skip
FABRICS: tuple[Colour, ...] = (
    (0.55, 0.52, 0.46), (0.20, 0.22, 0.26), (0.32, 0.08, 0.06), (0.08, 0.12, 0.28), (0.36, 0.30, 0.20),
    (0.14, 0.20, 0.10), (0.62, 0.58, 0.52), (0.05, 0.05, 0.055), (0.40, 0.22, 0.12), (0.30, 0.34, 0.42),
    (0.52, 0.36, 0.30), (0.16, 0.10, 0.07),
)  # fmt: skip
ACCENTS: tuple[Colour, ...] = (
    (0.55, 0.06, 0.05), (0.06, 0.16, 0.45), (0.60, 0.42, 0.05), (0.08, 0.30, 0.12), (0.65, 0.65, 0.62),
    (0.05, 0.05, 0.05), (0.45, 0.20, 0.05), (0.30, 0.10, 0.32), (0.60, 0.30, 0.30), (0.15, 0.40, 0.45),
)  # fmt: skip
GREY_SPREAD, COLOUR_SPREAD = 0.12, 0.06  # of the logarithm of a paint's brightness and of its channels


class Kit:
    """Colours of one room, drawn once so that furniture, floor and walls share them, and a builder of solids."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.ceiling = self.between(2.35, 2.9)  # height of the room, metres
        self.solids: list[Solid] = []
        self.tops: list[Top] = []
        self._woods = self._some(WOODS, 2)
        self._fabrics = self._some(FABRICS, 3)
        self.walls = self._some(WALLS, 1)[0]
        # in half of the rooms one textile is of the walls' colour: colour alone must not tell the class
        if self.chance(0.5):
            self._fabrics.append(self.walls)
        if self.chance(0.4):
            self._woods.append(self.walls)

    def _some(self, colours: Sequence[Colour], count: int) -> list[Colour]:
        return [colours[idx] for idx in self.rng.choice(len(colours), count, replace=False)]

    def between(self, low: float, high: float) -> float:
        """A number within low..high, all equally likely."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return float(self.rng.random()) < probability

    def whole(self, low: int, high: int) -> int:
        """An integer within low..high, both included."""
        return int(self.rng.integers(low, high + 1))

    def shade(self, colour: Colour) -> Colour:
        """The colour, a little brighter or darker and of another hue."""
        grey, *tints = self.rng.normal(size=4)
        red, green, blue = (
            min(0.92, part * math.exp(GREY_SPREAD * grey + COLOUR_SPREAD * tint))
            for part, tint in zip(colour, tints, strict=True)
        )
        return (red, green, blue)

    def wood(self) -> Paint:
        """Wood of one of the room's two kinds, sometimes painted."""
        colour = self.shade(self._woods[self.whole(0, len(self._woods) - 1)])
        second = _scaled(colour, self.between(0.45, 0.8))
        return Paint(colour, second, "wood", self.between(1.5, 5), self.between(0, 0.25))

    def fabric(self) -> Paint:
        """Cloth in one of the room's colours: plain, woven, striped, checked or with flowers."""
        colour = self.shade(self._fabrics[self.whole(0, len(self._fabrics) - 1)])
        pattern = ("fabric", "fabric", "fabric", "stripes", "plaid", "flowers")[self.whole(0, 5)]
        second = _scaled(colour, self.between(0.6, 0.9))
        if pattern != "fabric":
            second = self.shade(FABRICS[self.whole(0, len(FABRICS) - 1)])
        scale = 60.0 if pattern == "fabric" else self.between(4, 14)
        return Paint(colour, second, pattern, scale)  # type: ignore[arg-type]

    def white(self) -> Paint:
        """White of lacquer, porcelain or plastic."""
        level = self.between(0.55, 0.85)
        colour = self.shade((level, level * 0.98, level * 0.94))
        return Paint(colour, _scaled(colour, 0.92), "plain", 3.0, self.between(0.05, 0.5))

    def metal(self) -> Paint:
        """Grey or black metal or plastic."""
        level = self.between(0.03, 0.4)
        colour = self.shade((level, level, level * 1.02))
        return Paint(colour, _scaled(colour, 0.8), "plain", 5.0, self.between(0.2, 0.8))

    def accent(self) -> Paint:
        """A colour of small things, sometimes one of the room's own."""
        pool = self._fabrics if self.chance(0.3) else ACCENTS
        colour = self.shade(pool[self.whole(0, len(pool) - 1)])
        return Paint(colour, _scaled(colour, 0.7), "plain", 12.0, self.between(0, 0.5))

    def wall(self) -> Paint:
        """The walls' paint."""
        return Paint(self.walls, _scaled(self.walls, 0.97), "plain", 1.2)

    def lacquer(self) -> Paint:
        """What cabinets are of: wood, white or the walls' colour."""
        pick = self.rng.random()
        return self.wood() if pick < 0.55 else self.white() if pick < 0.85 else self.wall()

    def add(
        self,
        shape: Shape,
        label: str,
        centre: tuple[float, float, float],
        size: tuple[float, float, float],
        paint: Paint,
        *,
        yaw: float = 0.0,
        lean: float = 0.0,
    ) -> None:
        """Adds a solid by its middle and its full extents."""
        half = (size[0] / 2, size[1] / 2, size[2] / 2)
        self.solids.append(Solid(shape, label, centre, half, paint, yaw, lean, int(self.rng.integers(1 << 20))))

    def box(
        self,
        label: str,
        x: float,
        y: float,
        z: float,
        width: float,
        depth: float,
        height: float,
        paint: Paint,
        *,
        yaw: float = 0.0,
        lean: float = 0.0,
    ) -> None:
        """Adds a box by the middle of its foot."""
        self.add("box", label, (x, y, z + height / 2), (width, depth, height), paint, yaw=yaw, lean=lean)

    def legs(self, label: str, width: float, depth: float, height: float, thick: float, paint: Paint) -> None:
        """Adds four legs at the corners of a rectangle."""
        x, y = (width - thick) / 2, (depth - thick) / 2
        for side_x, side_y in ((-x, -y), (-x, y), (x, -y), (x, y)):
            self.box(label, side_x, side_y, 0, thick, thick, height, paint)

    def top(self, x: float, y: float, z: float, width: float, depth: float, *, space: float = 0.6) -> None:
        """Notes a rectangle on which things up to a height of `space` can stand."""
        self.tops.append(Top(x, y, z, width, depth, space))

    def piece(self, width: float, depth: float, height: float) -> Piece:
        """Takes what was added since the last piece."""
        made = Piece(tuple(self.solids), width, depth, height, tuple(self.tops))
        self.solids, self.tops = [], []
        return made


def _scaled(colour: Colour, factor: float) -> Colour:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def with_pattern(paint: Paint, pattern: str, scale: float) -> Paint:
    """The paint with another pattern."""
    return paint._replace(pattern=pattern, scale=scale)  # type: ignore[arg-type]
