"""Fixtures of a simulated room: kitchen and bath, what hangs on walls and what stands before them."""

from lib.data.simulate.room_kit import Kit, with_pattern
from lib.data.simulate.room_solids import Paint, Piece

DARK = Paint((0.02, 0.02, 0.022), (0.05, 0.05, 0.05), "plain", 4.0, 0.5)


def kitchen_run(kit: Kit) -> Piece:
    """Base cabinets under a counter with sink or stove, and perhaps wall cabinets above."""
    width, depth, high = kit.between(1.4, 2.8), 0.6, kit.between(0.84, 0.92)
    paint, metal = kit.lacquer(), kit.metal()
    stone = kit.shade(((0.04, 0.04, 0.045), (0.5, 0.48, 0.44), (0.3, 0.22, 0.16))[kit.whole(0, 2)])
    slab = Paint(stone, (min(1, stone[0] * 1.7), min(1, stone[1] * 1.7), min(1, stone[2] * 1.6)), "flowers", 60.0, 0.4)
    kit.box("cabinet", 0, 0.03, 0, width, depth - 0.1, 0.1, DARK)
    fronts = with_pattern(paint, "fronts", float(max(2, round(width / 0.5))))
    kit.box("cabinet", 0, 0.01, 0.1, width, depth - 0.04, high - 0.14, fronts)
    kit.box("counter", 0, 0, high - 0.04, width + 0.02, depth + 0.02, 0.04, slab)
    kit.box("counter", 0, depth / 2 - 0.01, high, width, 0.02, 0.1, slab)
    spot = kit.between(-0.28, 0.28) * width
    if kit.chance(0.6):
        kit.box("sink", spot, -0.02, high, 0.56, 0.42, 0.012, metal._replace(colour=(0.4, 0.4, 0.42)))
        kit.box("sink", spot, -0.02, high + 0.002, 0.46, 0.32, 0.012, metal._replace(colour=(0.12, 0.12, 0.13)))
        kit.add("drum", "sink", (spot, 0.21, high + 0.12), (0.03, 0.03, 0.24), metal)
        kit.box("sink", spot, 0.13, high + 0.22, 0.025, 0.18, 0.025, metal)
    else:
        body = kit.white() if kit.chance(0.5) else metal
        kit.box("otherstructure", spot, -0.01, 0.08, 0.6, depth + 0.01, high - 0.06, body)
        kit.box("otherstructure", spot, -depth / 2 - 0.012, 0.24, 0.46, 0.012, 0.34, DARK)
        for x in (-0.14, 0.14):
            for y in (-0.13, 0.13):
                kit.add("drum", "otherstructure", (spot + x, y, high + 0.028), (0.17, 0.17, 0.016), DARK)
    for side in (-1, 1):
        free = width / 2 - side * spot - 0.32
        if free > 0.25:
            kit.top(spot + side * (0.32 + free / 2), 0, high, free * 0.9, depth * 0.7, space=0.5)
    if kit.chance(0.75):
        tall, deep = kit.between(0.6, 0.8), 0.34
        kit.box("cabinet", 0, (depth - deep) / 2, 1.42, width, deep, tall, fronts)
        if kit.chance(0.3):
            kit.box("otherprop", spot, (depth - deep) / 2 - 0.1, high + 0.012, 0.46, 0.34, 0.27, DARK)
    return kit.piece(width, depth, 2.2)


