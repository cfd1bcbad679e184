"""A real object that moves before a real background under a moving camera, with the true masks and the true flow."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from lib.data.images import array_from_image
from lib.data.origin import Origin
from lib.data.samples import sample_image
from lib.data.simulate.cutouts import Cutout, astronaut, bollard, horse, motorcycle
from lib.errors import SpecError

Planes = np.ndarray[Any, Any]

ASPECT = 16 / 9
SIDE_MULTIPLE = 8
MIN_HEIGHT_PX = 64
FOCAL_WIDTHS = 1.2  # focal length over the width of the frame: a normal lens
VISIBLE = 0.5  # coverage from which a pixel is the object's
FILL_MARGIN = 0.02  # of the picture's height, around what is cut out of a background before the hole is filled
GROUND = 0.7  # of the height of `pavement`: where its ground begins
SHADOW_HEIGHT = 0.06  # of the object's height
SOURCE = "lib.data.simulate: pictures of installed packages, set in motion"


@dataclass(frozen=True)
class ObjectClipSettings:
    """Pace, light and noise of a simulated clip. Raises SpecError for values out of range."""

    object_pace: float = 1.0  # factor on the object's motion; 0: it stands still
    camera_pace: float = 1.0  # factor on the camera's; 0: a still camera
    shadow: float = 0.25  # light that the object takes from the ground, 0..1
    noise: float = 1.5 / 255  # standard deviation of the sensor's noise, display values

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value >= 0):
                raise SpecError(f"{field.name} must be a finite number of at least 0: got {value!r}")
        if self.shadow > 1:
            raise SpecError(f"shadow must be within 0..1: got {self.shadow}")


@dataclass(frozen=True)
class ObjectClip:
    """A clip with its truth.

    video: (T, 3, H, W), RGB, 0..1, as a camera stores it. masks: bool (T, H, W), the visible pixels of the object.
    flow: (T - 1, 2, H, W), pixels, of what frame t shows, from its grid to t + 1; also of what is hidden in t + 1.
    """

    video: Tensor
    masks: Tensor
    flow: Tensor
    settings: ObjectClipSettings
    origin: Origin


@dataclass(frozen=True)
class _Scene:
    """One named clip. Lengths are fractions of the frame's height, times are frames, angles are degrees.

    background: a sample picture; view: height of the frame over that of the picture. height, ground: of the object, and
    of its feet below the frame's middle. reach: how far it goes to either side of the background's middle.
    bend: of the wave that runs through it, of a length in its heights; swing: of its feet, in its heights; breath:
    share by which it grows and shrinks; gait: frames of a stride. pan, tilt, roll, zoom: of the camera, zoom a share.
    travel: shift of what is near by the camera's way; depth: of the object, 0 with the background, 1 near.
    period: frames of a swing to and fro.
    """

    about: str
    cutout: Callable[[], Cutout]
    background: str
    view: float
    height: float
    ground: float
    reach: float
    bend: float = 0.0
    wavelength: float = 1.0
    swing: float = 0.0
    breath: float = 0.0
    pan: float = 0.0
    tilt: float = 0.0
    roll: float = 0.0
    zoom: float = 0.0
    travel: float = 0.0
    depth: float = 0.0
    period: float = 110.0
    gait: float = 18.0


SCENES = {
    "astronaut": _Scene(
        "a person walks past a still camera",
        astronaut, "pagoda", view=0.8, height=0.72, ground=0.56, reach=0.5, bend=0.02, wavelength=1.6, breath=0.03,
    ),
    "horse": _Scene(
        "a horse walks, a camera pans after it",
        horse, "pavement", view=0.88, height=0.62, ground=0.44, reach=0.55,
        bend=0.025, wavelength=1.1, swing=0.06, breath=0.03,
        pan=8.0, tilt=0.4, roll=0.8, zoom=0.05,
    ),
    "motorcycle": _Scene(
        "a motorcycle rolls behind a bollard, a camera travels past both",
        motorcycle, "pavement", view=0.88, height=0.5, ground=0.4, reach=0.6, bend=0.004, breath=0.04,
        pan=5.0, tilt=0.4, roll=0.5, travel=0.2, depth=0.5,
    ),
}  # fmt: skip


def object_clip(
    name: str, *, generator: Generator, num_frames: int, height_px: int, settings: ObjectClipSettings | None = None
) -> ObjectClip:
    """Simulated clip by name, `height_px` high and 16:9 wide (to a multiple of 8); same generator state, same clip.

    `astronaut`: still camera. `horse`: a camera that pans, with some zoom and roll. `motorcycle`: a camera that pans
    and travels, so that a bollard before the object shifts against the wall behind. Object and camera swing to and fro
    and never leave the background, however many frames there are.
    Every layer is a picture under an exact map (a homography of the turning camera, for the object also a turn, a
    scale and a bend), so that flow and masks are exact; noise is white, and values are stored in 8 bits.
    Raises SpecError for another name, num_frames < 1 or height_px < 64; Unavailable for a missing package.
    """
    if name not in SCENES:
        raise SpecError(f"the simulated clips are {', '.join(SCENES)}: got {name!r}")
    if num_frames < 1:
        raise SpecError(f"num_frames must be at least 1: got {num_frames}")
    if height_px < MIN_HEIGHT_PX:
        raise SpecError(f"height_px must be at least {MIN_HEIGHT_PX}: got {height_px}")
    settings = settings or ObjectClipSettings()
    stage = _Stage(SCENES[name], height_px, settings, generator)
    shots = [stage.shoot(time) for time in range(num_frames)]
    device = generator.device
    clean = torch.from_numpy(np.stack([shot.picture for shot in shots])).to(device).permute(0, 3, 1, 2)
    noise = torch.randn(clean.shape, generator=generator, device=device)
    video = clean.add(noise, alpha=settings.noise).clamp_(0, 1).mul_(255).round_().div_(255).contiguous()
    masks = torch.from_numpy(np.stack([shot.is_object for shot in shots])).to(device)
    flows = [stage.flow(shot, time) for time, shot in enumerate(shots[:-1])]
    flow = torch.from_numpy(np.stack(flows) if flows else np.zeros((0, 2, *masks.shape[1:]), np.float32)).to(device)
    return ObjectClip(video, masks, flow, settings, Origin(name, "simulated", stage.licence, "", SOURCE))


@dataclass(frozen=True)
class _Shot:
    """One frame: picture (H, W, 3); is_object, is_near: bool (H, W), what each pixel shows; where on the background
    (2, H, W) and on the object (2, H, W) it lies."""

    picture: Planes
    is_object: Planes
    is_near: Planes
    world: Planes
    body: Planes


class _Stage:
    """Layers at the frame's scale, and where each of their points is at any time."""

    def __init__(self, scene: _Scene, height_px: int, settings: ObjectClipSettings, generator: Generator) -> None:
        self.scene, self.settings = scene, settings
        self.height = height_px
        self.width = max(round(height_px * ASPECT / SIDE_MULTIPLE), 1) * SIDE_MULTIPLE
        self.phases = torch.rand(5, generator=generator, device=generator.device).tolist()
        sample = sample_image(scene.background)
        picture = array_from_image(sample.image)
        scale = height_px / (scene.view * picture.shape[0])
        self.near: Planes | None = None
        if scene.travel:
            matte = bollard(picture)
            self.near = _scaled(np.dstack([picture / np.float32(255) * matte[..., None], matte]), scale)
            picture = _without(picture, matte)
        self.far = _scaled(picture / np.float32(255), scale)
        cutout = scene.cutout()
        rows = np.flatnonzero((cutout.matte > VISIBLE).any(axis=1))
        size = scene.height * height_px / float(rows[-1] + 1 - rows[0])
        self.object = _scaled(np.dstack([cutout.colour * cutout.matte[..., None], cutout.matte]), size)
        self.feet = (self.object.shape[1] / 2, float(rows[-1] + 1) * size)
        self.licence = f"{cutout.licence}; background: {sample.origin.licence}"
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        self.grid = np.stack([x, y])

    def shoot(self, time: int) -> _Shot:
        world = _transform(self.camera(time), self.grid)
        body = self.to_body(world - self.offset(time, self.scene.depth), time)
        picture = _sample(self.far, world) * (1 - self.shadow(body))[..., None]
        layer = _sample(self.object, body)
        picture = picture * (1 - layer[..., 3:]) + layer[..., :3]
        coverage, is_near = layer[..., 3], np.zeros(world.shape[1:], bool)
        if self.near is not None:
            front = _sample(self.near, world - self.offset(time, 1.0))
            picture = picture * (1 - front[..., 3:]) + front[..., :3]
            coverage, is_near = coverage * (1 - front[..., 3]), front[..., 3] > VISIBLE
        return _Shot(picture, coverage > VISIBLE, is_near, world, body)

    def flow(self, shot: _Shot, time: int) -> Planes:
        """Flow (2, H, W) of the points that a shot shows, to the next time."""
        near = self.offset(time + 1, 1.0) - self.offset(time, 1.0)
        world = shot.world + near * shot.is_near
        moved = self.to_world(shot.body, time + 1) + self.offset(time + 1, self.scene.depth)
        world = np.where(shot.is_object, moved, world)
        return (_transform(np.linalg.inv(self.camera(time + 1)), world) - self.grid).astype(np.float32)

    def camera(self, time: int) -> Planes:
        """Homography (3, 3) from the frame to the background of a camera that turns and zooms."""
        scene, pace = self.scene, self.settings.camera_pace
        swing = self.swing(time, pace)
        sway = math.sin(2 * math.pi * (1.7 * pace * time / scene.period + self.phases[1]))
        pan, tilt, roll = (math.radians(angle) for angle in (scene.pan * swing, scene.tilt * sway, scene.roll * sway))
        focal = FOCAL_WIDTHS * self.width
        zoomed = focal * (1 + scene.zoom * (1 + sway) / 2)
        to_ray = np.diag([1 / zoomed, 1 / zoomed, 1.0]) @ _shift(-(self.width - 1) / 2, -(self.height - 1) / 2)
        to_world = _shift((self.far.shape[1] - 1) / 2, (self.far.shape[0] - 1) / 2) @ np.diag([focal, focal, 1.0])
        return to_world @ _rotation(pan, tilt, roll) @ to_ray

    def swing(self, time: int, pace: float) -> float:
        """-1..1, to and fro; the first half period is one way."""
        return math.sin(2 * math.pi * (pace * time / self.scene.period - 0.22 + 0.04 * self.phases[0]))

    def offset(self, time: int, depth: float) -> Planes:
        """Shift (2, 1, 1) against the background of what is nearer, from the camera's travel."""
        shift = -depth * self.scene.travel * self.height * self.swing(time, self.settings.camera_pace)
        return np.array([shift, 0], np.float32).reshape(2, 1, 1)

    def to_world(self, body: Planes, time: int) -> Planes:
        """Points of the object, pixels of its picture, on the background."""
        x, y = body[0] - self.feet[0], body[1] - self.feet[1]
        x = x + self._stride(y, time)
        y = y + self._wave(x, time)
        scale, place = self._pose(time)
        return np.stack([scale * x + place[0], scale * y + place[1]])

    def to_body(self, world: Planes, time: int) -> Planes:
        """The inverse of `to_world`."""
        scale, place = self._pose(time)
        x, y = (world[0] - place[0]) / scale, (world[1] - place[1]) / scale
        y = y - self._wave(x, time)
        x = x - self._stride(y, time)
        return np.stack([x + self.feet[0], y + self.feet[1]])

    def shadow(self, body: Planes) -> Planes:
        """Light (H, W), 0..1, that is taken from the ground below the object."""
        across = (body[0] - self.feet[0]) / (0.35 * self.object.shape[1])
        down = (body[1] - self.feet[1]) / (SHADOW_HEIGHT * self.scene.height * self.height)
        return self.settings.shadow * np.exp(-(across**2) - down**2)

    def _pose(self, time: int) -> tuple[float, tuple[float, float]]:
        """Scale of the object, and where its feet are on the background."""
        scene, pace = self.scene, self.settings.object_pace
        slow = math.sin(2 * math.pi * (pace * time / scene.period + self.phases[2]))
        x = (self.far.shape[1] - 1) / 2 + scene.reach * self.height * self.swing(time, pace)
        return 1 + scene.breath * slow, (x, (self.far.shape[0] - 1) / 2 + scene.ground * self.height)

    def _wave(self, x: Planes, time: int) -> Planes:
        """Rise of the body at x, of a wave that runs through it."""
        size = self.scene.height * self.height
        angle = x / (self.scene.wavelength * size) - self.settings.object_pace * time / self.scene.gait + self.phases[3]
        return self.scene.bend * size * np.sin(2 * np.pi * angle)

    def _stride(self, y: Planes, time: int) -> Planes:
        """Shift of the legs at y, the more the lower."""
        size = self.scene.height * self.height
        low = np.clip(1 + y / (0.5 * size), 0, None)
        angle = self.settings.object_pace * time / self.scene.gait + self.phases[4]
        return self.scene.swing * size * low**2 * math.sin(2 * math.pi * angle)


