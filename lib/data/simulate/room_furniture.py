"""Furniture of a simulated room: each function gives one piece about the origin, its back towards +y."""

from lib.data.simulate.room_kit import Kit, with_pattern
from lib.data.simulate.room_solids import Paint, Piece


def bed(kit: Kit) -> Piece:
    """Bed with headboard, mattress, blanket and pillows."""
    width, depth, high = kit.between(0.9, 1.7), kit.between(1.9, 2.1), kit.between(0.42, 0.6)
    wood, sheet, blanket = kit.wood(), kit.white(), kit.fabric()
    if kit.chance(0.8):
        kit.box("otherfurniture", 0, depth / 2 - 0.03, 0, width + 0.06, 0.06, kit.between(0.75, 1.2), wood)
    kit.box("bed", 0, 0, 0.06, width, depth - 0.06, high * 0.5, wood if kit.chance(0.5) else blanket)
    kit.box("bed", 0, -0.02, 0.06 + high * 0.5, width - 0.04, depth - 0.12, high * 0.5 - 0.06, sheet)
    cover = depth * kit.between(0.55, 0.78)
    drop = kit.between(0.1, 0.3)
    kit.box("bed", 0, -(depth - cover) / 2 - 0.02, high - drop, width + 0.05, cover, drop + 0.04, blanket)
    pillow = kit.fabric() if kit.chance(0.5) else sheet
    for x in (-width / 4, width / 4) if width > 1.25 else (0.0,):
        size = (min(0.7, width * 0.46), 0.42, kit.between(0.14, 0.22))
        place = (x, depth / 2 - 0.36, high + size[2] * 0.42)
        kit.add("ball", "pillow", place, size, pillow, lean=kit.between(0.1, 0.6))
    kit.top(0, -0.25, high + 0.04, width * 0.8, depth * 0.5)
    return kit.piece(width, depth, high)


def night_stand(kit: Kit) -> Piece:
    """Small chest of drawers beside a bed."""
    return _chest(kit, "night stand", kit.between(0.4, 0.55), kit.between(0.36, 0.45), kit.between(0.45, 0.65), 2)


def dresser(kit: Kit) -> Piece:
    """Wide chest of drawers."""
    return _chest(kit, "dresser", kit.between(0.8, 1.5), kit.between(0.42, 0.5), kit.between(0.75, 1.15), 6)


def cabinet(kit: Kit) -> Piece:
    """Low or tall closed cabinet."""
    if kit.chance(0.5):
        return _chest(kit, "cabinet", kit.between(0.8, 1.8), kit.between(0.4, 0.5), kit.between(0.7, 1.1), 2)
    return _chest(kit, "cabinet", kit.between(0.8, 1.6), kit.between(0.5, 0.62), kit.between(1.8, 2.25), 2)


def _chest(kit: Kit, label: str, width: float, depth: float, height: float, fronts: int) -> Piece:
    paint = kit.lacquer()
    foot = kit.between(0, 0.1)
    kit.box(label, 0, 0, foot, width, depth, height - foot - 0.03, paint)
    if foot > 0.04:
        kit.legs(label, width, depth, foot, 0.05, paint)
    kit.box(label, 0, -0.01, height - 0.03, width + 0.03, depth + 0.02, 0.03, paint)
    front = with_pattern(paint, "fronts", float(fronts))
    kit.box(label, 0, -depth / 2 - 0.005, foot + 0.03, width - 0.04, 0.02, height - foot - 0.09, front)
    kit.top(0, 0, height, width * 0.9, depth * 0.8)
    return kit.piece(width, depth, height)


def sofa(kit: Kit) -> Piece:
    """Sofa with arms, seat cushions and loose pillows."""
    width, depth = kit.between(1.4, 2.3), kit.between(0.8, 0.95)
    _upholster(kit, "sofa", width, depth, seats=3 if width > 1.8 else 2)
    pillow = kit.fabric()
    for _ in range(kit.whole(0, 3)):
        x = kit.between(-0.36, 0.36) * width
        size = kit.between(0.34, 0.48)
        kit.add("ball", "pillow", (x, 0.12, 0.45 + size / 2), (size, 0.16, size), pillow, lean=-0.35)
    kit.top(0, -0.1, 0.46, width * 0.6, depth * 0.4)
    return kit.piece(width, depth, 0.85)


