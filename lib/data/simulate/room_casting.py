"""Which solid a camera sees at each pixel: rays against boxes, ellipsoids and drums, many scenes at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.data.simulate.room_solids import SolidTable

NEAR = 0.05  # metres: nothing closer is seen
PORTION, PORTION_GPU = 1 << 15, 1 << 24  # pairs of a ray and a solid that are computed at once

Enter = Callable[[list[Tensor], list[Tensor], float], Tensor]


@dataclass(frozen=True)
class Camera:
    """Pinhole cameras, one per scene. position: (B, 3). axes: (B, 3, 3), columns right, down, forward in the world.

    focal: pixels; centre: principal point (x, y), 0-based pixels; height, width: of the picture.
    """

    position: Tensor
    axes: Tensor
    focal: float
    centre: tuple[float, float]
    height: int
    width: int

    def plane(self, pixel: Tensor, axis: int, shift: float) -> Tensor:
        """Places of pixel columns (axis 0) or rows (axis 1) on the plane at distance 1, `shift` pixels farther."""
        return (pixel.to(self.position.dtype) + (shift - self.centre[axis])) / self.focal

    def rays(self, *, shift: tuple[float, float] = (0.0, 0.0)) -> "Rays":
        """Rays of all pixels, scene by scene, row by row; their part along the optical axis is 1."""
        like = self.position
        columns = torch.arange(self.width, device=like.device)
        rows = torch.arange(self.height, device=like.device)
        x = self.plane(columns, 0, shift[0]).repeat(self.height)
        y = self.plane(rows, 1, shift[1]).repeat_interleave(self.width)
        right, down, forward = self.axes[:, None].unbind(-1)
        direction = right * x[:, None] + down * y[:, None] + forward
        scene = torch.arange(len(like), device=like.device).repeat_interleave(len(x))
        return Rays(like.repeat_interleave(len(x), dim=0), direction.reshape(-1, 3), scene)


@dataclass(frozen=True)
class Rays:
    """Rays of a batch. origin, direction: (R, 3), world; scene: (R,) int64."""

    origin: Tensor
    direction: Tensor
    scene: Tensor

    def part(self, which: Tensor) -> "Rays":
        """Some of the rays."""
        return Rays(*(whole.index_select(0, which) for whole in (self.origin, self.direction, self.scene)))

    @staticmethod
    def joined(parts: Sequence["Rays"]) -> "Rays":
        """Rays of several sets, one after the other."""
        columns = zip(*((part.origin, part.direction, part.scene) for part in parts), strict=True)
        return Rays(*(torch.cat(column) for column in columns))


@dataclass(frozen=True)
class Hits:
    """First hit of each ray. distance: (R,), in lengths of the direction, infinite for none. row: (R,) of the table."""

    distance: Tensor
    row: Tensor

    def part(self, which: Tensor) -> "Hits":
        """Those of some of the rays."""
        return Hits(self.distance.index_select(0, which), self.row.index_select(0, which))

    @staticmethod
    def joined(parts: Sequence["Hits"]) -> "Hits":
        """Hits of several sets of rays, one after the other."""
        return Hits(torch.cat([part.distance for part in parts]), torch.cat([part.row for part in parts]))


def cast_camera(
    table: SolidTable,
    camera: Camera,
    *,
    near: float = NEAR,
    shift: tuple[float, float] = (0.0, 0.0),
    chosen: Tensor | None = None,
) -> Hits:
    """First solid at each pixel, the rooms' faces left out: only pixels within a solid's outline are tried.

    shift: of all rays, pixels, less than 1. chosen: bool (B * H * W), pixels to try, the others get no hit.
    """
    margin = max(abs(part) for part in shift)
    x0, y0, width, height = _outlines(table, camera, near, margin)
    scene = table.scene[: table.faces]
    to_solid = table.turn[: table.faces].transpose(1, 2) / table.half[: table.faces, :, None]
    axes = (to_solid @ camera.axes[scene]).flatten(1).unbind(1)
    start = (to_solid @ (camera.position[scene] - table.centre[: table.faces])[:, :, None])[:, :, 0].unbind(1)
    corner = (scene * camera.height + y0) * camera.width + x0
    found = []
    for enter, first, last in _portions(table, width * height):
        number = torch.arange(first, last, device=x0.device)
        count = width[first:last] * height[first:last]
        solid = number.repeat_interleave(count)
        offset = torch.arange(len(solid), device=x0.device) - (count.cumsum(0) - count).repeat_interleave(count)
        span = width.index_select(0, solid)
        down = torch.div(offset, span, rounding_mode="floor")
        across = offset - down * span
        ray = corner.index_select(0, solid) + down * camera.width + across
        if chosen is not None:
            kept = chosen.index_select(0, ray).nonzero()[:, 0]
            solid, down, across, ray = (part.index_select(0, kept) for part in (solid, down, across, ray))
        x = camera.plane(across + x0.index_select(0, solid), 0, shift[0])
        y = camera.plane(down + y0.index_select(0, solid), 1, shift[1])
        origin = [part.index_select(0, solid) for part in start]
        direction = [
            axes[k].index_select(0, solid) * x
            + axes[k + 1].index_select(0, solid) * y
            + axes[k + 2].index_select(0, solid)
            for k in (0, 3, 6)
        ]
        distance = enter(origin, direction, near)
        hit = distance.isfinite().nonzero()[:, 0]
        found.append(tuple(part.index_select(0, hit) for part in (distance, ray, solid)))
    distance, ray, solid = (torch.cat(parts) for parts in zip(*found, strict=True))
    return _first(distance, ray, solid, len(camera.position) * camera.height * camera.width)


def _portions(table: SolidTable, count: Tensor) -> list[tuple[Enter, int, int]]:
    """Runs of solids of one shape with their function, of about PORTION pairs: these stay in the cache."""
    limit = PORTION if count.device.type == "cpu" else PORTION_GPU
    total = count.cumsum(0).tolist()
    runs: list[tuple[Enter, int, int]] = []
    first = 0
    for enter, end in zip((_enter_box, _enter_ball, _enter_drum), _ends(table), strict=True):
        while first < end:
            before = total[first - 1] if first else 0
            last = first + 1
            while last < end and total[last] - before <= limit:
                last += 1
            runs.append((enter, first, last))
            first = last
    return runs


def cast_rays(table: SolidTable, rays: Rays, *, near: float = NEAR) -> Hits:
    """First solid on each of a few rays, the rooms' faces left out: every solid of its scene is tried."""
    scene, found, first = table.scene[: table.faces], [], 0
    for enter, end in zip((_enter_box, _enter_ball, _enter_drum), _ends(table), strict=True):
        solid, ray = (scene[first:end, None] == rays.scene[None, :]).nonzero(as_tuple=True)
        solid = solid + first
        first = end
        to_solid = (table.turn[: table.faces].transpose(1, 2) / table.half[: table.faces, :, None])[solid]
        start = (to_solid @ (rays.origin[ray] - table.centre[solid])[:, :, None])[:, :, 0]
        along = (to_solid @ rays.direction[ray][:, :, None])[:, :, 0]
        distance = enter(list(start.unbind(1)), list(along.unbind(1)), near)
        hit = distance.isfinite().nonzero()[:, 0]
        found.append((distance[hit], ray[hit], solid[hit]))
    distance, ray, solid = (torch.cat(parts) for parts in zip(*found, strict=True))
    return _first(distance, ray, solid, len(rays.scene))


