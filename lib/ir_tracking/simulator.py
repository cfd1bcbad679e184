"""Simulated oversampled scans with known truth: scene, scanner, sensor, and targets of a wanted contrast."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from lib.data.origin import Origin
from lib.errors import SpecError
from lib.ir_tracking.scan_contrast import box_means, ring_deviation
from lib.ir_tracking.scan_scene import check_background, sample_scene, scene_of
from lib.ir_tracking.scan_sensor import Sensor
from lib.ir_tracking.scan_settings import ScanSettings
from lib.ir_tracking.scan_targets import box_size, draw_flights, draw_sight, point_response

CHUNK = 16  # frames that a stream makes at once
SEEN = 0.5  # a target of less strength counts as not visible


@dataclass(frozen=True)
class Scan:
    """A run of frames and everything that is known about it; grey levels 0..2^bits - 1, whole numbers in float32.

    frames, empty: (T, 1, H, W), with the targets and the same without them: the same noise, the same defects.
    boxes: (T, N, 4), x, y, w, h of each target, pixels; kept where it is not visible. visible: (T, N) bool: inside the
    frame and of at least half its strength. scr: (T, N) wanted contrast of each target in each frame.
    """

    frames: Tensor
    empty: Tensor
    boxes: Tensor
    visible: Tensor
    scr: Tensor
    origin: Origin

    def target(self, number: int) -> "TargetScan":
        """The frames with the truth of one target."""
        return TargetScan(self.frames, self.boxes[:, number], self.visible[:, number])


@dataclass(frozen=True)
class TargetScan:
    """frames: (T, 1, H, W). boxes: (T, 4), pixels. visible: (T,) bool."""

    frames: Tensor
    boxes: Tensor
    visible: Tensor


class ScanSimulator:
    """A scan of `settings.num_frames` frames; any run of them can be made, always with the same values.

    Formation: radiance on a grid of sub-cells, blurred by the optics, the detector's width of one pitch and the way
    during one sample, sampled k_x and k_y times a pitch, staggered columns a little off; row gains and 1/f row
    offsets, shot and read noise, flashing and dead pixels, rounding. Targets are points whose response is exact.
    The wanted SCR of a target is, in every frame, the mean over its box of what it adds, over the deviation of the
    ring of 20 pixels in the same frame without targets (that of lib.metrics.infrared, defect pixels left out). So the
    pair `frames`, `empty` has that SCR to 5 %, and lib.metrics.scr of a frame differs from it by the background's own
    contrast in the box.
    Choice: a target's strength follows its surroundings so that its SCR holds; it doesn't move within a frame.

    settings: ScanSettings() unless given. generator: on any device; one number is drawn for the truth and the scene,
    which are the same on every device, and the noise of each frame follows from it on `device`.
    background: (H', W'), 0..1 of full scale, at least as large as the frame, such as a real picture: it takes the
    place of the simulated scene and is moved by whole pixels, so that its own noise keeps its strength.
    Iterating gives the frames (1, H, W) one by one in bounded memory.
    Raises ShapeError for a wrong background.
    """

    def __init__(
        self,
        settings: ScanSettings | None = None,
        *,
        generator: Generator,
        device: torch.device | str = "cpu",
        background: Tensor | None = None,
    ) -> None:
        self.settings = settings or ScanSettings()
        self.device = torch.device(device)
        self._seed = int(torch.randint(1 << 48, (1,), generator=generator, device=generator.device))
        truth = Generator().manual_seed(self._seed)
        self._flights = draw_flights(self.settings, truth)
        self._box_size = box_size(self.settings)
        self._sight = draw_sight(self.settings, truth)
        self._sensor = Sensor(self.settings, truth, self.device)
        self._radiance: Callable[[slice], Tensor]
        if background is None:
            self._radiance = partial(self._scanned, scene_of(self.settings, truth).to(self.device))
        else:
            check_background(background, self.settings)
            self._radiance = partial(self._cut_out, background.to(self.device, torch.float32))
        made = "scenes made here" if background is None else "on a given background"
        licence = "MIT" if background is None else "that of the background"
        self.origin = Origin("scan", "simulated", licence, "", f"lib.ir_tracking.ScanSimulator, {made}")

    def __len__(self) -> int:
        return self.settings.num_frames

    def __iter__(self) -> Iterator[Tensor]:
        for first in range(0, len(self), CHUNK):
            yield from self.render(first, min(first + CHUNK, len(self))).frames

    @property
    def boxes(self) -> Tensor:
        """(T, N, 4), float32: x, y, w, h of every target in every frame, pixels; centre = x + (w - 1) / 2."""
        sides = torch.tensor(self._box_size, dtype=torch.float64).expand_as(self._centres)
        return torch.cat([self._centres - (sides - 1) / 2, sides], dim=-1).float().to(self.device)

    @property
    def visible(self) -> Tensor:
        """(T, N) bool: inside the frame and of at least half its strength."""
        limits = torch.tensor([self.settings.width_px, self.settings.height_px]) - 0.5
        inside = ((self._centres >= -0.5) & (self._centres < limits)).all(dim=-1)
        return (inside & (self._flights.strength >= SEEN)).to(self.device)

    @property
    def scr(self) -> Tensor:
        """(T, N), float32: wanted SCR of every target in every frame, fading included."""
        return (self._flights.scr * self._flights.strength).float().to(self.device)

    def simulate(self) -> Scan:
        """The whole scan."""
        return self.render(0, len(self))

    def render(self, first: int, stop: int) -> Scan:
        """Frames `first` to before `stop`; raises SpecError when there are none such."""
        if not 0 <= first < stop <= len(self):
            raise SpecError(f"frames must be a run within 0..{len(self)}: got {first} to {stop}")
        run = slice(first, stop)
        sensor = self._sensor
        noise = sensor.draw([Generator(self.device).manual_seed(self._seed + 1 + t) for t in range(first, stop)])
        light = self._radiance(run) * self.settings.electrons
        empty = sensor.read(light, noise)
        frames = sensor.read(light + self._targets(run, empty, noise.flash > 0), noise)
        return Scan(frames[:, None], empty[:, None], self.boxes[run], self.visible[run], self.scr[run], self.origin)

    @property
    def _centres(self) -> Tensor:
        """Where targets appear (T, N, 2): on their paths, moved by the jitter of the line of sight."""
        return self._flights.centres - self._sight.jitter[:, None]

    def _scanned(self, scene: Tensor, run: slice) -> Tensor:
        """Radiance (T, H, W), of full scale, that the samples of a simulated scene get."""
        settings = self.settings
        along, across = settings.oversampling
        margin = 1 + 4 * settings.psf_sigma  # pitches before the first sample
        sight = self._sight.total[run]
        rows = (torch.arange(settings.height_px) + sight[:, 1:]) / across + margin
        columns = (torch.arange(settings.width_px) + sight[:, :1]) / along + margin
        found = scene.new_empty(len(sight), settings.height_px, settings.width_px)
        for column, (right, down) in enumerate(self._sight.misregistration.tolist()):
            places = (rows[:, column::across] + down, columns + right)
            found[:, column::across] = sample_scene(scene, *(place * settings.subcells for place in places))
        return found

    def _cut_out(self, picture: Tensor, run: slice) -> Tensor:
        """Frames (T, H, W) out of a picture, by whole pixels; the way is mirrored at its edges."""
        places = []
        for axis, length in ((1, self.settings.height_px), (0, self.settings.width_px)):
            spare = picture.shape[1 - axis] - length
            way = (self._sight.total[run, axis] + self._sight.start[axis] * spare).round()
            phase = torch.remainder(way, max(2 * spare, 1))
            first = torch.where(phase > spare, 2 * spare - phase, phase)
            places.append((first[:, None] + torch.arange(length)).long().to(picture.device))
        rows, columns = places
        return picture[rows[:, :, None], columns[:, None, :]]

    def _targets(self, run: slice, empty: Tensor, flashing: Tensor) -> Tensor:
        """What the targets add (T, H, W), electrons, so that each has its wanted SCR in its frame."""
        settings = self.settings
        added = torch.zeros_like(empty)
        if not settings.num_targets:
            return added
        along, across = settings.oversampling
        rows, columns = (torch.arange(length) for length in (settings.height_px, settings.width_px))
        centres, off = self._centres[run], self._sight.misregistration
        down = (off[:, 1] * across)[rows % across]
        upright = point_response(rows + down - centres[..., 1:], settings, axis="y").to(empty)
        level = point_response(columns + off[:, :1] * along - centres[..., None, :1], settings, axis="x").to(empty)
        boxes = self.boxes[run]
        wanted = self.scr[run] * ring_deviation(empty, boxes, flashing | self._sensor.dead)
        strength = wanted / (self._sensor.levels_per_electron * box_means(upright, level, boxes))
        for column in range(across):
            lines = (upright * strength[..., None])[..., column::across]
            added[:, column::across] = lines.mT @ level[:, :, column]
        return added if settings.polarity == "bright" else -added
