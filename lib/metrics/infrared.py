"""How well a small target stands out of its surroundings, before and after a filter, and how well it is detected."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lib.errors import DataMissing, ShapeError, SpecError
from lib.metrics.measure import Measure

RING_PX = 20
FLAT = 1e-6  # added to a deviation that would divide, in the frame's unit
CAP = 1e4  # of ratios over a flat surrounding (80 dB): a filter may leave nothing at all around the target
MATCH_PX = 3.0

_AROUND = f"background: pixels within {RING_PX} px of the box, the box left out, clipped at the picture"
_CAPPED = f"a deviation that divides gets {FLAT:g} more, ratios end at {CAP:g}"
SCR = Measure("SCR", "1", "higher", CAP, f"|mean of the box - mean| / deviation; {_AROUND}; {_CAPPED}")
SNR_DB = Measure("SNR", "dB", "higher", 20 * math.log10(CAP), f"20 log10 of SCR; sound reading of eq. 13; {_AROUND}")
SCR_GAIN = Measure("SCR gain", "1", "higher", CAP, f"SCR after over SCR before the filter; {_AROUND}; {_CAPPED}")
BACKGROUND_SUPPRESSION = Measure(
    "BSF", "1", "higher", CAP, f"deviation before over deviation after the filter; {_AROUND}; {_CAPPED}"
)
CONTRAST_GAIN = Measure("contrast gain", "1", "higher", CAP, f"|mean of the box - mean| after over before; {_AROUND}")
PD = Measure(
    "Pd",
    "%",
    "higher",
    100.0,
    f"targets with a detected patch whose centre is at most {MATCH_PX:g} px away, all frames",
)
FA = Measure("Fa", "1", "lower", 0.0, "pixels of detected patches without a target over all pixels of all frames")


@dataclass(frozen=True)
class LocalContrast:
    """A target and its surroundings in the frame's unit: means, the highest value, the background's deviation."""

    target_mean: float
    target_peak: float
    background_mean: float
    background_deviation: float

    @property
    def contrast(self) -> float:
        """|mean of the target - mean of the background|."""
        return abs(self.target_mean - self.background_mean)

    @property
    def scr(self) -> float:
        """Signal-to-clutter ratio: contrast over the background's deviation; see SCR."""
        return _ratio(self.contrast, self.background_deviation)


def local_contrast(
    frame: Tensor, box: Tensor, *, ring_px: int = RING_PX, guard_px: int = 0, ignored: Tensor | None = None
) -> LocalContrast:
    """Means and deviations of a target box (4,) and of the ring around it in a frame (H, W) or (1, H, W).

    box: (x, y, w, h), pixels; pixels whose middle lies inside it are the target. ring_px: how far the surroundings
    reach from the box. guard_px: so many pixels next to the box are neither, for a target whose blur is wider than its
    box. ignored: (H, W) bool, pixels that are no background, such as other targets; inside the box they count.
    Deviation over all ring pixels (not N - 1). Raises ShapeError when box and frame don't meet or no background is
    left, or for NaN there.
    """
    plane = _plane("frame", frame)
    rows, columns = _covered(box)
    if not 0 <= guard_px < ring_px:
        raise SpecError(
            f"ring_px must be at least 1 and above guard_px, which is at least 0: got {ring_px}, {guard_px}"
        )
    if ignored is not None and (ignored.dtype != torch.bool or ignored.shape != plane.shape):
        raise ShapeError(f"ignored must be bool {tuple(plane.shape)}: got {ignored.dtype} {tuple(ignored.shape)}")
    target, around = _part(plane, rows, columns, 0), _part(plane, rows, columns, ring_px)
    counts = torch.ones_like(plane, dtype=torch.bool) if ignored is None else ~ignored
    _part(counts, rows, columns, guard_px).fill_(False)
    background = around[_part(counts, rows, columns, ring_px)]
    if not target.numel() or not background.numel():
        raise ShapeError(
            f"box {tuple(box.tolist())} must cover the middle of a pixel of the frame {tuple(plane.shape)} "
            "and leave some background around it"
        )
    if not bool(target.isfinite().all() and background.isfinite().all()):
        raise ShapeError("frame must hold finite numbers around the box: got NaN or infinity; repair the input first")
    mean, deviation = background.mean(), background.std(correction=0)
    return LocalContrast(float(target.mean()), float(target.max()), float(mean), float(deviation))


