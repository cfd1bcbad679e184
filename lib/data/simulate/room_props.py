"""Small things of a simulated room: what stands on tops, and what lies on the floor."""

import math
from dataclasses import replace

from lib.data.simulate.room_fixtures import table_lamp
from lib.data.simulate.room_furniture import row_of_books
from lib.data.simulate.room_kit import Kit
from lib.data.simulate.room_solids import Paint, Piece, Solid, Top

CARDBOARD = (0.42, 0.27, 0.14)
LEAF = (0.06, 0.16, 0.035)


def furnish(kit: Kit, piece: Piece, *, clutter: float) -> Piece:
    """The piece with small things on its tops. clutter: mean number per square metre."""
    for noted in piece.tops:
        top = replace(noted, space=min(noted.space, kit.ceiling - noted.z - 0.05))
        if top.space < 0.12:
            continue
        area = top.width * top.depth
        count = min(int(kit.rng.poisson(clutter * (area + 0.08))), 7)
        for _ in range(count):
            x = top.x + kit.between(-0.5, 0.5) * top.width
            y = top.y + kit.between(-0.5, 0.5) * top.depth
            _thing(kit, top, x, y)
    return piece.with_things(kit.piece(0, 0, 0).solids)


def _thing(kit: Kit, top: Top, x: float, y: float) -> None:
    """Adds one thing at a place on a top: books, paper, bottles, boxes, lamps, plants, cups, bags, clothes."""
    z, pick = top.z, kit.rng.random()
    if pick < 0.2:
        _book_stack(kit, x, y, z)
    elif pick < 0.3 and top.width > 0.35:
        row_of_books(kit, x - 0.1, z, min(0.35, top.width / 2), 0.2, min(0.34, top.space))
    elif pick < 0.44:
        page = kit.white()._replace(second=(0.12, 0.12, 0.12), pattern="paper", scale=24.0)
        kit.box("paper", x, y, z, 0.21, 0.29, 0.004, page, yaw=kit.between(-1, 1))
    elif pick < 0.6:
        bottle(kit, x, y, z, kit.between(0.14, min(0.3, top.space)))
    elif pick < 0.72:
        size = kit.between(0.1, min(0.28, top.space * 0.9))
        _carton(kit, x, y, z, size)
    elif pick < 0.78 and z < 1.3 and top.space > 0.55:
        table_lamp(kit, x, y, z)
    elif pick < 0.86:
        wide = kit.between(0.06, 0.14)
        kit.add("drum", "otherprop", (x, y, z + wide / 2), (wide, wide, wide * 1.1), kit.accent())
    elif pick < 0.91:
        _plant(kit, x, y, z, kit.between(0.18, min(0.4, top.space)))
    elif pick < 0.95:
        size = kit.between(0.18, 0.3)
        kit.add("ball", "bag", (x, y, z + size * 0.4), (size * 1.2, size * 0.7, size * 0.8), kit.fabric())
    else:
        cloth = kit.fabric()
        kit.add("ball", "clothes", (x, y, z + 0.04), (0.4, 0.34, 0.12), cloth, yaw=kit.between(0, 3))


def bottle(kit: Kit, x: float, y: float, z: float, tall: float) -> None:
    """Adds a bottle: a drum with a neck, of the class otherprop."""
    paint, wide = kit.accent()._replace(gloss=0.6), kit.between(0.05, 0.09)
    kit.add("drum", "otherprop", (x, y, z + tall * 0.35), (wide, wide, tall * 0.7), paint)
    kit.add("drum", "otherprop", (x, y, z + tall * 0.82), (wide * 0.4, wide * 0.4, tall * 0.36), paint)


def _book_stack(kit: Kit, x: float, y: float, z: float) -> None:
    for _ in range(kit.whole(1, 4)):
        thick = kit.between(0.015, 0.05)
        size = (kit.between(0.15, 0.24), kit.between(0.2, 0.3))
        kit.box("books", x, y, z, *size, thick, kit.accent(), yaw=kit.between(-0.5, 0.5))
        z += thick


