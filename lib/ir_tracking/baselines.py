"""Trackers to compare with, all behind `start(frame, box)` and `step(frame)`: classic, OpenCV's, and parts of ours."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.errors import DataMissing, ShapeError, Unavailable
from lib.ir_tracking.background import check_frames
from lib.ir_tracking.kalman import ConstantVelocity, MotionSettings
from lib.ir_tracking.peaks import peaks
from lib.ir_tracking.tracker import Box, Track, check_box

GATE_SPREADS = 4.0  # a peak further off than this many standard deviations isn't the target
GATE_PX = 3.0  # and none nearer than this is refused
TOP_HAT_PX = 9  # side of the square opening, three times a target's
SEARCH_PX = 16  # of normalised correlation, to each side
MIN_CORRELATION = 0.3
MIL_LEAST_PX = 16
TEMPLATE_MARGIN_PX = 2  # around the box: a template of 3x3 pixels fits noise


class AnyTracker(Protocol):
    """What ours and every baseline do."""

    def start(self, frame: Tensor, box: Box) -> Track:
        """Takes the target's box in the first frame."""
        ...

    def step(self, frame: Tensor) -> Track:
        """Where the target is in the next frame."""
        ...


class Still:
    """The box of the first frame, for ever: what a score is worth."""

    def start(self, frame: Tensor, box: Box) -> Track:
        """Takes the box."""
        self.track = Track(check_box(box, width=frame.shape[-1], height=frame.shape[-2]), 1.0, True)
        return self.track

    def step(self, frame: Tensor) -> Track:
        """The first box."""
        return self.track


class TopHatKalman:
    """White top-hat, its peaks, the one nearest to a constant-velocity prediction; the classic for point targets."""

    def __init__(self, motion: MotionSettings | None = None, *, top_hat_px: int = TOP_HAT_PX) -> None:
        self.motion_settings, self.top_hat_px = motion or MotionSettings(), top_hat_px

    def start(self, frame: Tensor, box: Box) -> Track:
        """Takes the target's box in the first frame."""
        plane = _plane(frame)
        x, y, self.width, self.height = check_box(box, width=plane.shape[1], height=plane.shape[0])
        self.shape = plane.shape
        self.motion = ConstantVelocity(torch.tensor([[x + self.width / 2, y + self.height / 2]]), self.motion_settings)
        self.height_before = float("nan")
        return Track((x, y, self.width, self.height), 1.0, True)

    def step(self, frame: Tensor) -> Track:
        """The peak nearest to the prediction, weighed by its height, within four standard deviations."""
        plane = _same(frame, self.shape)
        response = _top_hat(plane, self.top_hat_px)
        motion = self.motion.copy()
        motion.predict()
        found = peaks(torch.from_numpy(response), number=100).double()
        spread = math.hypot(float(motion.spread_px[0]), self.motion_settings.measurement_px)
        distance = (found[:, :2] - motion.centres).norm(dim=1)
        near = distance <= max(GATE_SPREADS * spread, GATE_PX)
        seen = bool(near.any())
        score = 0.0
        if seen:
            ranks = found[:, 2] * torch.exp(-0.5 * (distance / max(spread, 1.0)) ** 2)
            best = int(ranks.where(near, -1.0).argmax())
            score = float(found[best, 2] / found[:, 2].max())
            motion.update(_refined(response, found[best, :2])[None])
        self.motion = motion
        centre = motion.centres[0].tolist()
        return Track((centre[0] - self.width / 2, centre[1] - self.height / 2, self.width, self.height), score, seen)


class NormalisedCorrelation:
    """The first frame's box with a margin, found again where normalised cross-correlation is highest nearby."""

    def start(self, frame: Tensor, box: Box) -> Track:
        """Takes the target's box in the first frame."""
        plane = _plane(frame)
        x, y, self.width, self.height = check_box(box, width=plane.shape[1], height=plane.shape[0])
        self.shape = plane.shape
        margin = TEMPLATE_MARGIN_PX
        self.left, self.top = max(round(x) - margin, 0), max(round(y) - margin, 0)
        self.into = (x - self.left, y - self.top)
        right, bottom = math.ceil(x + self.width) + margin, math.ceil(y + self.height) + margin
        self.template = np.ascontiguousarray(plane[self.top : bottom, self.left : right])
        return Track((x, y, self.width, self.height), 1.0, True)

    def step(self, frame: Tensor) -> Track:
        """The place of the highest correlation within 16 pixels of the last."""
        import cv2

        plane = _same(frame, self.shape)
        rows, columns = self.template.shape
        top, left = max(self.top - SEARCH_PX, 0), max(self.left - SEARCH_PX, 0)
        part = plane[top : self.top + rows + SEARCH_PX, left : self.left + columns + SEARCH_PX]
        response = np.nan_to_num(cv2.matchTemplate(part, self.template, cv2.TM_CCOEFF_NORMED), posinf=0.0, neginf=0.0)
        row, column = np.unravel_index(int(response.argmax()), response.shape)
        score = float(response[row, column])
        seen = score >= MIN_CORRELATION
        if seen:
            self.top, self.left = top + int(row), left + int(column)
        box = (self.left + self.into[0], self.top + self.into[1], self.width, self.height)
        return Track(box, max(score, 0.0), seen)


