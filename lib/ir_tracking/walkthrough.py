"""What the walkthrough looks at: scans, the filter's stages and gains, and targets that are followed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import cast

import torch
from torch import Generator, Tensor

from lib.data.infrared import InfraredSequences
from lib.data.tracks import TrackedSequence
from lib.errors import SpecError
from lib.ir_tracking.background import lines, suppress_background
from lib.ir_tracking.evaluate import Case, Result
from lib.ir_tracking.network import SiameseNetwork
from lib.ir_tracking.scan_settings import ScanSettings, Scenery
from lib.ir_tracking.settings import FilterSettings
from lib.ir_tracking.simulator import Scan, ScanSimulator
from lib.ir_tracking.tracker import Tracker
from lib.ir_tracking.tracker_settings import TrackerSettings
from lib.metrics.infrared import CAP, SCR, SCR_GAIN, LocalContrast, Suppression, decibels, local_contrast, suppression
from lib.metrics.tracking import AOR, PRECISION_3, centre_error
from lib.show.scores import Finding
from lib.show.tables import Table, table

GUARD_PX = 2  # next to a target's box, where its blur is neither target nor background
CROSSING_PX = 9.0  # how far apart two targets are when region selection is looked at


def scan_settings(
    scenery: Scenery, *, scr: float, oversampling: Sequence[int], height_px: int, num_frames: int
) -> ScanSettings:
    """A scan of 4:3 with targets of one contrast that neither fade nor hide; oversampling along and across the scan.

    Raises SpecError for values that ScanSettings refuses.
    """
    return ScanSettings(
        height_px=height_px,
        width_px=round(height_px * 4 / 3),
        num_frames=num_frames,
        oversampling=cast(tuple[int, int], tuple(oversampling)),  # checked there
        scenery=scenery,
        scr=(scr, scr),
        fades=0.0,
        occlusions=0.0,
    )


def hidden(settings: ScanSettings) -> ScanSettings:
    """The same with one target that fades once and is hidden once, wherever that happens."""
    once = 100 / settings.num_frames
    return replace(settings, num_targets=1, crossing=False, fades=once, occlusions=once)


def crossing(settings: ScanSettings) -> ScanSettings:
    """The same with two targets that meet once."""
    return replace(settings, num_targets=2, crossing=True)


def make_scan(settings: ScanSettings, *, seed: int, device: torch.device | str = "cpu") -> Scan:
    """The whole scan of a seed."""
    return ScanSimulator(settings, generator=Generator().manual_seed(seed), device=device).simulate()


def line_openings(frame: Tensor, settings: FilterSettings) -> dict[str, Tensor]:
    """I o a_i of eq. 2 for each line alone, (H, W), by its angle; of dark targets the closings.

    frame: (H, W) of a dtype that OpenCV takes.
    """
    import cv2

    operation = cv2.MORPH_OPEN if settings.polarity == "bright" else cv2.MORPH_CLOSE
    angles = (0.0, 45.0, 90.0, 135.0, 22.5, 67.5, 112.5, 157.5)
    plane = frame.cpu().numpy()
    return {
        f"{angle:g}°": torch.from_numpy(cv2.morphologyEx(plane, operation, line.kernel)).to(frame.device)
        for angle, line in zip(angles, lines(settings), strict=False)
    }


def filter_stages(frame: Tensor, settings: FilterSettings) -> dict[str, Tensor]:
    """The frame (H, W) and what eqs 2 to 4 make of it, by name."""
    stages = suppress_background(frame, settings=settings)
    return {"I": frame, "E": stages.background, "U = I - E": stages.suppressed, "M": stages.filtered}


def contrasts(planes: Mapping[str, Tensor], box: Tensor) -> dict[str, LocalContrast]:
    """Contrast of a target in each plane (H, W), the GUARD_PX next to its box left out of the background."""
    return {name: local_contrast(plane, box, guard_px=GUARD_PX) for name, plane in planes.items()}


def contrast_table(found: Mapping[str, LocalContrast]) -> Table:
    """Contrast, deviation of the surroundings and SCR of a target, row by row; SNR in dB is eq. 13 as we read it."""
    rows = [[name, one.contrast, one.background_deviation, one.scr, decibels(one.scr)] for name, one in found.items()]
    columns = ["", "contrast (levels)", "surroundings (levels)", "SCR", "SNR (dB)"]
    return table(rows, columns, digits=1)


def gains(scan: Scan, settings: FilterSettings) -> list[Suppression]:
    """Contrast of the first target before and after the filter in every frame in which it is visible."""
    filtered = suppress_background(scan.frames[:, 0], settings=settings).filtered
    return [
        suppression(scan.frames[idx, 0], filtered[idx], scan.boxes[idx, 0], guard_px=GUARD_PX)
        for idx in scan.visible[:, 0].nonzero()[:, 0].tolist()
    ]


def gain_findings(found: Sequence[Suppression]) -> list[Finding]:
    """Medians over frames of the SCR before and after the filter, and of the gain, dB."""
    in_db = replace(SCR, unit="dB", protocol=f"20 log10 of: {SCR.protocol}; median over frames")
    gain_db = replace(SCR_GAIN, unit="dB", protocol=f"20 log10 of: {SCR_GAIN.protocol}; median over frames")
    return [
        Finding("frame", in_db, median(decibels(one.before.scr) for one in found)),
        Finding("filtered", in_db, median(decibels(one.after.scr) for one in found)),
        Finding("gain", gain_db, median(decibels(one.scr_gain) for one in found)),
    ]


def gain_table(found: Sequence[Suppression]) -> Table:
    """SNR before and after and the gain, dB: lowest, median and highest over frames; frames at the cap."""
    before, after, gain = (
        sorted(decibels(ratio) for ratio in ratios)
        for ratios in zip(*((one.before.scr, one.after.scr, one.scr_gain) for one in found), strict=True)
    )
    rows = [
        [name, values[0], median(values), values[-1]]
        for name, values in (("SNR of the frame", before), ("SNR filtered", after), ("gain", gain))
    ]
    capped = sum(one.after.scr >= CAP for one in found)
    caption = f"{len(found)} frames, in {capped} of them nothing is left around the target"
    return table(rows, ["dB", "lowest", "median", "highest"], digits=1, caption=caption)


def crop_around(plane: Tensor, box: Tensor, *, reach_px: int) -> tuple[Tensor, Tensor]:
    """The part (h, w) of a plane (H, W) up to reach_px around a box's centre, and the box (4,) in it."""
    x, y = (float(box[axis] + box[axis + 2] / 2) for axis in (0, 1))
    height, width = plane.shape
    top, left = (
        min(max(math.floor(centre) - reach_px, 0), max(length - 2 * reach_px - 1, 0))
        for centre, length in ((y, height), (x, width))
    )
    part = plane[top : top + 2 * reach_px + 1, left : left + 2 * reach_px + 1]
    return part, box - box.new_tensor([left, top, 0, 0])


