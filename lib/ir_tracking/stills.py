"""Filter and peak on single frames with known targets: how much they stand out, how many are found, what is false."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import torch
from torch import Tensor

from lib.errors import DataMissing, SpecError
from lib.ir_tracking.background import suppress_background
from lib.ir_tracking.settings import FilterSettings
from lib.metrics.infrared import DetectionCounts, Suppression, count_detections, decibels, suppression

THRESHOLDS = (5.0, 8.0, 12.0, 20.0, 40.0)
GUARD_PX = 1  # boxes of SIRST hold their targets' masks to within a pixel


class Still(Protocol):
    """A frame with targets; lib.data.infrared.SirstStill is one. boxes: (N, 4), x, y, w, h, pixels."""

    @property
    def boxes(self) -> Tensor: ...
    def image(self) -> Tensor:
        """(1, H, W), 0..1."""
        ...

    def mask(self) -> Tensor:
        """(H, W) bool, true on targets."""
        ...


@dataclass(frozen=True)
class StillScores:
    """Scores of the filter on some frames.

    targets: contrast of every target before and after. strongest_hits: frames whose highest response is in a target.
    detections: counts by threshold, in deviations of the frame's response above its mean.
    """

    num_frames: int
    targets: tuple[Suppression, ...]
    strongest_hits: int
    detections: dict[float, DetectionCounts]

    @property
    def gains_db(self) -> list[float]:
        """SCR gain of every target, dB, in rising order."""
        return sorted(decibels(target.scr_gain) for target in self.targets)

    @property
    def median_snr_db(self) -> tuple[float, float]:
        """Median over targets of the SNR before and after, dB."""
        before = median(decibels(target.before.scr) for target in self.targets)
        return before, median(decibels(target.after.scr) for target in self.targets)


def score_stills(
    stills: Iterable[Still],
    *,
    settings: FilterSettings | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    guard_px: int = GUARD_PX,
) -> StillScores:
    """Scores of filter and peak on frames with known targets.

    The background of a target is the ring of 20 px, without the `guard_px` next to boxes and masks and without other
    targets, which would count as clutter. A detection is a patch of responses above mean + k deviations of its frame;
    each frame counts once however many targets it has. Frames are brought to 8 bits, as they are stored.
    Raises DataMissing without any frame, SpecError for thresholds that are not above 0.
    """
    if not thresholds or min(thresholds) <= 0:
        raise SpecError(f"thresholds must be numbers above 0: got {thresholds!r}")
    targets: list[Suppression] = []
    hits = num_frames = 0
    counts = {threshold: DetectionCounts(0, 0, 0, 0) for threshold in thresholds}
    for still in stills:
        frame = still.image().mul(255).round().to(torch.uint8)[0]
        response = suppress_background(frame, settings=settings).filtered
        boxes = still.boxes
        ignored = target_pixels(still.mask(), boxes, guard_px=guard_px)
        targets += [suppression(frame, response, box, guard_px=guard_px, ignored=ignored) for box in boxes]
        row, column = divmod(int(response.flatten().argmax()), response.shape[1])
        hits += bool(ignored[row, column]) and bool(response[row, column] > 0)
        centres = boxes[:, :2] + (boxes[:, 2:] - 1) / 2
        for threshold in thresholds:
            counts[threshold] += count_detections(exceeds(response, threshold), centres)
        num_frames += 1
    if not num_frames:
        raise DataMissing("no frame to score: give at least one")
    return StillScores(num_frames, tuple(targets), hits, counts)


def exceeds(response: Tensor, threshold: float) -> Tensor:
    """Pixels (H, W) whose response is above mean + threshold * deviation of the frame's responses."""
    values = response.double() if response.device.type != "mps" else response.float()
    return values > values.mean() + threshold * values.std(correction=0)


def target_pixels(mask: Tensor, boxes: Tensor, *, guard_px: int) -> Tensor:
    """Pixels (H, W) bool of all targets, their boxes and guards: no background for any of them."""
    pixels = mask.clone()
    for x, y, w, h in boxes.round().long().tolist():
        pixels[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = True
    size = 2 * guard_px + 1
    return torch.nn.functional.max_pool2d(pixels[None].float(), size, stride=1, padding=guard_px)[0] > 0