def refrigerator(kit: Kit) -> Piece:
    """Refrigerator with two doors and handles; white as a cabinet, or metal."""
    width, depth, high = kit.between(0.65, 0.9), kit.between(0.62, 0.74), kit.between(1.55, 1.85)
    paint = kit.white() if kit.chance(0.6) else kit.metal()
    handle = kit.metal()
    split = high * kit.between(0.58, 0.68)
    kit.box("refridgerator", 0, 0.03, 0, width, depth - 0.06, high, paint)
    kit.box("refridgerator", 0, -depth / 2 + 0.03, 0.05, width, 0.06, split - 0.06, paint)
    kit.box("refridgerator", 0, -depth / 2 + 0.03, split, width, 0.06, high - split, paint)
    for z, tall in ((split - 0.5, 0.4), (split + 0.06, 0.25)):
        kit.box("refridgerator", -width * 0.4, -depth / 2 - 0.03, z, 0.03, 0.04, tall, handle)
    kit.top(0, 0, high, width * 0.8, depth * 0.5)
    return kit.piece(width, depth, high)


def toilet(kit: Kit) -> Piece:
    """Toilet with bowl, lid and cistern."""
    paint = kit.white()
    kit.add("drum", "toilet", (0, -0.05, 0.17), (0.24, 0.34, 0.34), paint)
    kit.add("ball", "toilet", (0, -0.12, 0.32), (0.38, 0.5, 0.24), paint)
    kit.add("drum", "toilet", (0, -0.12, 0.415), (0.38, 0.48, 0.04), paint)
    kit.box("toilet", 0, 0.26, 0.36, 0.42, 0.19, 0.36, paint)
    kit.box("toilet", 0, 0.26, 0.72, 0.44, 0.21, 0.03, paint)
    kit.top(0, 0.26, 0.75, 0.3, 0.1)
    return kit.piece(0.45, 0.72, 0.75)


def wash_stand(kit: Kit) -> Piece:
    """Sink on a cabinet or on a foot."""
    width, depth, high, white = kit.between(0.5, 1.2), 0.5, kit.between(0.8, 0.88), kit.white()
    if kit.chance(0.7):
        front = with_pattern(kit.lacquer(), "fronts", 2.0)
        kit.box("cabinet", 0, 0.01, 0, width, depth - 0.04, high - 0.05, front)
        kit.box("counter", 0, 0, high - 0.05, width + 0.02, depth, 0.05, white if kit.chance(0.6) else kit.wood())
        kit.top(width * 0.4, 0, high, width * 0.16, depth * 0.7)
    else:
        kit.add("drum", "sink", (0, 0.05, high / 2 - 0.06), (0.18, 0.18, high - 0.1), white)
    kit.add("drum", "sink", (0, -0.02, high + 0.01), (min(0.5, width * 0.9), 0.4, 0.05), white)
    kit.add("drum", "sink", (0, -0.02, high + 0.032), (min(0.42, width * 0.76), 0.32, 0.01), _dim(white))
    kit.add("drum", "sink", (0, 0.19, high + 0.1), (0.03, 0.03, 0.2), kit.metal())
    return kit.piece(width, depth, high + 0.2)


def bathtub(kit: Kit) -> Piece:
    """Bathtub with its rim, and a shower curtain that may be half closed."""
    width, depth, high, white = kit.between(1.5, 1.75), kit.between(0.7, 0.8), kit.between(0.48, 0.58), kit.white()
    rim = 0.08
    kit.box("bathtub", 0, 0, 0, width - 0.02, depth - 0.02, 0.14, white)
    for y in (-(depth - rim) / 2, (depth - rim) / 2):
        kit.box("bathtub", 0, y, 0, width, rim, high, white)
    for x in (-(width - rim) / 2, (width - rim) / 2):
        kit.box("bathtub", x, 0, 0, rim, depth, high, white)
    if kit.chance(0.75):
        cloth = kit.fabric()
        drape = Paint(cloth.colour, cloth.second, "folds", kit.between(6, 12))
        long = width * kit.between(0.25, 0.9)
        side = 1 if kit.chance(0.5) else -1
        kit.box("shower curtain", side * (width - long) / 2, -depth / 2 - 0.02, 0.25, long, 0.03, 1.7, drape)
        kit.box("otherprop", 0, -depth / 2 - 0.02, 1.95, width, 0.025, 0.025, kit.metal())
    return kit.piece(width, depth + 0.05, 1.95)


