"""Simulated rooms with known truth: pictures, depth and the 40 classes of NYUv2, made while one trains."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torch.utils.data import Dataset

from lib.data.hha import Intrinsics, fill_depth, hha_encode
from lib.data.labels import LabelledPicture
from lib.data.nyuv2_classes import CLASS_NAMES, SUPERCLASSES, class_names
from lib.data.origin import Origin
from lib.data.simulate.depth_sensor import measure_depth
from lib.data.simulate.room_casting import Camera, Hits, Rays, cast_camera, leave_room, nearest
from lib.data.simulate.room_layout import Room, furnish_room
from lib.data.simulate.room_light import Lights, see, shadow_map
from lib.data.simulate.room_solids import PATTERNS, SolidTable, tabulate
from lib.data.simulate.sensor import store
from lib.errors import SpecError

FOCAL_WIDTHS = 518.857901 / 560  # focal length over the width: the Kinect's colour camera, cropped as NYUv2 is
MAX_ROLL = math.radians(2.5)
MIN_SIDE_PX = 16
SEED_STRIDE = 1_000_003
SUBPIXELS = ((-0.125, -0.375), (0.375, -0.125), (-0.375, 0.125), (0.125, 0.375))  # places of the rays at edges


@dataclass(frozen=True)
class IndoorSettings:
    """Size and camera of simulated rooms. Raises SpecError for values out of range."""

    height_px: int = 120
    width_px: int = 160
    smooth_edges: bool = True  # four rays more where a solid ends, so that edges mix their colours as in a photograph
    noise: float = 1.0  # factor on the noise of the colour camera
    depth_noise: float = 1.0  # factor on the noise of the measured depth
    missing_depth: bool = True  # the measured depth has holes

    def __post_init__(self) -> None:
        if min(self.height_px, self.width_px) < MIN_SIDE_PX:
            raise SpecError(
                f"height_px and width_px must be at least {MIN_SIDE_PX}: got {self.height_px}x{self.width_px}"
            )
        for name in ("noise", "depth_noise"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise SpecError(f"{name} must be a finite number of at least 0: got {value}")


@dataclass(frozen=True)
class IndoorScenes:
    """A batch of rooms with their truth.

    image: (B, 3, H, W), RGB, 0..1, as a camera stores it. labels: (B, H, W) int64, NYUv2's classes 0..39, no void.
    depth: (B, 1, H, W), metres along the optical axis, exact. raw_depth: (B, 1, H, W), as a depth camera measures it,
    0 where it sees nothing. kinds: names of the rooms.
    """

    image: Tensor
    labels: Tensor
    depth: Tensor
    raw_depth: Tensor
    kinds: tuple[str, ...]
    settings: IndoorSettings
    origin: Origin

    def __len__(self) -> int:
        return len(self.image)

    @property
    def camera(self) -> Intrinsics:
        """Intrinsics of all pictures."""
        height, width = self.image.shape[-2:]
        focal = FOCAL_WIDTHS * width
        return Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2)

    def hha(self, *, measured: bool = False) -> Tensor:
        """HHA pictures (B, 3, H, W), 0..1, of the exact depth, or of the measured depth with its holes filled in."""
        if not measured:
            return hha_encode(self.depth, camera=self.camera)
        return hha_encode(fill_depth(self.raw_depth), raw_depth=self.raw_depth, camera=self.camera)

    def superclasses(self) -> Tensor:
        """Labels (B, H, W) of the four super-classes floor, structure, furniture, prop."""
        return self.labels.new_tensor(SUPERCLASSES)[self.labels]


class IndoorRooms(Dataset[LabelledPicture]):
    """Simulated rooms as a data set: `data[i] -> LabelledPicture`, made when asked for; the same i, the same room.

    num_classes: 40 or 4. hha: items hold the HHA picture of the measured depth. Items' depth is the measured one, with
    its holes filled (see fill_depth). Sets of other seeds hold other rooms.
    Raises SpecError for another number of classes or no scene.
    """

    def __init__(
        self,
        num_scenes: int,
        *,
        seed: int = 0,
        num_classes: Literal[40, 4] = 40,
        hha: bool = False,
        settings: IndoorSettings | None = None,
    ) -> None:
        if num_scenes < 1:
            raise SpecError(f"num_scenes must be at least 1: got {num_scenes}")
        self.class_names = class_names(num_classes)
        self.num_classes = num_classes
        self._count, self._seed, self._hha, self._settings = num_scenes, seed, hha, settings or IndoorSettings()

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, idx: int) -> LabelledPicture:
        if not 0 <= idx < self._count:
            raise IndexError(f"there are {self._count} simulated rooms: got number {idx}")
        generator = torch.Generator().manual_seed(self._seed * SEED_STRIDE + idx)
        scene = indoor_scene(generator=generator, settings=self._settings)
        labels = scene.labels if self.num_classes == len(CLASS_NAMES) else scene.superclasses()
        return LabelledPicture(
            f"room {self._seed}/{idx}",
            scene.image[0],
            labels[0],
            scene.origin,
            fill_depth(scene.raw_depth)[0],
            scene.hha(measured=True)[0] if self._hha else None,
        )


def indoor_scene(
    *,
    generator: Generator,
    num_scenes: int = 1,
    settings: IndoorSettings | None = None,
    device: str | torch.device = "cpu",
) -> IndoorScenes:
    """Simulated rooms with all they hold; same generator state, same rooms, whatever the number in one call.

    Bedrooms, living rooms, kitchens, bathrooms, offices, dining rooms and classrooms of painted boxes, ellipsoids and
    drums; all of the 40 classes occur. Floor, furniture and textiles of a room share their colours, so that colour
    alone doesn't tell the class; small things stand on tops, legs are thin, things hide one another. A lamp casts
    shadows, a window or a second lamp adds soft light, mirrors show the room.
    generator: on the CPU; the rooms are drawn there and computed on `device`.
    Raises SpecError for num_scenes < 1.
    """
    settings = settings or IndoorSettings()
    if num_scenes < 1:
        raise SpecError(f"num_scenes must be at least 1: got {num_scenes}")
    seeds = [int(torch.randint(1 << 62, (), generator=generator)) for _ in range(num_scenes)]
    rooms = [furnish_room(np.random.default_rng(seed)) for seed in seeds]
    return _taken(rooms, seeds, settings, torch.device(device))


def _taken(rooms: list[Room], seeds: list[int], settings: IndoorSettings, device: torch.device) -> IndoorScenes:
    """Takes the pictures of furnished rooms."""
    table = tabulate([room.solids for room in rooms], [room.faces for room in rooms], device=device)
    sizes = torch.tensor([room.size for room in rooms], dtype=torch.float32, device=device)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    camera = _camera(rooms, generators, settings, device)
    rays, hits = _seen(table, camera, sizes)
    shape = (len(rooms), settings.height_px, settings.width_px)
    labels = table.label[hits.row].view(shape)
    depth = hits.distance.view(shape)[:, None]
    pattern = table.pattern[hits.row].view(shape)[:, None]
    raw = measure_depth(
        depth,
        (pattern == PATTERNS.index("mirror")) | (pattern == PATTERNS.index("outside")),
        focal=camera.focal,
        normal_noise=_normal(generators, depth),
        noise=settings.depth_noise,
        missing=settings.missing_depth,
    )
    light = _light(table, camera, (rays, hits), sizes, _lights(rooms, device), smooth_edges=settings.smooth_edges)
    image = _developed(light, generators, settings)
    origin = Origin("indoor_scene", "simulated", "MIT", "", "lib.data.simulate: rooms of painted solids, ray cast")
    return IndoorScenes(image, labels, depth, raw, tuple(room.kind for room in rooms), settings, origin)


def _seen(table: SolidTable, camera: Camera, sizes: Tensor) -> tuple[Rays, Hits]:
    """Rays of the pixels' middles and what they meet."""
    rays = camera.rays()
    return rays, nearest(cast_camera(table, camera), leave_room(table, rays, sizes))