def _carton(kit: Kit, x: float, y: float, z: float, size: float) -> None:
    colour = kit.shade(CARDBOARD)
    paint = Paint(colour, (colour[0] * 0.8, colour[1] * 0.8, colour[2] * 0.8), "plain", 4.0)
    if kit.chance(0.3):
        paint = kit.accent()
    shape = (size * kit.between(0.8, 1.5), size, size * kit.between(0.4, 1.1))
    kit.box("box", x, y, z, *shape, paint, yaw=kit.between(-0.6, 0.6))


def _plant(kit: Kit, x: float, y: float, z: float, tall: float) -> None:
    kit.add("drum", "otherprop", (x, y, z + tall * 0.17), (tall * 0.35, tall * 0.35, tall * 0.34), kit.accent())
    stem = Paint(LEAF, LEAF)
    kit.solids.append(Solid("drum", "otherprop", (x, y, z + tall * 0.5), (tall * 0.02, tall * 0.02, tall * 0.4), stem))
    for _ in range(kit.whole(4, 9)):
        angle, reach = kit.between(0, 2 * math.pi), kit.between(0, 0.2) * tall
        leaf = kit.shade(LEAF)
        spot = (x + reach * math.cos(angle), y + reach * math.sin(angle), z + tall * kit.between(0.42, 0.95))
        size = (tall * kit.between(0.1, 0.35), tall * kit.between(0.1, 0.3), tall * kit.between(0.12, 0.4))
        paint = Paint(leaf, (leaf[0] * 0.5, leaf[1] * 0.5, leaf[2] * 0.5), "flowers", 25.0)
        kit.add("ball", "otherprop", spot, size, paint, lean=kit.between(-0.6, 0.6), yaw=angle)


def floor_thing(kit: Kit) -> Piece:
    """One thing for the floor: cartons, bag, bin, plant, clothes, a stack of books, shoes."""
    pick = kit.rng.random()
    if pick < 0.25:
        size = kit.between(0.25, 0.45)
        _carton(kit, 0, 0, 0, size)
        if kit.chance(0.4):
            _carton(kit, kit.between(-0.05, 0.05), 0, size * 1.1, size * 0.7)
        return kit.piece(size * 1.4, size * 1.4, size * 2)
    if pick < 0.45:
        size = kit.between(0.25, 0.45)
        paint = kit.fabric()
        kit.add("ball", "bag", (0, 0, size * 0.42), (size, size * 0.6, size * 0.9), paint)
        kit.add("ball", "bag", (0, -size * 0.2, size * 0.3), (size * 0.7, size * 0.4, size * 0.5), paint)
        return kit.piece(size, size, size)
    if pick < 0.62:
        wide, tall = kit.between(0.22, 0.36), kit.between(0.28, 0.6)
        kit.add("drum", "otherfurniture", (0, 0, tall / 2), (wide, wide, tall), kit.metal())
        return kit.piece(wide, wide, tall)
    if pick < 0.78:
        tall = kit.between(0.6, 1.4)
        _plant(kit, 0, 0, 0, tall)
        return kit.piece(tall * 0.5, tall * 0.5, tall)
    if pick < 0.9:
        for _ in range(kit.whole(1, 3)):
            place = (kit.between(-0.15, 0.15), kit.between(-0.15, 0.15), 0.05)
            kit.add("ball", "clothes", place, (0.45, 0.35, 0.16), kit.fabric(), yaw=kit.between(0, 3))
        return kit.piece(0.6, 0.6, 0.15)
    for x in (-0.08, 0.08):
        kit.add("ball", "otherprop", (x, 0, 0.045), (0.1, 0.27, 0.1), kit.metal(), yaw=kit.between(-0.2, 0.2))
    return kit.piece(0.3, 0.3, 0.1)
