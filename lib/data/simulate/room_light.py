"""Light of a simulated room: surfaces under a lamp with shadows and a fill light, mirrors, and the camera."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.data.simulate.room_casting import Camera, Hits, Rays, cast_camera, cast_rays, leave_room, nearest
from lib.data.simulate.room_patterns import Skin, paint
from lib.data.simulate.room_solids import PATTERNS, SHAPES, SolidTable

AMBIENT = 0.3  # of the lamp's light at one metre
LAMP_RADIUS = 0.7  # metres: softens the fall-off close to a lamp
HIGHLIGHT_POWER = 24.0
SHADOW_SIDE, SHADOW_SLOPE = 96, 2.6  # pixels of the shadow map, tangent of half its angle
SHADOW_NEAR, SHADOW_BIAS = 0.35, 0.05  # metres: the lamp's own body casts none; a surface doesn't shade itself
SHADOW_LEVEL = 0.15  # of the lamp's light that reaches a shadow
MIRROR = PATTERNS.index("mirror")
MIRROR_LOSS = 0.85


@dataclass(frozen=True)
class Lights:
    """Lights of a batch: places (B, 3), colours (B, 3), linear."""

    lamp: Tensor
    lamp_colour: Tensor
    fill: Tensor
    fill_colour: Tensor


@dataclass(frozen=True)
class Surface:
    """What rays meet. point, normal (towards the ray): (R, 3); skin: place on the surface; row: (R,) of the table."""

    point: Tensor
    normal: Tensor
    skin: Skin
    row: Tensor


def meet(table: SolidTable, rays: Rays, hits: Hits) -> Surface:
    """Surfaces at the hits of rays."""
    row = hits.row
    point = rays.origin + hits.distance[:, None] * rays.direction
    turn, half, shape, centre = (
        part.index_select(0, row) for part in (table.turn, table.half, table.shape, table.centre)
    )
    local = ((point - centre)[:, None] @ turn)[:, 0] / half
    is_box = shape == SHAPES.index("box")
    cap = (shape == SHAPES.index("drum")) & (local[:, 2].abs() > 0.999)
    face = local.abs().argmax(dim=1)
    flat = F.one_hot(torch.where(cap, 2, face), 3).to(local) * local.sign()
    round_ = local / half
    round_ = torch.where((shape == SHAPES.index("drum"))[:, None], round_ * round_.new_tensor([1, 1, 0]), round_)
    inner = torch.where((is_box | cap)[:, None], flat, F.normalize(round_, dim=1))
    normal = (turn @ inner[:, :, None])[:, :, 0]
    normal = normal * -(normal * rays.direction).sum(1, keepdim=True).sign()
    return Surface(point, normal, _skin(table, row, local, half, face, is_box | cap), row)


def _skin(table: SolidTable, row: Tensor, local: Tensor, half: Tensor, face: Tensor, is_flat: Tensor) -> Skin:
    """Coordinates on the face of a box (or cap), and around ellipsoids and drums."""
    first = torch.where(face == 0, 1, 0)
    second = torch.where(face == 2, 1, 2)
    across, up = (local.gather(1, axis[:, None])[:, 0] for axis in (first, second))
    reach_u, reach_v = (half.gather(1, axis[:, None])[:, 0] for axis in (first, second))
    around = torch.atan2(local[:, 1], local[:, 0]) / torch.pi
    girth = torch.pi * half[:, :2].mean(1)
    across = torch.where(is_flat, across, around)
    up = torch.where(is_flat, up, local[:, 2])
    reach_u = torch.where(is_flat, reach_u, girth)
    reach_v = torch.where(is_flat, reach_v, half[:, 2])
    kept = (part.index_select(0, row) for part in (table.scale, table.seed, table.colour, table.second))
    return Skin(across * reach_u, up * reach_v, across, up, reach_u, reach_v, *kept)


def shadow_map(table: SolidTable, lamp: Tensor) -> Tensor:
    """Distances (B, side, side) below lamps (B, 3) at which light first meets something."""
    down = torch.diag(lamp.new_tensor([1.0, -1.0, -1.0])).expand(len(lamp), 3, 3)
    middle = (SHADOW_SIDE - 1) / 2
    camera = Camera(lamp, down, middle / SHADOW_SLOPE, (middle, middle), SHADOW_SIDE, SHADOW_SIDE)
    distance = cast_camera(table, camera, near=SHADOW_NEAR).distance
    return distance.view(-1, SHADOW_SIDE, SHADOW_SIDE).clamp_max(1e3)


def lamp_reaches(maps: Tensor, surface: Surface, scene: Tensor, lamp: Tensor) -> Tensor:
    """Share 0..1 of the lamp's light (R,) that reaches the surfaces: four neighbours of the shadow map, blended."""
    offset = surface.point + 0.03 * surface.normal - lamp[scene]
    below = -offset[:, 2]
    middle = (SHADOW_SIDE - 1) / 2
    spot = offset[:, :2] * offset.new_tensor([1.0, -1.0]) / below.clamp_min(0.05)[:, None]
    spot = (spot / SHADOW_SLOPE + 1) * middle
    in_map = ((spot > 0) & (spot < SHADOW_SIDE - 1)).all(1) & (below > SHADOW_NEAR)
    corner = spot.clamp(0, SHADOW_SIDE - 1.001).floor()
    blend = spot.clamp(0, SHADOW_SIDE - 1.001) - corner
    start = (scene * SHADOW_SIDE + corner[:, 1].long()) * SHADOW_SIDE + corner[:, 0].long()
    flat = maps.reshape(-1)
    limit = below - SHADOW_BIAS
    lit = [(flat[start + step] > limit).to(blend) for step in (0, 1, SHADOW_SIDE, SHADOW_SIDE + 1)]
    top, bottom = torch.lerp(lit[0], lit[1], blend[:, 0]), torch.lerp(lit[2], lit[3], blend[:, 0])
    return torch.where(in_map, torch.lerp(top, bottom, blend[:, 1]), 1.0)