def _light(
    table: SolidTable,
    camera: Camera,
    seen: tuple[Rays, Hits],
    sizes: Tensor,
    lights: Lights,
    *,
    smooth_edges: bool,
) -> Tensor:
    """Linear light (B, 3, H, W) of the pixels; where a solid ends, the mean of four rays within the pixel."""
    maps = shadow_map(table, lights.lamp)
    light = see(table, *seen, sizes, lights, maps)
    if smooth_edges:
        edge = _edges(seen[1].row.view(-1, camera.height, camera.width)).flatten()
        where = edge.nonzero()[:, 0]
        rays = [camera.rays(shift=shift).part(where) for shift in SUBPIXELS]
        hits = [cast_camera(table, camera, shift=shift, chosen=edge).part(where) for shift in SUBPIXELS]
        all_rays, inside = Rays.joined(rays), Hits.joined(hits)
        parts = see(table, all_rays, nearest(inside, leave_room(table, all_rays, sizes)), sizes, lights, maps)
        light[where] = parts.view(len(SUBPIXELS), -1, 3).mean(0)
    return light.view(-1, camera.height, camera.width, 3).permute(0, 3, 1, 2)


def _edges(row: Tensor) -> Tensor:
    """True (B, H, W) where a neighbour shows another solid."""
    edge = torch.zeros_like(row, dtype=torch.bool)
    for first, second in ((row[:, 1:], row[:, :-1]), (row[:, :, 1:], row[:, :, :-1])):
        differs = first != second
        if first.shape[1] < row.shape[1]:
            edge[:, 1:] |= differs
            edge[:, :-1] |= differs
        else:
            edge[:, :, 1:] |= differs
            edge[:, :, :-1] |= differs
    return edge