def armchair(kit: Kit) -> Piece:
    """Upholstered chair: a small sofa by its looks, a chair by its class."""
    width, depth = kit.between(0.7, 0.95), kit.between(0.75, 0.9)
    _upholster(kit, "chair", width, depth, seats=1)
    return kit.piece(width, depth, 0.85)


def _upholster(kit: Kit, label: str, width: float, depth: float, *, seats: int) -> None:
    cloth = kit.fabric()
    arm, back, seat = kit.between(0.12, 0.24), kit.between(0.72, 0.95), kit.between(0.38, 0.46)
    kit.box(label, 0, 0, 0.06, width, depth, seat * 0.6, cloth)
    kit.box(label, 0, depth / 2 - 0.12, 0.1, width - 0.04, 0.22, back - 0.1, cloth, lean=-0.08)
    for x in (-(width - arm) / 2, (width - arm) / 2):
        kit.box(label, x, -0.02, 0.06, arm, depth - 0.06, kit.between(0.5, 0.62), cloth)
    wide = (width - 2 * arm) / seats
    for idx in range(seats):
        x = -(width - 2 * arm) / 2 + (idx + 0.5) * wide
        kit.box(label, x, -0.08, seat * 0.6, wide - 0.015, depth - 0.26, seat * 0.42, cloth)
        kit.box(label, x, depth / 2 - 0.27, seat - 0.02, wide - 0.02, 0.17, back - seat - 0.02, cloth, lean=-0.16)


def dining_table(kit: Kit) -> Piece:
    """Table on four thin legs, or round on one."""
    wood, high = kit.lacquer(), kit.between(0.71, 0.77)
    if kit.chance(0.3):
        wide = kit.between(0.8, 1.2)
        kit.add("drum", "table", (0, 0, high - 0.02), (wide, wide, 0.04), wood)
        kit.add("drum", "table", (0, 0, high / 2), (0.1, 0.1, high - 0.05), wood)
        kit.add("drum", "table", (0, 0, 0.02), (0.5, 0.5, 0.04), wood)
        kit.top(0, 0, high, wide * 0.65, wide * 0.65)
        return kit.piece(wide, wide, high)
    width, depth = kit.between(1.1, 1.9), kit.between(0.75, 0.95)
    _table(kit, "table", width, depth, high, wood)
    return kit.piece(width, depth, high)


def coffee_table(kit: Kit) -> Piece:
    """Low table, of the class otherfurniture as in the data set's map, or a side table of the class table."""
    width, depth, high = kit.between(0.7, 1.3), kit.between(0.45, 0.7), kit.between(0.36, 0.48)
    label = "otherfurniture" if kit.chance(0.6) else "table"
    wood = kit.lacquer()
    _table(kit, label, width, depth, high, wood)
    if kit.chance(0.4):
        kit.box(label, 0, 0, 0.12, width - 0.12, depth - 0.12, 0.02, wood)
    return kit.piece(width, depth, high)


def desk(kit: Kit) -> Piece:
    """Desk with drawers on one side and what one works with."""
    width, depth, high = kit.between(1.1, 1.7), kit.between(0.6, 0.78), kit.between(0.71, 0.77)
    wood, dark = kit.lacquer(), kit.metal()
    kit.box("desk", 0, 0, high - 0.035, width, depth, 0.035, wood)
    side = width / 2 - 0.02
    kit.box("desk", -side, 0, 0, 0.04, depth - 0.04, high - 0.035, wood)
    if kit.chance(0.6):
        block = with_pattern(wood, "fronts", 3.0)
        kit.box("desk", side - 0.2, 0.02, 0.03, 0.42, depth - 0.08, high - 0.07, block)
    else:
        kit.box("desk", side, 0, 0, 0.04, depth - 0.04, high - 0.035, wood)
    if kit.chance(0.75):
        x = kit.between(-0.25, 0.25) * width
        screen = Paint((0.02, 0.02, 0.025), (0.2, 0.25, 0.35), "screen", 3.0, 0.5, kit.between(0, 0.8))
        kit.box("otherprop", x, 0.16, high, 0.2, 0.14, 0.015, dark)
        kit.box("otherprop", x, 0.19, high, 0.04, 0.03, 0.2, dark)
        kit.box("otherprop", x, 0.16, high + 0.1, kit.between(0.42, 0.6), 0.03, kit.between(0.27, 0.36), screen)
        kit.box("otherprop", x, -0.12, high, 0.42, 0.14, 0.02, dark)
    kit.top(-width * 0.3, 0, high, width * 0.35, depth * 0.7)
    kit.top(width * 0.32, 0, high, width * 0.3, depth * 0.7)
    return kit.piece(width, depth, high)