def _scaled(picture: Planes, scale: float) -> Planes:
    import cv2

    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.clip(cv2.resize(picture.astype(np.float32), size, interpolation=way), 0, 1)


def _without(picture: Planes, matte: Planes) -> Planes:
    """The picture (H, W, 3) uint8 with what the matte covers filled: from around it, the ground from beside it."""
    import cv2

    side = 2 * max(1, round(FILL_MARGIN * picture.shape[0])) + 1
    hole = cv2.dilate((matte > 0).astype(np.uint8), np.ones((side, side), np.uint8))
    filled = cv2.inpaint(picture, hole, side, cv2.INPAINT_TELEA).astype(np.float32)
    columns = np.flatnonzero(hole.any(axis=0))
    beside = np.roll(picture, columns[-1] + 1 - columns[0], axis=1)
    ground = hole.astype(np.float32)
    ground[: round(GROUND * picture.shape[0])] = 0
    soft = cv2.GaussianBlur(ground, (0, 0), side / 4)[..., None]
    return (filled * (1 - soft) + beside * soft).astype(np.uint8)


def _sample(picture: Planes, place: Planes) -> Planes:
    """Picture (h, w, C) at the points (2, H, W): (H, W, C); nothing of an object outside, the edge of a background."""
    import cv2

    border = cv2.BORDER_REPLICATE if picture.shape[2] == 3 else cv2.BORDER_CONSTANT
    x, y = (axis.astype(np.float32) for axis in place)
    return np.clip(cv2.remap(picture, x, y, cv2.INTER_CUBIC, borderMode=border), 0, 1)


def _transform(homography: Planes, place: Planes) -> Planes:
    """Points (2, H, W) under a homography (3, 3)."""
    x, y = place
    *rows, last = homography.tolist()  # numbers of Python, which leave the points' precision as it is
    below = last[0] * x + last[1] * y + last[2]
    return np.stack([(row[0] * x + row[1] * y + row[2]) / below for row in rows])


def _shift(x: float, y: float) -> Planes:
    return np.array([[1.0, 0, x], [0, 1, y], [0, 0, 1]])


def _rotation(pan: float, tilt: float, roll: float) -> Planes:
    """Rotation (3, 3) of the camera, radians: to the right, down, clockwise."""
    turns: Sequence[tuple[int, int, float]] = ((2, 0, pan), (1, 2, -tilt), (0, 1, roll))
    total = np.eye(3)
    for first, second, angle in turns:
        turn = np.eye(3)
        turn[first, first] = turn[second, second] = math.cos(angle)
        turn[second, first], turn[first, second] = math.sin(angle), -math.sin(angle)
        total = total @ turn
    return total
