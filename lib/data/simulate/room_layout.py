"""Which pieces a simulated room holds and where they stand: bedroom, living room, kitchen, bath, office and others."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lib.data.simulate import room_fixtures as fixtures
from lib.data.simulate import room_furniture as furniture
from lib.data.simulate.room_kit import WOODS, Kit, with_pattern
from lib.data.simulate.room_props import floor_thing, furnish
from lib.data.simulate.room_solids import Colour, Paint, Piece, Solid

Maker = Callable[[Kit], Piece]
Point = tuple[float, float, float]

TRIES = 14
REMADE = 3  # times that a piece is made anew, of another size, when there was no room
GAP = 0.02  # metres between pieces
CAMERA_CLEAR, CAMERA_CLEAR_HIGH = 0.7, 1.35  # metres around the camera, for low and for high pieces
HIGH = 0.95
BACK, LEFT, RIGHT = 0, 1, 2
WALL_YAW = (0.0, math.pi / 2, -math.pi / 2)


@dataclass(frozen=True)
class Light:
    """A point light. colour: linear, 1 as white in the picture at one metre."""

    place: Point
    colour: Colour


@dataclass(frozen=True)
class Room:
    """A furnished room. size: its extents, metres, from the origin; faces: x = 0, x = end, y = 0, y = end, floor,
    ceiling. The camera stands at `eye` and looks at `target`; lamp is the light that casts shadows, fill is soft."""

    kind: str
    size: Point
    faces: tuple[Solid, ...]
    solids: tuple[Solid, ...]
    eye: Point
    target: Point
    lamp: Light
    fill: Light


@dataclass(frozen=True)
class _Kind:
    """What a kind of room holds: makers with the probability of each. low, high: of width and depth, metres."""

    low: tuple[float, float]
    high: tuple[float, float]
    floor: tuple[str, ...]
    along_walls: tuple[tuple[Maker, float], ...]
    on_walls: tuple[tuple[Maker, float], ...]
    free: tuple[tuple[Maker, float], ...] = ()
    floor_things: float = 2.0
    clutter: float = 5.0


def _towel(kit: Kit) -> Piece:
    return fixtures.hung_cloth(kit, "towel")


def _hung_clothes(kit: Kit) -> Piece:
    return fixtures.hung_cloth(kit, "clothes")


F = furniture
X = fixtures
KINDS = {
    "bedroom": _Kind(
        (2.6, 2.8), (4.0, 4.4), ("planks", "fabric", "fabric"),
        ((F.bed, 1.0), (F.dresser, 0.8), (F.cabinet, 0.6), (F.desk, 0.35), (F.bookshelf, 0.3), (F.armchair, 0.3),
         (X.floor_lamp, 0.3), (F.night_stand, 0.3), (X.column, 0.2)),
        ((X.door, 0.6), (X.window, 0.85), (X.picture, 0.8), (X.picture, 0.5), (X.wall_mirror, 0.35),
         (_hung_clothes, 0.35), (X.wall_shelf, 0.3), (X.radiator, 0.2), (X.window, 0.2)),
        ((F.ottoman, 0.2), (X.floor_mat, 0.45), (F.chair, 0.3)), 3.0,
    ),
    "living room": _Kind(
        (2.9, 3.2), (4.8, 5.6), ("planks", "planks", "fabric"),
        ((F.sofa, 1.0), (F.tv_stand, 0.8), (F.sofa, 0.5), (F.bookshelf, 0.5), (F.armchair, 0.6), (X.fireplace, 0.4),
         (F.cabinet, 0.4), (X.floor_lamp, 0.5), (F.dresser, 0.15), (X.column, 0.3), (F.person, 0.2)),
        ((X.door, 0.5), (X.window, 0.9), (X.window, 0.5), (X.picture, 0.9), (X.picture, 0.6),
         (X.hung_television, 0.25), (X.wall_shelf, 0.3), (X.wall_mirror, 0.2), (X.radiator, 0.3)),
        ((F.coffee_table, 0.8), (X.floor_mat, 0.5), (F.ottoman, 0.4), (F.armchair, 0.3), (F.dining_table, 0.15)), 2.0,
    ),
    "kitchen": _Kind(
        (2.2, 2.6), (3.6, 4.4), ("tiles", "planks", "tiles"),
        ((X.kitchen_run, 1.0), (X.refrigerator, 0.85), (X.kitchen_run, 0.65), (F.cabinet, 0.35), (F.shelves, 0.25),
         (F.person, 0.2)),
        ((X.door, 0.6), (X.window, 0.7), (X.picture, 0.35), (X.notices, 0.4), (X.wall_shelf, 0.3), (_towel, 0.4)),
        ((F.dining_table, 0.55), (X.floor_mat, 0.3), (F.chair, 0.3)), 1.2, 8.0,
    ),
    "bathroom": _Kind(
        (1.8, 2.2), (2.9, 3.4), ("tiles",),
        ((X.bathtub, 0.85), (X.toilet, 0.95), (X.wash_stand, 1.0), (F.shelves, 0.15), (F.cabinet, 0.2)),
        ((X.wall_mirror, 0.9), (X.door, 0.5), (_towel, 0.8), (_towel, 0.4), (X.window, 0.35), (X.picture, 0.3)),
        ((X.floor_mat, 0.8),), 1.0, 6.0,
    ),
    "office": _Kind(
        (2.6, 2.8), (4.4, 5.2), ("fabric", "fabric", "tiles"),
        ((F.desk, 1.0), (F.desk, 0.6), (F.bookshelf, 0.75), (F.cabinet, 0.6), (F.shelves, 0.5), (F.bookshelf, 0.3),
         (F.person, 0.25), (X.column, 0.3)),
        ((X.door, 0.6), (X.window, 0.8), (X.whiteboard, 0.6), (X.notices, 0.6), (X.picture, 0.5), (X.wall_shelf, 0.4),
         (X.radiator, 0.3), (_hung_clothes, 0.15)),
        ((F.chair, 0.7), (F.dining_table, 0.3), (F.chair, 0.4)), 2.5, 7.0,
    ),
    "dining room": _Kind(
        (2.8, 3.2), (4.4, 5.0), ("planks", "tiles", "fabric"),
        ((F.cabinet, 0.9), (F.dresser, 0.4), (F.bookshelf, 0.5), (X.fireplace, 0.35), (X.floor_lamp, 0.3),
         (F.person, 0.2), (F.armchair, 0.2)),
        ((X.door, 0.7), (X.window, 0.9), (X.window, 0.4), (X.picture, 0.9), (X.picture, 0.5), (X.wall_mirror, 0.35)),
        ((F.dining_table, 1.0), (X.floor_mat, 0.3), (F.chair, 0.3)), 1.0,
    ),
    "classroom": _Kind(
        (3.6, 3.8), (5.5, 6.4), ("tiles", "fabric"),
        ((F.shelves, 0.7), (F.cabinet, 0.6), (F.bookshelf, 0.6), (F.desk, 0.5), (F.person, 0.25)),
        ((X.whiteboard, 0.95), (X.door, 0.7), (X.window, 0.9), (X.window, 0.6), (X.notices, 0.7),
         (X.hung_television, 0.25), (X.radiator, 0.4)),
        ((F.dining_table, 1.0), (F.dining_table, 0.6), (F.chair, 0.7), (F.chair, 0.5)), 1.5, 4.0,
    ),
}  # fmt: skip
FREQUENCIES = (0.24, 0.21, 0.15, 0.1, 0.14, 0.08, 0.08)


class _Plan:
    """Floor plan under way: the room, the camera and the space that is taken, as boxes (low, high) on each axis."""

    def __init__(self, kit: Kit, kind: _Kind) -> None:
        self.kit = kit
        self.kind = kind
        self.size = (
            kit.between(kind.low[0], kind.high[0]), kit.between(kind.low[1], kind.high[1]), kit.ceiling,
        )  # fmt: skip
        width, depth, _ = self.size
        self.eye = (width * kit.between(0.2, 0.8), kit.between(0.12, 0.3 * depth), kit.between(1.05, 1.65))
        self.target = (
            width * kit.between(0.2, 0.8), depth * kit.between(0.75, 1.0), kit.between(0.25, 1.1),
        )  # fmt: skip
        self.taken: list[tuple[Point, Point]] = []
        self.solids: list[Solid] = []
        self.window: Point | None = None

    def place(self, piece: Piece, x: float, y: float, yaw: float, *, touching: int | None = None) -> bool:
        """Puts a piece there if the space is free, inside the room and not before the camera's lens.

        touching: number of the taken space that it may overlap, e.g. of the table of a chair.
        """
        cos, sin = abs(math.cos(yaw)), abs(math.sin(yaw))
        half_x = (cos * piece.width + sin * piece.depth) / 2
        half_y = (sin * piece.width + cos * piece.depth) / 2
        feet = min((solid.centre[2] - solid.half[2] for solid in piece.solids), default=0.0)
        head = max((solid.centre[2] + solid.half[2] for solid in piece.solids), default=0.0)
        low, high = (x - half_x, y - half_y, feet), (x + half_x, y + half_y, piece.height)
        if low[0] < -GAP or low[1] < -GAP or high[0] > self.size[0] + GAP or high[1] > self.size[1] + GAP:
            return False
        if head > self.size[2] + GAP:
            return False
        away_x = max(low[0] - self.eye[0], 0, self.eye[0] - high[0])
        away_y = max(low[1] - self.eye[1], 0, self.eye[1] - high[1])
        if math.hypot(away_x, away_y) < (CAMERA_CLEAR_HIGH if piece.height > HIGH else CAMERA_CLEAR):
            return False
        for idx, (other_low, other_high) in enumerate(self.taken):
            apart = any(high[k] + GAP <= other_low[k] or low[k] >= other_high[k] + GAP for k in range(3))
            if not apart and idx != touching:
                return False
        self.taken.append((low, high))
        self.solids += piece.placed(x, y, 0.0, yaw)
        return True

    def against_wall(self, piece: Piece) -> tuple[float, float, float] | None:
        """Puts a piece with its back to one of the walls in view; its place and yaw, or None if there is no room."""
        kit = self.kit
        for _ in range(TRIES):
            wall = BACK if kit.chance(0.46) else LEFT if kit.chance(0.5) else RIGHT
            begin = 0.0 if wall == BACK else self.eye[1] + 0.3
            end = self.size[0] if wall == BACK else self.size[1]
            slack = (end - begin - piece.width) / 2
            if slack < 0:
                continue
            # corners are as likely as the middle
            corner = slack if kit.chance(0.5) else -slack
            spot = (begin + end) / 2 + (corner if kit.chance(0.3) else kit.between(-slack, slack))
            off = piece.depth / 2 + 0.01
            place = {BACK: (spot, self.size[1] - off), LEFT: (off, spot), RIGHT: (self.size[0] - off, spot)}[wall]
            if self.place(piece, *place, WALL_YAW[wall]):
                return (*place, WALL_YAW[wall])
        return None

    def anywhere(self, piece: Piece) -> tuple[float, float, float] | None:
        """Puts a piece on the floor, square with the room; its place and yaw, or None."""
        for _ in range(TRIES):
            yaw = self.kit.whole(0, 3) * math.pi / 2
            x = self.kit.between(0.15, 0.85) * self.size[0]
            y = self.kit.between(0.3, 0.85) * self.size[1]
            if self.place(piece, x, y, yaw):
                return x, y, yaw
        return None

    def around(self, piece: Piece, at: tuple[float, float, float]) -> None:
        """Puts chairs at a table or desk that was placed last; they face it and may stand below it."""
        kit, table = self.kit, len(self.taken) - 1
        sides = ((0, -1), (0, 1), (-1, 0), (1, 0))
        for across, back in sides:
            if not kit.chance(0.75):
                continue
            seat = furniture.chair(kit)
            reach = (piece.width if across else piece.depth) / 2 + kit.between(-0.05, 0.3)
            slide = kit.between(-0.2, 0.2) * (piece.depth if across else piece.width)
            local = (across * reach + (0 if across else slide), back * reach + (slide if across else 0))
            x, y = _turned(local, at[2])
            away = _turned((float(across), float(back)), at[2])
            yaw = math.atan2(-away[0], away[1]) + kit.between(-0.35, 0.35)
            self.place(seat, at[0] + x, at[1] + y, yaw, touching=table)


def furnish_room(rng: np.random.Generator) -> Room:
    """A room with what it holds, its light and the place of the camera."""
    kit = Kit(rng)
    name = list(KINDS)[int(rng.choice(len(KINDS), p=FREQUENCIES))]
    kind = KINDS[name]
    plan = _Plan(kit, kind)
    clutter = kind.clutter * kit.between(0.3, 1.6)
    openings = [entry for entry in kind.on_walls if entry[0] in (fixtures.door, fixtures.window)]
    _on_walls(plan, openings, clutter)
    for maker, probability in kind.along_walls:
        if kit.chance(probability):
            _along_wall(plan, maker, clutter)
    _on_walls(plan, [entry for entry in kind.on_walls if entry not in openings], clutter)
    for maker, probability in kind.free:
        if kit.chance(probability):
            piece = maker(kit)
            at = plan.anywhere(furnish(kit, piece, clutter=clutter))
            if at and maker is furniture.dining_table:
                plan.around(piece, at)
    for _ in range(int(rng.poisson(kind.floor_things))):
        plan.anywhere(floor_thing(kit))
    return _finished(plan, name)


def _on_walls(plan: _Plan, makers: Sequence[tuple[Maker, float]], clutter: float) -> None:
    """Hangs what each maker gives, with its probability; notes where daylight comes from."""
    for maker, probability in makers:
        if plan.kit.chance(probability):
            _, at = _to_wall(plan, maker, clutter)
            if at and maker is fixtures.window:
                plan.window = (at[0], at[1], 1.5)


def _to_wall(plan: _Plan, maker: Maker, clutter: float) -> tuple[Piece, tuple[float, float, float] | None]:
    """Makes a piece and puts it to a wall; its place and yaw, or None if no size of it found room."""
    for _ in range(REMADE):
        piece = furnish(plan.kit, maker(plan.kit), clutter=clutter)
        if at := plan.against_wall(piece):
            break
    return piece, at


def _along_wall(plan: _Plan, maker: Maker, clutter: float) -> None:
    """Puts one piece of furniture to a wall, and with it what goes with it: night stands, a chair."""
    kit = plan.kit
    piece, at = _to_wall(plan, maker, clutter * (0.3 if maker is furniture.bed else 1.0))
    if at is None:
        return
    if maker is furniture.desk:
        seat = furniture.chair(kit)
        x, y = _turned((kit.between(-0.15, 0.25), -piece.depth / 2 - kit.between(0.0, 0.3)), at[2])
        yaw = at[2] + math.pi + kit.between(-0.6, 0.6)
        plan.place(seat, at[0] + x, at[1] + y, yaw, touching=len(plan.taken) - 1)
    if maker is furniture.bed:
        for side in (-1, 1):
            if kit.chance(0.6):
                stand = furnish(kit, furniture.night_stand(kit), clutter=clutter * 2)
                beside = side * (piece.width / 2 + stand.width / 2 + 0.08)
                x, y = _turned((beside, piece.depth / 2 - stand.depth / 2), at[2])
                plan.place(stand, at[0] + x, at[1] + y, at[2])


def _turned(local: tuple[float, float], yaw: float) -> tuple[float, float]:
    cos, sin = math.cos(yaw), math.sin(yaw)
    return cos * local[0] - sin * local[1], sin * local[0] + cos * local[1]


def _finished(plan: _Plan, name: str) -> Room:
    """The room with its faces, skirting, lamps and lights."""
    kit, (width, depth, high) = plan.kit, plan.size
    hang = fixtures.ceiling_lamp(kit)
    spot = (width * kit.between(0.35, 0.65), depth * kit.between(0.35, 0.7))
    if kit.chance(0.8):
        plan.solids += hang.placed(*spot, high - 0.2, 0.0)
    if kit.chance(0.6):
        white = kit.white()
        kit.box("wall", width / 2, depth - 0.008, 0, width, 0.016, 0.09, white)
        for x in (0.008, width - 0.008):
            kit.box("wall", x, depth / 2, 0, 0.016, depth, 0.09, white)
        plan.solids += kit.piece(0, 0, 0).solids
    warm = kit.between(0, 1)
    lamp = Light((*spot, high - 0.3), (1.0, 1 - 0.22 * warm, 1 - 0.5 * warm))
    fill = Light((plan.eye[0], plan.eye[1], high - 0.5), (0.25, 0.24, 0.22))
    if plan.window:
        x, y, z = plan.window
        strength = kit.between(0.2, 1.2)
        inward = (x + 0.25 * np.sign(width / 2 - x), y - 0.25, z)
        fill = Light(inward, (0.85 * strength, 0.93 * strength, 1.05 * strength))
    return Room(name, plan.size, _faces(plan), tuple(plan.solids), plan.eye, plan.target, lamp, fill)


def _faces(plan: _Plan) -> tuple[Solid, ...]:
    """The six faces as thin boxes outside the room."""
    kit, (width, depth, high) = plan.kit, plan.size
    wall = kit.wall()
    if kit.chance(0.15):
        wall = wall._replace(second=kit.shade(kit.walls), pattern="stripes", scale=kit.between(3, 6))
    if "tiles" in plan.kind.floor and kit.chance(0.4):
        wall = wall._replace(pattern="tiles", scale=kit.between(4, 8), gloss=0.2)
    accent = kit.fabric()._replace(pattern="plain", scale=1.0) if kit.chance(0.12) else wall
    thin, walls, seed = 0.01, [wall] * 4, int(kit.rng.integers(1 << 20))
    walls[kit.whole(0, 3)] = accent
    white = Paint((0.74, 0.73, 0.7), (0.7, 0.69, 0.66), "plain", 1.5)
    ceiling = kit.wall() if kit.chance(0.3) else white
    middle = (width / 2, depth / 2, high / 2)
    places = (
        ((-thin, middle[1], middle[2]), (thin, depth / 2, high / 2), walls[0], "wall"),
        ((width + thin, middle[1], middle[2]), (thin, depth / 2, high / 2), walls[1], "wall"),
        ((middle[0], -thin, middle[2]), (width / 2, thin, high / 2), walls[2], "wall"),
        ((middle[0], depth + thin, middle[2]), (width / 2, thin, high / 2), walls[3], "wall"),
        ((middle[0], middle[1], -thin), (width / 2, depth / 2, thin), _floor(plan), "floor"),
        ((middle[0], middle[1], high + thin), (width / 2, depth / 2, thin), ceiling, "ceiling"),
    )
    return tuple(Solid("box", label, centre, half, paint, seed=seed) for centre, half, paint, label in places)


def _floor(plan: _Plan) -> Paint:
    kit = plan.kit
    pattern = plan.kind.floor[kit.whole(0, len(plan.kind.floor) - 1)]
    if pattern == "planks":
        wood = kit.wood() if kit.chance(0.6) else kit.wood()._replace(colour=kit.shade(WOODS[kit.whole(0, 4)]))
        return with_pattern(wood, "planks", kit.between(7, 14))
    if pattern == "tiles":
        base = kit.shade((0.5, 0.46, 0.4) if kit.chance(0.6) else kit.walls)
        grout = (base[0] * 0.5, base[1] * 0.5, base[2] * 0.5)
        return Paint(base, grout, "tiles", kit.between(2.2, 4.5), 0.25)
    return with_pattern(kit.fabric(), "fabric", 45.0)