def leave_room(table: SolidTable, rays: Rays, rooms: Tensor) -> Hits:
    """Where rays that start inside meet their room's face. rooms: (B, 3), its extents from the world's origin.

    Faces are in the order x = 0, x = end, y = 0, y = end, floor, ceiling.
    """
    positive = rays.direction > 0
    wall = torch.where(positive, rooms[rays.scene], torch.zeros_like(rays.origin))
    reach = torch.where(rays.direction == 0, torch.inf, (wall - rays.origin) / rays.direction)
    distance, axis = reach.min(dim=1)
    face = 2 * axis + positive.gather(1, axis[:, None])[:, 0]
    return Hits(distance, table.faces + 6 * rays.scene + face)


def nearest(first: Hits, second: Hits) -> Hits:
    """The nearer of two hits of the same rays."""
    nearer = first.distance <= second.distance
    return Hits(torch.minimum(first.distance, second.distance), torch.where(nearer, first.row, second.row))


def _ends(table: SolidTable) -> tuple[int, int, int]:
    """Rows behind the last box, ellipsoid and drum."""
    boxes, balls, drums = table.counts
    return boxes, boxes + balls, boxes + balls + drums


def _outlines(table: SolidTable, camera: Camera, near: float, margin: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pixel rectangles (left, top, width, height), each (M,), that hold the solids' bounding boxes in the picture.

    What lies across the near plane is taken for the box about its corners in the camera's axes, cut at that plane.
    """
    rows = slice(0, table.faces)
    scene = table.scene[rows]
    ends = torch.tensor([-1.0, 1.0], device=table.half.device, dtype=table.half.dtype)
    corners = torch.cartesian_prod(ends, ends, ends) * table.half[rows, None]
    world = corners @ table.turn[rows].transpose(1, 2) + (table.centre[rows] - camera.position[scene])[:, None]
    seen = world @ camera.axes[scene]
    depth = seen[..., 2]
    farthest = depth.amax(1)
    behind, cut = farthest < near, depth.amin(1) < near
    sides = []
    for axis, extent in ((0, camera.width), (1, camera.height)):
        place = seen[..., axis]
        spot = place / depth.clamp_min(near)
        least, most = place.amin(1), place.amax(1)
        low = torch.where(cut, least / torch.where(least < 0, near, farthest), spot.amin(1))
        high = torch.where(cut, most / torch.where(most > 0, near, farthest), spot.amax(1))
        first = (low * camera.focal + (camera.centre[axis] - margin)).ceil().clamp(0, extent)
        last = ((high * camera.focal + (camera.centre[axis] + margin)).floor() + 1).clamp(0, extent)
        size = (last - first).clamp_min(0).masked_fill(behind, 0)
        sides.append((first.long(), size.long()))
    (left, width), (top, height) = sides
    return left, top, width, height


def _slab(origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Entry and exit of rays into -1..1 on one axis."""
    inverse = 1 / torch.where(direction == 0, 1e-9, direction)
    middle, reach = -origin * inverse, inverse.abs()
    return middle - reach, middle + reach


def _enter_box(origin: list[Tensor], direction: list[Tensor], near: float) -> Tensor:
    enter, leave = _slab(origin[0], direction[0])
    for axis in (1, 2):
        enter_axis, leave_axis = _slab(origin[axis], direction[axis])
        enter, leave = torch.maximum(enter, enter_axis), torch.minimum(leave, leave_axis)
    return torch.where((enter < leave) & (enter > near), enter, torch.inf)


def _roots(a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Both solutions of a t^2 + 2 b t + c = 0, empty interval where there is none."""
    square = b.square() - a * c
    root = square.clamp_min(0).sqrt()
    inside = square > 0
    return torch.where(inside, (-b - root) / a, torch.inf), torch.where(inside, (-b + root) / a, -torch.inf)


def _enter_ball(origin: list[Tensor], direction: list[Tensor], near: float) -> Tensor:
    a = sum((d.square() for d in direction[1:]), direction[0].square())
    b = sum((o * d for o, d in zip(origin[1:], direction[1:], strict=True)), origin[0] * direction[0])
    c = sum((o.square() for o in origin[1:]), origin[0].square()) - 1
    enter, _ = _roots(a, b, c)
    return torch.where(enter > near, enter, torch.inf)


def _enter_drum(origin: list[Tensor], direction: list[Tensor], near: float) -> Tensor:
    a = (direction[0].square() + direction[1].square()).clamp_min(1e-12)
    b = origin[0] * direction[0] + origin[1] * direction[1]
    c = origin[0].square() + origin[1].square() - 1
    side_in, side_out = _roots(a, b, c)
    cap_in, cap_out = _slab(origin[2], direction[2])
    enter, leave = torch.maximum(side_in, cap_in), torch.minimum(side_out, cap_out)
    return torch.where((enter < leave) & (enter > near), enter, torch.inf)


def _first(distance: Tensor, ray: Tensor, solid: Tensor, num_rays: int) -> Hits:
    """Nearest of the hits on each ray; of equal ones the solid with the highest row."""
    first = distance.new_full((num_rays,), torch.inf).scatter_reduce_(0, ray, distance, "amin")
    wins = (distance == first[ray]).nonzero()[:, 0]
    row = solid.new_full((num_rays,), -1).scatter_reduce_(0, ray[wins], solid[wins], "amax")
    return Hits(first, row)