def door(kit: Kit) -> Piece:
    """Closed door in its frame, with a handle; of wood, white or the colour of the walls."""
    width, high, paint = kit.between(0.75, 0.95), kit.between(1.98, 2.1), kit.lacquer()
    frame = kit.white() if kit.chance(0.6) else kit.wood()
    for x in (-width / 2 - 0.04, width / 2 + 0.04):
        kit.box("door", x, 0, 0, 0.08, 0.05, high + 0.08, frame)
    kit.box("door", 0, 0, high, width, 0.05, 0.08, frame)
    kit.box("door", 0, 0.01, 0, width, 0.025, high, with_pattern(paint, "fronts", 1.0))
    side = 0.42 * width * (1 if kit.chance(0.5) else -1)
    kit.box("door", side, -0.04, 1.0, 0.11, 0.03, 0.025, kit.metal())
    return kit.piece(width + 0.16, 0.06, high + 0.08)


def window(kit: Kit) -> Piece:
    """Window with frame and bars; before it blinds, curtains, both or nothing."""
    width, high, sill = kit.between(0.8, 2.0), kit.between(0.9, 1.5), kit.between(0.75, 1.05)
    frame = kit.white() if kit.chance(0.7) else kit.wood()
    sky = Paint((0.55, 0.62, 0.72), (0.10, 0.14, 0.07), "outside", kit.between(1.5, 4), 0.1, kit.between(0.1, 2.2))
    kit.box("window", 0, 0.015, sill, width, 0.02, high, sky)
    for z in (sill - 0.03, sill + high - 0.04):
        kit.box("window", 0, 0, z, width + 0.1, 0.06, 0.07, frame)
    for idx in range(bars := kit.whole(2, 3)):
        x = -width / 2 + idx * width / (bars - 1)
        kit.box("window", x, 0, sill, 0.05, 0.05, high, frame)
    if kit.chance(0.4):
        kit.box("window", 0, 0, sill + high / 2, width, 0.04, 0.04, frame)
    if kit.chance(0.4):
        slats = kit.white() if kit.chance(0.7) else kit.wood()
        part = high * (kit.between(0.25, 0.9) if kit.chance(0.7) else 1.0)
        blind = with_pattern(slats, "slats", kit.between(18, 40))
        kit.box("blinds", 0, -0.045, sill + high - part, width, 0.02, part, blind)
    if kit.chance(0.5):
        cloth = kit.fabric()
        drape = Paint(cloth.colour, cloth.second, "folds", kit.between(5, 10))
        wide, floor = width * kit.between(0.15, 0.4), kit.between(0.03, sill)
        tall = sill + high + 0.12 - floor
        for x in (-(width + wide) / 2 + wide * 0.4, (width + wide) / 2 - wide * 0.4):
            kit.box("curtain", x, -0.085, floor, wide, 0.05, tall, drape)
        kit.box("otherprop", 0, -0.085, sill + high + 0.12, width + 0.5, 0.025, 0.025, kit.metal())
    return kit.piece(width + 0.5, 0.1, sill + high)


def picture(kit: Kit) -> Piece:
    """Framed picture or poster."""
    width, high, low = kit.between(0.3, 1.1), kit.between(0.3, 0.8), kit.between(1.15, 1.5)
    canvas = kit.accent()._replace(pattern="painting", scale=kit.between(3, 9))
    frame = kit.wood() if kit.chance(0.6) else kit.metal()
    kit.box("picture", 0, 0, low, width, 0.03, high, frame)
    kit.box("picture", 0, -0.01, low + 0.03, width - 0.06, 0.02, high - 0.06, canvas)
    return kit.piece(width, 0.035, low + high)