def scr(frame: Tensor, box: Tensor, *, ring_px: int = RING_PX) -> float:
    """Signal-to-clutter ratio of a box (4,) in a frame (H, W) or (1, H, W); see SCR for the protocol."""
    return local_contrast(frame, box, ring_px=ring_px).scr


def snr_db(frame: Tensor, box: Tensor, *, ring_px: int = RING_PX) -> float:
    """The same in decibels, 20 log10 SCR; minus infinity for a target that doesn't stand out at all."""
    return decibels(scr(frame, box, ring_px=ring_px))


def decibels(ratio: float) -> float:
    """20 log10 of a ratio of amplitudes, minus infinity for 0."""
    return 20 * math.log10(ratio) if ratio > 0 else -math.inf


@dataclass(frozen=True)
class Suppression:
    """A target and its surroundings before and after a filter; see SCR_GAIN, BACKGROUND_SUPPRESSION, CONTRAST_GAIN."""

    before: LocalContrast
    after: LocalContrast

    @property
    def scr_gain(self) -> float:
        """SCR after over SCR before."""
        return _ratio(self.after.scr, self.before.scr)

    @property
    def background_suppression_factor(self) -> float:
        """Deviation of the surroundings before over that after."""
        return _ratio(self.before.background_deviation, self.after.background_deviation)

    @property
    def contrast_gain(self) -> float:
        """Contrast after over contrast before."""
        return _ratio(self.after.contrast, self.before.contrast)


def suppression(
    before: Tensor,
    after: Tensor,
    box: Tensor,
    *,
    ring_px: int = RING_PX,
    guard_px: int = 0,
    ignored: Tensor | None = None,
) -> Suppression:
    """Contrast of a box (4,) in two frames of one size, before and after a filter; arguments as local_contrast."""
    first, second = _plane("before", before), _plane("after", after)
    if first.shape != second.shape:
        raise ShapeError(f"before and after must have one size: got {tuple(first.shape)} and {tuple(second.shape)}")
    return Suppression(
        local_contrast(first, box, ring_px=ring_px, guard_px=guard_px, ignored=ignored),
        local_contrast(second, box, ring_px=ring_px, guard_px=guard_px, ignored=ignored),
    )


def scr_gain(before: Tensor, after: Tensor, box: Tensor, *, ring_px: int = RING_PX) -> float:
    """SCR after a filter over SCR before it, of one box in two frames of one size."""
    return suppression(before, after, box, ring_px=ring_px).scr_gain


def background_suppression_factor(before: Tensor, after: Tensor, box: Tensor, *, ring_px: int = RING_PX) -> float:
    """Deviation of the surroundings before a filter over that after it."""
    return suppression(before, after, box, ring_px=ring_px).background_suppression_factor


def contrast_gain(before: Tensor, after: Tensor, box: Tensor, *, ring_px: int = RING_PX) -> float:
    """Contrast of the target to its surroundings after a filter over that before it."""
    return suppression(before, after, box, ring_px=ring_px).contrast_gain