def _table(kit: Kit, label: str, width: float, depth: float, high: float, paint: Paint) -> None:
    thick = kit.between(0.02, 0.05)
    kit.box(label, 0, 0, high - thick, width, depth, thick, paint)
    kit.legs(label, width - 0.06, depth - 0.06, high - thick, kit.between(0.03, 0.08), paint)
    kit.top(0, 0, high, width * 0.85, depth * 0.8)


def chair(kit: Kit) -> Piece:
    """Chair with thin legs and a slatted or closed back; also an office chair on one foot."""
    paint, seat = kit.wood(), kit.between(0.42, 0.48)
    cloth = kit.fabric() if kit.chance(0.5) else paint
    width, depth, back = kit.between(0.4, 0.5), kit.between(0.4, 0.5), kit.between(0.82, 1.02)
    kit.box("chair", 0, 0, seat - 0.04, width, depth, kit.between(0.03, 0.07), cloth)
    if kit.chance(0.3):
        metal = kit.metal()
        kit.add("drum", "chair", (0, 0, seat / 2), (0.06, 0.06, seat - 0.06), metal)
        for yaw in (0.3, 0.3 + 1.2566, 0.3 + 2 * 1.2566):
            kit.box("chair", 0, 0, 0.02, 0.56, 0.05, 0.04, metal, yaw=yaw)
        kit.box("chair", 0, depth / 2, seat + 0.08, width * 0.9, 0.07, back - seat - 0.04, cloth, lean=-0.12)
        if kit.chance(0.6):
            for x in (-width / 2 - 0.02, width / 2 + 0.02):
                kit.box("chair", x, 0, seat + 0.16, 0.05, 0.28, 0.04, metal)
                kit.box("chair", x, 0.06, seat - 0.02, 0.04, 0.05, 0.2, metal)
        return kit.piece(width + 0.1, depth + 0.1, back)
    thick = kit.between(0.025, 0.045)
    kit.legs("chair", width, depth, seat, thick, paint)
    for x in (-(width - thick) / 2, (width - thick) / 2):
        kit.box("chair", x, (depth - thick) / 2, seat, thick, thick, back - seat, paint, lean=-0.06)
    if kit.chance(0.5):
        kit.box("chair", 0, depth / 2 - 0.02, seat + 0.12, width - 0.05, 0.03, back - seat - 0.14, cloth, lean=-0.06)
    else:
        for idx in range(kit.whole(2, 4)):
            kit.box("chair", 0, depth / 2 - 0.02, back - 0.08 - 0.12 * idx, width - 0.04, 0.025, 0.05, paint)
    return kit.piece(width, depth, back)


def bookshelf(kit: Kit) -> Piece:
    """Open shelves with a back, full of books and some props."""
    width, depth, high = kit.between(0.7, 1.3), kit.between(0.26, 0.36), kit.between(1.2, 2.15)
    levels = max(3, round(high / kit.between(0.32, 0.42)))
    _shelving(kit, "bookshelf", width, depth, high, levels, books=kit.between(0.6, 0.95))
    kit.top(0, 0, high, width * 0.8, depth * 0.8)
    return kit.piece(width, depth, high)


def shelves(kit: Kit) -> Piece:
    """Open shelving for boxes and things."""
    width, depth, high = kit.between(0.7, 1.2), kit.between(0.3, 0.45), kit.between(1.2, 1.9)
    _shelving(kit, "shelves", width, depth, high, kit.whole(3, 5), books=0.15)
    return kit.piece(width, depth, high)


