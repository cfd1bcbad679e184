"""Settings of the scan simulator: scanner, scene, sensor and targets; the paper gives no formation model."""

import math
from dataclasses import dataclass, fields
from typing import Literal, Self, get_args

from lib.errors import SpecError
from lib.ir_tracking.settings import Polarity

Manoeuvre = Literal["straight", "turn", "weave", "dash"]
Scenery = Literal["sky", "clouds", "ground"]
MANOEUVRES: tuple[Manoeuvre, ...] = get_args(Manoeuvre)


@dataclass(frozen=True)
class ScanSettings:
    """A scanning line array over a scene with small targets. Lengths in pitches (of the detector) or output pixels.

    Choice: all values; the fact sheet's reading where it names one. Raises SpecError for values out of range.
    """

    height_px: int = 240
    width_px: int = 320
    num_frames: int = 200

    oversampling: tuple[int, int] = (2, 2)  # samples a pitch along the scan (x) and across it (y: staggered columns)
    psf_sigma: float = 0.4  # pitches; Gaussian optics
    misregistration: float = 0.05  # pitches; a staggered column is off by up to this in x and y
    subcells: int = 4  # grid points of the scene a pitch and axis; targets don't lie on a grid

    scenery: Scenery = "clouds"  # without a given background picture
    level: float = 0.3  # mean radiance, of full scale
    clutter: float = 0.02  # deviation of the radiance over the scene, of full scale, before the optics
    slope: float = 2.5  # beta of the power spectrum 1 / f^beta of clouds
    drift_px: float = 0.3  # motion of the background a frame, in a random direction (ground: along x)
    jitter_px: float = 0.05  # deviation of the line of sight from frame to frame, along each axis

    electrons: float = 1e5  # signal at full scale
    read_noise: float = 100.0  # electrons
    stripe_noise: float = 50.0  # electrons; offset of each row, with a 1/f spectrum along the scan
    gain_spread: float = 1e-3  # deviation of the rows' gains, constant in time
    dead: float = 1e-4  # share of pixels that keep one value
    flashing: float = 1e-4  # share of pixels that flash in a frame
    bits: int = 14  # of the stored frame

    num_targets: int = 1
    scr: tuple[float, float] = (2.0, 8.0)  # each target's own, drawn between these
    polarity: Polarity = "bright"
    speed_px: tuple[float, float] = (0.2, 2.0)  # a frame; each target's own, drawn between these
    manoeuvres: tuple[Manoeuvre, ...] = MANOEUVRES  # each target's is one of these
    crossing: bool = False  # each second target meets the one before it
    fades: float = 0.5  # a hundred frames and target: falls to a fifth of its contrast and comes back
    occlusions: float = 0.5  # a hundred frames and target: is gone for 5 to 15 frames
    may_leave: bool = False  # targets may go over the frame's edge; else their paths stay inside

    def __post_init__(self) -> None:
        for name, least in (("height_px", 8), ("width_px", 8), ("num_frames", 1), ("subcells", 2), ("num_targets", 0)):
            _check_whole(name, getattr(self, name), least, 1 << 20)
        _check_whole("bits", self.bits, 8, 16)
        for field in fields(self):
            if isinstance(field.default, float) and not 0 <= getattr(self, field.name) < math.inf:
                raise SpecError(f"{field.name} must be at least 0 and finite: got {getattr(self, field.name)!r}")
        for name, low, high in (
            ("psf_sigma", 0.05, 2.0),
            ("misregistration", 0.0, 0.5),
            ("level", 0.0, 1.0),
            ("slope", 0.0, 4.0),
            ("electrons", 1.0, math.inf),
            ("dead", 0.0, 0.5),
            ("flashing", 0.0, 0.5),
        ):
            if not low <= getattr(self, name) <= high:
                raise SpecError(f"{name} must lie within {low:g}..{high:g}: got {getattr(self, name)!r}")
        if len(self.oversampling) != 2:
            raise SpecError(f"oversampling must be two numbers, along and across the scan: got {self.oversampling!r}")
        for number in self.oversampling:
            _check_whole("oversampling", number, 1, 8)
        for name in ("scr", "speed_px"):
            value = getattr(self, name)
            if len(value) != 2 or not 0 <= value[0] <= value[1] < math.inf:
                raise SpecError(f"{name} must be a lowest and a highest value of at least 0: got {value!r}")
        choices = (("scenery", get_args(Scenery)), ("polarity", get_args(Polarity)))
        for name, known in choices:
            if getattr(self, name) not in known:
                raise SpecError(f"{name} must be one of {', '.join(known)}: got {getattr(self, name)!r}")
        if not self.manoeuvres or not set(self.manoeuvres) <= set(MANOEUVRES):
            raise SpecError(f"manoeuvres must be some of {', '.join(MANOEUVRES)}: got {self.manoeuvres!r}")

    @classmethod
    def native(cls) -> Self:
        """The same scene without oversampling: one sample a pitch, no staggered column."""
        return cls(oversampling=(1, 1))


def _check_whole(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise SpecError(f"{name} must be a whole number within {low}..{high}: got {value!r}")