def _camera(rooms: list[Room], generators: list[Generator], settings: IndoorSettings, device: torch.device) -> Camera:
    """Cameras at the rooms' eyes that look at their targets, rolled a little."""
    eye = torch.tensor([room.eye for room in rooms], dtype=torch.float32)
    forward = F.normalize(torch.tensor([room.target for room in rooms], dtype=torch.float32) - eye, dim=1)
    right = F.normalize(torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0]).expand_as(forward)), dim=1)
    down = torch.linalg.cross(forward, right)
    roll = torch.stack([torch.rand((), generator=generator) for generator in generators])[:, None] * 2 - 1
    cos, sin = (roll * MAX_ROLL).cos(), (roll * MAX_ROLL).sin()
    axes = torch.stack([cos * right + sin * down, cos * down - sin * right, forward], dim=2)
    centre = ((settings.width_px - 1) / 2, (settings.height_px - 1) / 2)
    focal = FOCAL_WIDTHS * settings.width_px
    return Camera(eye.to(device), axes.to(device), focal, centre, settings.height_px, settings.width_px)


def _lights(rooms: list[Room], device: torch.device) -> Lights:
    parts = (
        [room.lamp.place for room in rooms], [room.lamp.colour for room in rooms],
        [room.fill.place for room in rooms], [room.fill.colour for room in rooms],
    )  # fmt: skip
    return Lights(*(torch.tensor(part, dtype=torch.float32, device=device) for part in parts))


def _normal(generators: list[Generator], like: Tensor) -> Tensor:
    """Normal noise of the shape of a batch, each scene from its own generator."""
    return torch.stack([torch.randn(like.shape[1:], generator=generator) for generator in generators]).to(like)


def _developed(light: Tensor, generators: list[Generator], settings: IndoorSettings) -> Tensor:
    """Pictures (B, 3, H, W) of linear light: exposed for the scene's mean, vignetted, soft, noisy, in 8 bits."""
    draws = torch.stack([torch.rand(5, generator=generator) for generator in generators]).to(light)[:, :, None, None]
    level, falloff, noise = 0.13 + 0.16 * draws[:, :1], 0.35 * draws[:, 1:2], settings.noise * draws[:, 2:3]
    tint = 1 + 0.07 * torch.cat([draws[:, 3:4] - 0.5, torch.zeros_like(level), draws[:, 4:5] - 0.5], dim=1)
    # the mean of the logarithm: a lamp or window in view must not make the room black
    mean = light.clamp_min(1e-3).log().mean(dim=(1, 2, 3), keepdim=True).exp()
    exposed = light * tint * (level / mean)
    exposed = exposed * (1 + 0.3 * exposed) / (1 + 0.55 * exposed)  # highlights roll off
    y, x = (torch.linspace(-1, 1, size, device=light.device) for size in light.shape[-2:])
    exposed = exposed * (1 - falloff * (y[:, None].square() + x.square()) / 2)
    blurred = F.avg_pool2d(F.pad(exposed, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    soft = torch.lerp(exposed, blurred, 0.45)
    spread = noise * (0.00004 + 0.0008 * soft).sqrt()
    return store(soft + spread * _normal(generators, soft), levels=256)