def wall_mirror(kit: Kit) -> Piece:
    """Mirror in a frame."""
    width, high, low = kit.between(0.5, 1.0), kit.between(0.7, 1.1), kit.between(0.85, 1.15)
    glass = Paint((0.8, 0.82, 0.8), (0.5, 0.5, 0.5), "mirror", 1.0, 0.0)
    kit.box("mirror", 0, 0, low, width, 0.03, high, kit.lacquer())
    kit.box("mirror", 0, -0.012, low + 0.035, width - 0.07, 0.02, high - 0.07, glass)
    return kit.piece(width, 0.04, low + high)


def whiteboard(kit: Kit) -> Piece:
    """Whiteboard with a metal edge and some writing."""
    width, high, low = kit.between(1.1, 2.2), kit.between(0.8, 1.2), kit.between(0.85, 1.0)
    white = kit.white()._replace(second=(0.1, 0.12, 0.3), pattern="paper", scale=9.0)
    kit.box("whiteboard", 0, 0, low, width, 0.025, high, kit.metal())
    kit.box("whiteboard", 0, -0.006, low + 0.03, width - 0.06, 0.02, high - 0.06, white)
    return kit.piece(width, 0.04, low + high)


def hung_television(kit: Kit) -> Piece:
    """Television on the wall."""
    wide = kit.between(0.8, 1.3)
    screen = Paint((0.015, 0.015, 0.018), (0.15, 0.2, 0.3), "screen", 2.5, 0.6, kit.between(0, 0.9))
    kit.box("television", 0, 0, 1.1, wide, 0.06, wide * 0.58, DARK)
    kit.box("television", 0, -0.028, 1.125, wide - 0.05, 0.01, wide * 0.58 - 0.05, screen)
    return kit.piece(wide, 0.08, 1.1 + wide * 0.58)


def hung_cloth(kit: Kit, label: str) -> Piece:
    """Towel on a rail, or clothes on hooks."""
    cloth = kit.fabric()
    count = kit.whole(1, 2) if label == "towel" else kit.whole(1, 4)
    low = kit.between(0.7, 1.0) if label == "towel" else kit.between(0.8, 1.0)
    for idx in range(count):
        if label == "clothes":
            cloth = kit.fabric()
        x = (idx - (count - 1) / 2) * 0.32
        tall = kit.between(0.45, 0.85)
        drape = Paint(cloth.colour, cloth.second, "folds", kit.between(6, 14))
        kit.box(label, x, -0.02, 1.65 - tall, kit.between(0.24, 0.4), 0.05, tall, drape)
    kit.box("otherprop", 0, 0, 1.65, 0.32 * count + 0.1, 0.05, 0.025, kit.metal())
    return kit.piece(0.34 * count + 0.1, 0.1, low + 0.9)


def notices(kit: Kit) -> Piece:
    """Sheets of paper, pinned to the wall."""
    width = kit.between(0.4, 1.1)
    for _ in range(kit.whole(2, 6)):
        page = kit.white()._replace(second=(0.1, 0.1, 0.1), pattern="paper", scale=26.0)
        x, z = kit.between(-0.45, 0.45) * width, kit.between(1.15, 1.6)
        kit.box("paper", x, 0, z, 0.21, 0.008, 0.29, page)
    return kit.piece(width + 0.2, 0.01, 1.9)


def wall_shelf(kit: Kit) -> Piece:
    """One or two boards on the wall on which things stand."""
    width, paint = kit.between(0.6, 1.3), kit.lacquer()
    for idx in range(kit.whole(1, 2)):
        z = 1.25 + 0.38 * idx
        kit.box("shelves", 0, 0, z, width, 0.22, 0.03, paint)
        kit.top(0, 0, z + 0.03, width * 0.9, 0.12, space=0.34)
    return kit.piece(width, 0.24, 1.9)


def radiator(kit: Kit) -> Piece:
    """Radiator below a window, of the class otherfurniture."""
    width = kit.between(0.6, 1.2)
    kit.box("otherfurniture", 0, 0, 0.12, width, 0.1, 0.55, with_pattern(kit.white(), "folds", 14.0))
    return kit.piece(width, 0.14, 0.67)