def _shelving(kit: Kit, label: str, width: float, depth: float, high: float, levels: int, *, books: float) -> None:
    paint = kit.lacquer()
    for x in (-width / 2 + 0.015, width / 2 - 0.015):
        kit.box(label, x, 0, 0, 0.03, depth, high, paint)
    if books > 0.5 or kit.chance(0.5):
        kit.box(label, 0, depth / 2 - 0.01, 0, width, 0.02, high, paint)
    gap = (high - 0.06) / levels
    for level in range(levels + 1):
        kit.box(label, 0, 0, 0.04 + level * gap, width, depth - 0.02, 0.025, paint)
    for level in range(levels):
        floor = 0.065 + level * gap
        if kit.chance(books):
            row_of_books(kit, -width / 2 + 0.04, floor, width - 0.08, depth, gap - 0.04)
        else:
            kit.top(0, 0, floor, width * 0.8, depth * 0.6, space=gap - 0.03)


def row_of_books(kit: Kit, left: float, z: float, length: float, depth: float, space: float) -> None:
    """Adds books that stand side by side from the left, of two or three heights, perhaps not to the end."""
    end = left + length * (1.0 if kit.chance(0.5) else kit.between(0.5, 0.95))
    while left < end - 0.06:
        run = min(end - left, kit.between(0.12, 0.45))
        height = min(space - 0.02, kit.between(0.17, 0.3))
        spines = kit.accent()._replace(pattern="spines", scale=kit.between(22, 45))
        deep = min(depth - 0.04, kit.between(0.14, 0.22))
        kit.box("books", left + run / 2, -depth / 2 + deep / 2 + kit.between(0.01, 0.05), z, run, deep, height, spines)
        left += run + (kit.between(0.04, 0.2) if kit.chance(0.2) else 0.002)


def tv_stand(kit: Kit) -> Piece:
    """Low stand, of the class otherfurniture, with a television on it."""
    width, depth, high = kit.between(1.0, 1.6), kit.between(0.4, 0.5), kit.between(0.42, 0.6)
    paint, dark = kit.lacquer(), kit.metal()
    kit.box("otherfurniture", 0, 0, 0, width, depth, high, with_pattern(paint, "fronts", 2.0))
    wide = kit.between(0.7, min(1.2, width))
    tall = wide * 0.6
    screen = Paint((0.015, 0.015, 0.018), (0.15, 0.2, 0.3), "screen", 2.5, 0.6, kit.between(0, 0.9))
    kit.box("television", 0, 0.03, high, 0.3, 0.2, 0.03, dark)
    kit.box("television", 0, 0.03, high + 0.06, wide, 0.07, tall, dark)
    kit.box("television", 0, -0.01, high + 0.085, wide - 0.06, 0.01, tall - 0.05, screen)
    return kit.piece(width, depth, high + tall)


def ottoman(kit: Kit) -> Piece:
    """Footstool or bench, of the class otherfurniture."""
    width, depth, high = kit.between(0.4, 1.0), kit.between(0.4, 0.5), kit.between(0.36, 0.48)
    cloth = kit.fabric()
    if kit.chance(0.5):
        kit.box("otherfurniture", 0, 0, high - 0.14, width, depth, 0.14, cloth)
        kit.legs("otherfurniture", width, depth, high - 0.14, 0.045, kit.wood())
    else:
        kit.add("drum", "otherfurniture", (0, 0, high / 2), (width * 0.8, width * 0.8, high), cloth)
    kit.top(0, 0, high, width * 0.6, depth * 0.6)
    return kit.piece(width, depth, high)


def person(kit: Kit) -> Piece:
    """Someone who stands there."""
    trousers, shirt = kit.fabric(), kit.fabric()
    skin = kit.shade((0.45, 0.28, 0.19) if kit.chance(0.7) else (0.16, 0.09, 0.06))
    face = Paint(skin, skin)
    tall = kit.between(1.55, 1.85)
    for x in (-0.09, 0.09):
        kit.add("drum", "person", (x, 0, 0.24 * tall), (0.15, 0.16, 0.48 * tall), trousers)
        kit.add("ball", "person", (x, -0.06, 0.04), (0.1, 0.26, 0.09), kit.metal())
        kit.add("ball", "person", (2.4 * x, -0.02, 0.62 * tall), (0.1, 0.11, 0.4 * tall), shirt)
    kit.add("ball", "person", (0, 0, 0.64 * tall), (0.42, 0.26, 0.42 * tall), shirt)
    kit.add("ball", "person", (0, -0.01, 0.92 * tall), (0.17, 0.2, 0.15 * tall), face)
    kit.add("ball", "person", (0, 0.015, 0.945 * tall), (0.19, 0.2, 0.12 * tall), kit.wood())
    return kit.piece(0.5, 0.35, tall)