class OpenCvTracker:
    """One of OpenCV's trackers on 8-bit frames.

    make: makes a fresh one. least_px: smaller boxes are grown to it around their centre and shrunk again in the
    result. Frames of other ranges are stretched over 0..255 by the first frame's lowest and highest value. A tracker
    that fails says so by `seen`, and the box before.
    """

    def __init__(self, make: Callable[[], Any], *, least_px: int = 1) -> None:
        self.make, self.least_px = make, least_px

    def start(self, frame: Tensor, box: Box) -> Track:
        """Takes the target's box in the first frame; rounded to whole pixels, which is what OpenCV takes."""
        plane = _plane(frame)
        x, y, width, height = check_box(box, width=plane.shape[1], height=plane.shape[0])
        self.shape = plane.shape
        self.low, self.high = (0.0, 255.0) if frame.dtype == torch.uint8 else (float(plane.min()), float(plane.max()))
        self.tracker = self.make()
        wide, high = max(round(width), self.least_px), max(round(height), self.least_px)
        self.grown = (wide / width, high / height)
        corner = (round(x + (width - wide) / 2), round(y + (height - high) / 2))
        self.tracker.init(self._picture(plane), (*corner, wide, high))
        self.track = Track((x, y, width, height), 1.0, True)
        return self.track

    def step(self, frame: Tensor) -> Track:
        """What OpenCV answers."""
        found, box = self.tracker.update(self._picture(_same(frame, self.shape)))
        if found:
            x, y, wide, high = (float(value) for value in box)
            width, height = wide / self.grown[0], high / self.grown[1]
            result = (x + (wide - width) / 2, y + (high - height) / 2, width, height)
            self.track = Track(result, 1.0, True)
        else:
            self.track = Track(self.track.box, 0.0, False)
        return self.track

    def _picture(self, plane: NDArray[np.float32]) -> NDArray[np.uint8]:
        scaled = (plane - self.low) * (255 / max(self.high - self.low, 1e-6))
        return np.repeat(np.clip(scaled, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def mil() -> OpenCvTracker:
    """OpenCV's MIL tracker with its defaults. It draws its samples from a generator that goes on through the process
    and that no seed sets, so that a second run in a process is unlike the first: score it over several. It never ends
    on boxes of a few pixels, so that they are grown to 16. Raises Unavailable where OpenCV lacks it.
    """
    import cv2

    if not hasattr(cv2, "TrackerMIL"):
        raise Unavailable("this OpenCV has no MIL tracker: install opencv-contrib-python-headless")
    return OpenCvTracker(cv2.TrackerMIL.create, least_px=MIL_LEAST_PX)


def nano_track(backbone: str | Path, head: str | Path) -> OpenCvTracker:
    """OpenCV's NanoTrack with two ONNX files: backbone and head of NanoTrack v2.

    Raises DataMissing where one is absent, Unavailable where OpenCV has no NanoTrack or can't read them.
    """
    import cv2

    for path in (backbone, head):
        if not Path(path).is_file():
            raise DataMissing(f"no ONNX file at {path}; give NanoTrack's backbone and head, such as of SiamTrackers")
    if not hasattr(cv2, "TrackerNano"):
        raise Unavailable("this OpenCV has no NanoTrack: install opencv-contrib-python-headless")
    parameters = cv2.TrackerNano.Params()
    parameters.backbone, parameters.neckhead = str(backbone), str(head)

    def make() -> Any:
        try:
            return cv2.TrackerNano.create(parameters)
        except cv2.error as error:
            raise Unavailable(f"OpenCV cannot use {backbone} and {head} as NanoTrack: {error}") from error

    return OpenCvTracker(make)


def _plane(frame: Tensor) -> NDArray[np.float32]:
    """Frame (1, H, W) or (H, W) as float32 (H, W), checked."""
    check_frames(frame)
    if frame.ndim == 3 and frame.shape[0] != 1:
        raise ShapeError(f"a frame must be (1, H, W) or (H, W), one plane: got {tuple(frame.shape)}")
    plane: NDArray[np.float32] = frame.reshape(frame.shape[-2:]).float().cpu().numpy()
    return plane


def _same(frame: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    plane = _plane(frame)
    if plane.shape != shape:
        raise ShapeError(f"frames must keep their size: got {plane.shape} after {shape}; start again with a box")
    return plane


def _top_hat(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.morphologyEx(plane, cv2.MORPH_TOPHAT, np.ones((side, side), np.uint8)), np.float32)


def _refined(response: NDArray[np.float32], peak: Tensor, *, reach: int = 1) -> Tensor:
    """Centre of mass of the 3x3 pixels around a peak at x, y."""
    column, row = int(peak[0]), int(peak[1])
    top, left = max(row - reach, 0), max(column - reach, 0)
    part = response[top : row + reach + 1, left : column + reach + 1].astype(np.float64)
    total = part.sum()
    if total <= 0:
        return peak
    rows, columns = np.arange(part.shape[0]) + 0.5, np.arange(part.shape[1]) + 0.5
    return torch.tensor([(part.sum(0) @ columns) / total + left, (part.sum(1) @ rows) / total + top])