@dataclass(frozen=True)
class DetectionCounts:
    """What was found: targets, how many of them, false pixels and all pixels; counts of frames add up with +."""

    num_targets: int
    num_found: int
    false_px: int
    num_px: int

    def __add__(self, other: "DetectionCounts") -> "DetectionCounts":
        return DetectionCounts(
            self.num_targets + other.num_targets,
            self.num_found + other.num_found,
            self.false_px + other.false_px,
            self.num_px + other.num_px,
        )

    @property
    def pd(self) -> float:
        """Share of targets that were found, 0..1; raises DataMissing without any target."""
        if not self.num_targets:
            raise DataMissing("no target to find: Pd needs at least one frame with a target")
        return self.num_found / self.num_targets

    @property
    def fa(self) -> float:
        """Share of pixels that are falsely marked, 0..1."""
        return self.false_px / self.num_px


def count_detections(detected: Tensor, centres: Tensor, *, match_px: float = MATCH_PX) -> DetectionCounts:
    """Counts of one frame: detected pixels (H, W) bool against true centres (N, 2).

    centres: (x, y) as pixel numbers, so that the box (x, y, w, h) has its centre at x + (w - 1) / 2.
    Detected pixels that touch, also at corners, are one patch. Each target takes the nearest patch that is still free
    and whose centre of mass is at most match_px away, in the order of the targets; pixels of the patches that are left
    are false. As in the SIRST benchmarks (Li et al. 2022, DNA-Net), which take the first and not the nearest patch.
    """
    from scipy.ndimage import center_of_mass, label

    if detected.ndim != 2 or detected.dtype != torch.bool or not detected.numel():
        raise ShapeError(f"detected must be (H, W) bool: got {detected.dtype} {tuple(detected.shape)}")
    if centres.ndim != 2 or centres.shape[-1] != 2:
        raise ShapeError(f"centres must be (N, 2) of x, y: got {tuple(centres.shape)}")
    mask = detected.cpu().numpy()
    patches, number = label(mask, structure=np.ones((3, 3)))
    names = list(range(1, number + 1))
    places = np.array(center_of_mass(mask, patches, names)).reshape(-1, 2)[:, ::-1]
    areas = np.bincount(patches.ravel(), minlength=number + 1)[1:]
    free = np.ones(number, dtype=bool)
    found = 0
    for centre in centres.double().cpu().numpy():
        distance = np.where(free, np.hypot(*(places - centre).T), math.inf) if number else np.array([math.inf])
        nearest = int(distance.argmin())
        if distance[nearest] <= match_px:
            free[nearest] = False
            found += 1
    return DetectionCounts(len(centres), found, int(areas[free].sum()), mask.size)


def _ratio(above: float, below: float) -> float:
    return min(above / (below + FLAT), CAP)


def _plane(name: str, frame: Tensor) -> Tensor:
    """The frame as (H, W), float64, so that means keep their digits; MPS, which has no float64, takes float32."""
    if not isinstance(frame, Tensor) or frame.numel() != math.prod(frame.shape[-2:]) or frame.ndim < 2:
        form = tuple(frame.shape) if isinstance(frame, Tensor) else type(frame).__name__
        raise ShapeError(f"{name} must be one frame (H, W) or (1, H, W): got {form}; measure frame by frame")
    return frame.reshape(frame.shape[-2:]).to(torch.float32 if frame.device.type == "mps" else torch.float64)


def _covered(box: Tensor) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns, each from the first to before the last, of the pixels whose middle lies inside a box."""
    numbers = torch.as_tensor(box, dtype=torch.float64).tolist()
    if len(numbers) != 4 or not all(math.isfinite(number) for number in numbers) or min(numbers[2:]) <= 0:
        raise ShapeError(f"box must be (x, y, w, h) with some width and height: got {numbers}")
    x, y, w, h = numbers
    return (math.ceil(y - 0.5), math.ceil(y + h - 0.5)), (math.ceil(x - 0.5), math.ceil(x + w - 0.5))


def _part(plane: Tensor, rows: tuple[int, int], columns: tuple[int, int], more: int) -> Tensor:
    """Those rows and columns and `more` on every side, as a view, clipped at the plane."""
    down, right = (slice(max(first - more, 0), max(stop + more, 0)) for first, stop in (rows, columns))
    return plane[down, right]