def shade(table: SolidTable, rays: Rays, hits: Hits, lights: Lights, maps: Tensor) -> Tensor:
    """Linear light (R, 3) that comes back along rays, without mirrors."""
    surface = meet(table, rays, hits)
    scene, row = rays.scene, surface.row
    reached = SHADOW_LEVEL + (1 - SHADOW_LEVEL) * lamp_reaches(maps, surface, scene, lights.lamp)
    view = -F.normalize(rays.direction, dim=1)
    ambient = AMBIENT * (0.8 + 0.2 * surface.normal[:, 2:])
    colour = paint(surface.skin, table.pattern.index_select(0, row))
    glow = table.glow.index_select(0, row)[:, None]
    light = ambient * (lights.lamp_colour + lights.fill_colour)[scene] * 0.7
    gloss = table.gloss.index_select(0, row)[:, None]
    shine = torch.zeros_like(colour)
    for place, hue, share in (
        (lights.lamp, lights.lamp_colour, reached[:, None]),
        (lights.fill, lights.fill_colour, 1.0),
    ):
        towards = place[scene] - surface.point
        square = towards.square().sum(1, keepdim=True)
        towards = towards / square.sqrt().clamp_min(1e-3)
        cosine = (towards * surface.normal).sum(1, keepdim=True).clamp_min(0)
        strength = hue[scene] * share * (2.2 / (LAMP_RADIUS**2 + square))
        light = light + cosine * strength
        halfway = F.normalize(towards + view, dim=1)
        spot = (halfway * surface.normal).sum(1, keepdim=True).clamp_min(0).pow(HIGHLIGHT_POWER)
        shine = shine + spot * strength * (cosine > 0)
    return colour * (light + glow) + 0.35 * gloss * shine


def see(table: SolidTable, rays: Rays, hits: Hits, rooms: Tensor, lights: Lights, maps: Tensor) -> Tensor:
    """Linear light (R, 3) along rays; a mirror shows what is before it, once. maps: of shadow_map."""
    seen = shade(table, rays, hits, lights, maps)
    glass = (table.pattern.index_select(0, hits.row) == MIRROR).nonzero()[:, 0]
    if len(glass):
        bounced = _reflected(table, rays.part(glass), hits.part(glass))
        inside = nearest(cast_rays(table, bounced), leave_room(table, bounced, rooms))
        seen[glass] = MIRROR_LOSS * shade(table, bounced, inside, lights, maps)
    return seen


def _reflected(table: SolidTable, rays: Rays, hits: Hits) -> Rays:
    surface = meet(table, rays, hits)
    along = (rays.direction * surface.normal).sum(1, keepdim=True)
    return Rays(surface.point + 0.01 * surface.normal, rays.direction - 2 * along * surface.normal, rays.scene)
