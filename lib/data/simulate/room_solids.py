"""What a simulated room is built of: painted boxes, ellipsoids and drums, and their table of tensors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.data.nyuv2_classes import CLASS_NAMES

Shape = Literal["box", "ball", "drum"]
Pattern = Literal[
    "plain", "wood", "planks", "tiles", "stripes", "plaid", "fabric", "flowers", "spines", "painting", "outside",
    "screen", "paper", "slats", "folds", "fronts", "mirror",
]  # fmt: skip
SHAPES: tuple[Shape, ...] = ("box", "ball", "drum")
PATTERNS: tuple[Pattern, ...] = Pattern.__args__  # type: ignore[attr-defined]
CLASS_IDX = {name: idx for idx, name in enumerate(CLASS_NAMES)}
Colour = tuple[float, float, float]


class Paint(NamedTuple):
    """Look of a surface. colour, second: reflectance, linear 0..1; a pattern goes between the two.

    scale: of the pattern, features per metre. gloss: strength of the highlight, 0..1. glow: light given off, 1 as a
    white surface in the room's light.
    """

    colour: Colour
    second: Colour
    pattern: Pattern = "plain"
    scale: float = 4.0
    gloss: float = 0.0
    glow: float = 0.0


class Solid(NamedTuple):
    """One body: a box, an ellipsoid or an upright elliptic drum.

    centre: x, y, z, metres, z up. half: half of its extents along its own axes. yaw: turn about the vertical, and
    before that lean: turn about its own x axis; radians. seed: of its pattern.
    """

    shape: Shape
    label: str
    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    paint: Paint
    yaw: float = 0.0
    lean: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class Top:
    """A level rectangle on which things can stand: x and y from the middle of its piece, height z; metres.

    space: free height above it.
    """

    x: float
    y: float
    z: float
    width: float
    depth: float
    space: float


@dataclass(frozen=True)
class Piece:
    """A piece of furniture about the origin: its back towards +y, its feet on z = 0. width along x, depth along y."""

    solids: tuple[Solid, ...]
    width: float
    depth: float
    height: float
    tops: tuple[Top, ...] = ()

    def placed(self, x: float, y: float, z: float, yaw: float) -> list[Solid]:
        """Its solids turned by yaw about the vertical and moved."""
        cos, sin = math.cos(yaw), math.sin(yaw)
        return [
            solid._replace(
                centre=(
                    x + cos * solid.centre[0] - sin * solid.centre[1],
                    y + sin * solid.centre[0] + cos * solid.centre[1],
                    z + solid.centre[2],
                ),
                yaw=solid.yaw + yaw,
            )
            for solid in self.solids
        ]

    def with_things(self, solids: Sequence[Solid]) -> "Piece":
        """The piece with more solids, e.g. what stands on it."""
        return replace(self, solids=(*self.solids, *solids))


@dataclass(frozen=True)
class SolidTable:
    """Solids of a batch of scenes as tensors, ordered by shape; the six faces of each room are the last rows.

    scene, shape, label, pattern, seed: (M,) int64. centre, half, colour, second: (M, 3). turn: (M, 3, 3), its columns
    are a solid's axes in the world. scale, gloss, glow: (M,). num_boxes, num_balls, num_drums: rows of each shape
    before the faces, which begin at `faces`.
    """

    scene: Tensor
    shape: Tensor
    label: Tensor
    pattern: Tensor
    seed: Tensor
    centre: Tensor
    half: Tensor
    turn: Tensor
    colour: Tensor
    second: Tensor
    scale: Tensor
    gloss: Tensor
    glow: Tensor
    counts: tuple[int, int, int]

    @property
    def faces(self) -> int:
        """Row of the first room's first face."""
        return sum(self.counts)


def tabulate(
    scenes: Sequence[Sequence[Solid]], rooms: Sequence[Sequence[Solid]], *, device: torch.device
) -> SolidTable:
    """Table of the solids of scenes and of the six faces of their rooms."""
    rows = [(idx, solid) for idx, solids in enumerate(scenes) for solid in solids]
    rows.sort(key=lambda row: SHAPES.index(row[1].shape))
    counts = [sum(row[1].shape == shape for row in rows) for shape in SHAPES]
    rows += [(idx, solid) for idx, faces in enumerate(rooms) for solid in faces]
    solids = [solid for _, solid in rows]
    paints = [solid.paint for solid in solids]

    def whole(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    def real(values: Any) -> Tensor:
        return torch.as_tensor(np.asarray(values, dtype=np.float32), device=device)

    return SolidTable(
        whole([idx for idx, _ in rows]),
        whole([SHAPES.index(solid.shape) for solid in solids]),
        whole([CLASS_IDX[solid.label] for solid in solids]),
        whole([PATTERNS.index(paint.pattern) for paint in paints]),
        whole([solid.seed for solid in solids]),
        real([solid.centre for solid in solids]),
        real([solid.half for solid in solids]),
        real(_turns(solids)),
        real([paint.colour for paint in paints]),
        real([paint.second for paint in paints]),
        real([paint.scale for paint in paints]),
        real([paint.gloss for paint in paints]),
        real([paint.glow for paint in paints]),
        (counts[0], counts[1], counts[2]),
    )


def _turns(solids: Sequence[Solid]) -> np.ndarray[Any, Any]:
    """Rotations (M, 3, 3): lean about x, then yaw about z."""
    yaw, lean = np.array([(solid.yaw, solid.lean) for solid in solids]).T
    cos_y, sin_y, cos_l, sin_l = np.cos(yaw), np.sin(yaw), np.cos(lean), np.sin(lean)
    zero = np.zeros_like(yaw)
    rows = [[cos_y, -sin_y * cos_l, sin_y * sin_l], [sin_y, cos_y * cos_l, -cos_y * sin_l], [zero, sin_l, cos_l]]
    return np.moveaxis(np.array(rows), -1, 0)