@dataclass(frozen=True, eq=False)
class Follow:
    """Targets followed through T frames, float64 on the CPU.

    boxes, truths: (T, N, 4), x, y, w, h, pixels; truths NaN where there is none. visible, seen: (T, N) bool, by the
    truth and by the tracker. scores: (T, N). expected: (T, N, 2), where the motion model looks, and spreads: (T, N),
    its window's deviation there, pixels.
    """

    boxes: Tensor
    truths: Tensor
    visible: Tensor
    seen: Tensor
    scores: Tensor
    expected: Tensor
    spreads: Tensor

    @property
    def errors(self) -> Tensor:
        """Distance of the centres (T, N), pixels."""
        return centre_error(self.boxes, self.truths)


def follow(
    network: SiameseNetwork, frames: Tensor, truths: Tensor, visible: Tensor, *, settings: TrackerSettings | None = None
) -> Follow:
    """Follows N targets from their true boxes in the first frame.

    frames: (T, 1, H, W). truths: (T, N, 4). visible: (T, N) bool.
    """
    settings = settings or TrackerSettings()
    tracker = Tracker(network, settings)
    tracks = [tracker.start_many(frames[0], truths[0])]
    expected, spreads = [tracker.motion.centres], [torch.full((truths.shape[1],), settings.window_px).double()]
    for frame in frames[1:]:
        motion = tracker.motion.copy()
        motion.predict()
        expected.append(motion.centres)
        least = (settings.window_share * tracker.sizes.prod(dim=1).sqrt()).clamp(min=settings.window_px)
        spreads.append(torch.hypot(motion.spread_px, least))
        tracks.append(tracker.step_many(frame))
    return Follow(
        torch.tensor([[track.box for track in every] for every in tracks], dtype=torch.float64),
        truths.double().cpu(),
        visible.cpu(),
        torch.tensor([[track.seen for track in every] for every in tracks]),
        torch.tensor([[track.score for track in every] for every in tracks], dtype=torch.float64),
        torch.stack(expected),
        torch.stack(spreads),
    )


def follow_scan(network: SiameseNetwork, scan: Scan, *, settings: TrackerSettings | None = None) -> Follow:
    """Follows all targets of a scan."""
    return follow(network, scan.frames, scan.boxes, scan.visible, settings=settings)