def column(kit: Kit) -> Piece:
    """Pillar or chimney breast, of the class otherstructure, in the walls' colour."""
    width = kit.between(0.3, 0.6)
    kit.box("otherstructure", 0, 0, 0, width, width, kit.ceiling, kit.wall())
    return kit.piece(width, width, kit.ceiling)


def fireplace(kit: Kit) -> Piece:
    """Fireplace with a mantel, of the class otherstructure."""
    width, high = kit.between(1.2, 1.6), kit.between(1.0, 1.25)
    stone = Paint(kit.walls, (0.3, 0.28, 0.25), "tiles", 5.0)
    kit.box("otherstructure", 0, 0.05, 0, width, 0.3, high, stone)
    kit.box("otherstructure", 0, -0.105, 0.05, width * 0.5, 0.02, high * 0.6, DARK)
    kit.box("otherstructure", 0, 0, high, width + 0.15, 0.42, 0.06, kit.lacquer())
    kit.top(0, 0, high + 0.06, width, 0.25)
    return kit.piece(width + 0.15, 0.42, high + 0.06)


def ceiling_lamp(kit: Kit) -> Piece:
    """Lamp below the ceiling, of the class otherstructure; its foot is the lowest point, at z = 0."""
    light = Paint((0.8, 0.76, 0.66), (0.8, 0.76, 0.66), "plain", 1.0, 0.0, 1.6)
    if kit.chance(0.5):
        kit.add("ball", "otherstructure", (0, 0, 0.1), (0.36, 0.36, 0.2), light)
    else:
        kit.box("otherstructure", 0, 0, 0.1, kit.between(0.5, 1.1), 0.3, 0.08, light)
    return kit.piece(0.4, 0.4, 0.2)


def floor_mat(kit: Kit) -> Piece:
    """Mat or rug on the floor: floor mat if small, otherprop (rug) if large, as in the data set's map."""
    width, depth = kit.between(0.5, 2.2), kit.between(0.4, 1.5)
    cloth = kit.fabric()
    kit.box("floor mat" if kit.chance(0.75) else "otherprop", 0, 0, 0, width, depth, 0.018, cloth)
    return kit.piece(width, depth, 0.02)


def floor_lamp(kit: Kit) -> Piece:
    """Lamp with a thin pole and a shade."""
    high, metal = kit.between(1.4, 1.75), kit.metal()
    kit.add("drum", "lamp", (0, 0, 0.015), (0.3, 0.3, 0.03), metal)
    kit.add("drum", "lamp", (0, 0, high / 2), (0.03, 0.03, high), metal)
    kit.add("drum", "lamp", (0, 0, high), (0.36, 0.36, kit.between(0.22, 0.34)), _shade(kit))
    return kit.piece(0.36, 0.36, high + 0.15)


def table_lamp(kit: Kit, x: float, y: float, z: float) -> None:
    """Adds a lamp with a foot and a shade at a place."""
    high = kit.between(0.35, 0.55)
    foot = kit.accent()
    kit.add("ball", "lamp", (x, y, z + 0.11), (0.15, 0.15, 0.22), foot)
    kit.add("drum", "lamp", (x, y, z + high / 2), (0.025, 0.025, high), foot)
    kit.add("drum", "lamp", (x, y, z + high - 0.04), (0.26, 0.26, kit.between(0.16, 0.22)), _shade(kit))


def _shade(kit: Kit) -> Paint:
    colour = kit.shade((0.7, 0.62, 0.48))
    return Paint(colour, colour, "plain", 3.0, 0.0, kit.between(0.2, 1.2) if kit.chance(0.6) else 0.0)


def _dim(paint: Paint) -> Paint:
    red, green, blue = paint.colour
    return paint._replace(colour=(red * 0.6, green * 0.6, blue * 0.6))