def before_crossing(scan: Scan, *, apart_px: float = CROSSING_PX) -> int:
    """Number of the last frame, before the two targets meet, in which they are at least so far apart."""
    centres = scan.boxes[..., :2] + scan.boxes[..., 2:] / 2
    distance = (centres[:, 0] - centres[:, 1]).norm(dim=1)
    meeting = int(distance.argmin())
    far = (distance[:meeting] >= apart_px).nonzero()[:, 0]
    return int(far[-1]) if len(far) else 0


def spans(flags: Tensor) -> list[tuple[int, int]]:
    """First and last number of each run of True in flags (T,)."""
    found: list[tuple[int, int]] = []
    for idx in flags.nonzero()[:, 0].tolist():
        if found and found[-1][1] == idx - 1:
            found[-1] = (found[-1][0], idx)
        else:
            found.append((idx, idx))
    return found


def event_table(followed: Follow, *, target: int = 0) -> Table:
    """When the target was away, when the tracker went on without it, and how far off it was when it saw it again."""
    errors = followed.errors[:, target]
    last = len(errors) - 1
    rows: list[list[object]] = []
    for first, end in spans(~followed.visible[:, target]):
        rows.append(["weaker than half, or hidden", f"{first}-{end}", f"{float(errors[end]):.1f}"])
    for first, end in spans(~followed.seen[:, target]):
        again = f"{float(errors[end + 1]):.1f}" if end < last else "-"
        rows.append(["not seen by the tracker", f"{first}-{end}", again])
    rows.append(["last frame", str(last), f"{float(errors[last]):.1f}"])
    return table(rows, ["", "frames", "centre error after it (px)"])


def return_frame(followed: Follow, *, target: int = 0) -> int:
    """Number of the frame in which a target is seen again after its longest absence; the last one if there is none."""
    last = len(followed.seen) - 1
    ended = [(end - first, end + 1) for first, end in spans(~followed.seen[:, target]) if end < last]
    return max(ended)[1] if ended else last


def real_sequence(folder: str) -> TrackedSequence | None:
    """The sequence of a folder with pictures and groundtruth_rect.txt; None for "".

    Raises DataMissing for another folder, SpecError for several sequences.
    """
    if not folder:
        return None
    found = InfraredSequences(folder)
    if len(found) != 1:
        raise SpecError(f"give the folder of one sequence: {folder} holds {', '.join(found.names)}")
    return found[0]


def evenly(count: int, number: int) -> list[int]:
    """That many frame numbers from the first to the last of `count`, evenly apart."""
    return sorted({round(idx * (count - 1) / max(number - 1, 1)) for idx in range(number)})


def cases_of(scans: Mapping[str, Scan]) -> list[Case]:
    """The first target of each scan as a test sequence."""
    return [Case(name, scan.target(0), scan.origin) for name, scan in scans.items()]


def result_table(results: Mapping[str, Result]) -> Table:
    """Precision at 3 px and AOR of each tracker on each sequence."""
    names = list(next(iter(results.values())).by_case)
    rows: list[list[object]] = []
    for tracker, result in results.items():
        scores = [result.by_case[name] for name in names]
        rows.append([tracker, *(value for one in scores for value in (100 * one.precision_3, one.aor))])
    columns = ["", *(f"{name}: {what}" for name in names for what in ("3 px (%)", "AOR"))]
    return table(rows, columns, digits={name: 0 if "%" in name else 2 for name in columns})


def result_findings(results: Mapping[str, Result]) -> list[Finding]:
    """Precision at 3 px (%) and AOR of each tracker on each sequence, for a record."""
    found = []
    for tracker, result in results.items():
        for name, one in result.by_case.items():
            found.append(Finding(f"{tracker}, {name}", PRECISION_3, 100 * one.precision_3))
            found.append(Finding(f"{tracker}, {name}", AOR, one.aor))
    return found


def around(number: int, count: int, *, step: int, before: int = 1, shown: int = 10) -> list[int]:
    """Numbers of frames, `step` apart, from `before` steps before one on, within `count`."""
    numbers = (number + (idx - before) * step for idx in range(shown))
    return [one for one in numbers if 0 <= one < count]


def is_ordered(stages: Mapping[str, Tensor]) -> bool:
    """Whether E <= I, U >= 0 and M <= U everywhere."""
    frame, background, suppressed, filtered = stages.values()
    return bool((background <= frame).all() and (suppressed >= 0).all() and (filtered <= suppressed).all())


def beats_each_line(alone: Mapping[str, Tensor], stages: Mapping[str, Tensor], box: Tensor) -> bool:
    """Whether U has less left around the target than the frame less any single opening."""
    together = local_contrast(stages["U = I - E"], box, guard_px=GUARD_PX).background_deviation
    return all(together < one.background_deviation for one in contrasts(alone, box).values())
