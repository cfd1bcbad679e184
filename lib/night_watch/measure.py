"""Scores of every step on every version of a watch: against the truth, or what can be said without it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from torch import Tensor

from lib.context_reg.networks import LoadedNetwork
from lib.data.labels import VOID
from lib.data.nyuv2_classes import CLASS_NAMES, SUPERCLASSES
from lib.errors import SpecError
from lib.ir_tracking.peaks import detect
from lib.metrics import (
    AOR,
    FLICKER,
    MEAN_IU,
    MEAN_J,
    NOISE,
    PSNR,
    Measure,
    confusion_matrix,
    davis_scores,
    flicker,
    jaccard,
    noise_level,
    psnr,
    segmentation_scores,
    tracking_scores,
)
from lib.night_watch.chain import (
    DAYLIGHT,
    DISCOVERY_STEP,
    ENHANCED,
    Course,
    Tools,
    background,
    discovered,
    discovery_frames,
    film_frames,
    followed,
    labelled,
)
from lib.night_watch.scene import Truth, Watch

DAY, MEAN_OF_ALL, MEAN_OF_STILL = "day picture", "mean of all frames", "mean without movers"
NUM_LABELLED = 3  # frames of each version
ONE_ROOM = "mean over the classes in the room's truth, pixels of three frames, movers left out"
MEASURES: dict[str, Measure] = {
    "psnr": replace(PSNR, protocol=f"{PSNR.protocol}, against the scene by daylight"),
    "j": replace(MEAN_J, name="J of the walker", protocol=f"{MEAN_J.protocol}; every fourth frame, the walker's mask"),
    "aor": replace(AOR, name="AOR with filter", protocol=f"{AOR.protocol}; network of 300 steps with the filter"),
    "aor_without": replace(
        AOR, name="AOR without filter", protocol=f"{AOR.protocol}; network of 300 steps without the filter"
    ),
    "iu": replace(MEAN_IU, name="mean IU of the room", protocol=ONE_ROOM),
}
# what can be said of a real night
BLIND: dict[str, Measure] = {
    "noise": NOISE,
    "flicker": replace(FLICKER, protocol=f"{FLICKER.protocol}: where nothing is discovered in the enhanced video"),
    "steady": Measure(
        "steadiness", "%", "none", 100.0, "mean J of each mask with that of four frames later; empty ones are alike"
    ),
    "back": Measure(
        "way back", "px", "lower", 0.0, "followed to the last frame and back: distance from where it started"
    ),
    "like_day": Measure(
        "labels as by day", "%", "higher", 100.0, "pixels of three frames whose class is that of the day picture"
    ),
}
PERCENT = 100.0


@dataclass(frozen=True, eq=False)
class Seen:
    """What the later steps found in one version: masks (N, H, W) of the frames, courses with the filter and without,
    labels (3, H, W) of `film_frames`."""

    masks: Tensor
    course: Course
    course_without: Course
    labels: Tensor


def look(video: Tensor, tools: Tools, box: Tensor) -> Seen:
    """Steps 3 to 5 on one version (T, 3, H, W) of a watch; box: (4,), of the small target in its first frame."""
    return Seen(
        discovered(video, tools.discoverer, discovery_frames(len(video))),
        followed(video, tools.tracker, box),
        followed(video, tools.tracker_without_filter, box),
        labelled(video[film_frames(len(video), NUM_LABELLED)], tools.labeller),
    )


def look_at_all(videos: Mapping[str, Tensor], tools: Tools, box: Tensor) -> dict[str, Seen]:
    """`look` at every version."""
    return {name: look(video, tools, box) for name, video in videos.items()}


def start_box(watch: Watch, videos: Mapping[str, Tensor]) -> Tensor:
    """Box (4,) that tracking starts from: the true one, or around the strongest spot of the first enhanced frame."""
    if watch.truth is not None:
        return watch.truth.boxes[0]
    return detect(videos[ENHANCED][0].mean(dim=0, keepdim=True), number=1)[0]


def scores_of(
    watch: Watch, videos: Mapping[str, Tensor], seen: Mapping[str, Seen], labeller: LoadedNetwork
) -> dict[str, dict[str, float]]:
    """Scores against the truth: version -> measure of MEASURES -> value; also of the day picture and of two means.

    Raises SpecError for a watch without truth, or a labeller of other classes than NYUv2's 40 or 4.
    """
    if watch.truth is None:
        raise SpecError("a video of your own has no truth: take blind_scores_of")
    truth, num_frames = watch.truth, len(watch.night)
    names = discovery_frames(num_frames)
    classes = room_classes(truth.labels, labeller.settings.num_classes)
    movers = moving(truth)
    still = _with_void(classes, movers[film_frames(num_frames, NUM_LABELLED)])
    rows: dict[str, dict[str, float]] = {}
    for name, one in seen.items():
        scores = {
            "j": PERCENT
            * davis_scores(list(one.masks.cpu()), list(truth.walker[names].cpu()), boundaries=False).j.mean,
            "aor": tracking_scores(one.course.boxes[1:], truth.boxes[1:].double().cpu()).aor,
            "aor_without": tracking_scores(one.course_without.boxes[1:], truth.boxes[1:].double().cpu()).aor,
            "iu": room_iu(one.labels, still),
        }
        rows[name] = scores if name == DAYLIGHT else {"psnr": psnr(videos[name], truth.bright), **scores}
    means = backgrounds(videos[ENHANCED], seen[ENHANCED].masks)
    for name, picture in {DAY: watch.day, **means}.items():
        rows[name] = {"iu": room_iu(labelled(picture[None], labeller), classes[None])}
    return rows


def backgrounds(video: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """The empty scene (3, H, W) as the mean of all frames, and as the mean of what discovery leaves of them."""
    frames = discovery_frames(len(video))
    return {MEAN_OF_ALL: background(video, frames), MEAN_OF_STILL: background(video, frames, masks)}


def moving(truth: Truth) -> Tensor:
    """True (T, H, W) where the walker or the small thing is."""
    height, width = truth.walker.shape[-2:]
    left, top, wide, high = truth.boxes.unbind(-1)
    x = torch.arange(width, device=left.device) + 0.5
    y = torch.arange(height, device=left.device) + 0.5
    inside_x = (x > left[:, None]) & (x < (left + wide)[:, None])
    inside_y = (y > top[:, None]) & (y < (top + high)[:, None])
    return truth.walker | (inside_y[:, :, None] & inside_x[:, None, :])


def room_classes(labels: Tensor, num_classes: int) -> Tensor:
    """Labels (H, W) of NYUv2's 40 classes in the classes of a labeller; SpecError for other numbers than 40 and 4."""
    if num_classes == len(CLASS_NAMES):
        return labels
    if num_classes == 1 + max(SUPERCLASSES):
        return labels.new_tensor(SUPERCLASSES)[labels]
    raise SpecError(f"the room's labels are NYUv2's: the labeller must know 40 or 4 classes, got {num_classes}")


def room_iu(prediction: Tensor, truth: Tensor) -> float:
    """Mean IU in per cent over the classes that the truth (N, H, W) holds; void (255) doesn't count.

    Choice: classes that are only predicted count by what they take from the others. In one room most of the 40 classes
    are absent, and one stray pixel of each would otherwise decide.
    """
    num_classes = int(max(prediction.max(), truth[truth != VOID].max())) + 1
    matrix = confusion_matrix(prediction, truth, num_classes=num_classes)
    iu = segmentation_scores(matrix).iu
    return PERCENT * fmean(iu[label] for label in matrix.sum(dim=1).nonzero().flatten().tolist())


def blind_scores_of(
    watch: Watch, videos: Mapping[str, Tensor], seen: Mapping[str, Seen], tools: Tools
) -> dict[str, dict[str, float]]:
    """What can be said of a watch without truth: version -> measure of BLIND -> value."""
    by_day = labelled(watch.day[None], tools.labeller)[0]
    num_frames = len(watch.night)
    found = seen[ENHANCED].masks
    free = ~found[[idx // DISCOVERY_STEP for idx in film_frames(num_frames, NUM_LABELLED)]]
    calm = ~found.any(dim=0)
    still = calm if calm.any() else torch.ones_like(calm)
    rows = {}
    for name, one in seen.items():
        steps = zip(one.masks[:-1], one.masks[1:], strict=True)
        alike = one.labels == by_day
        rows[name] = {
            "noise": noise_level(videos[name]),
            "flicker": flicker(videos[name], still=still),
            "steady": PERCENT * fmean(float(jaccard(first.cpu(), second.cpu())) for first, second in steps),
            "back": way_back(videos[name], one.course, tools),
            "like_day": PERCENT * float(alike[free].float().mean()),
        }
    return rows


def way_back(video: Tensor, course: Course, tools: Tools) -> float:
    """Distance in pixels from where a target started to where following it back from the last frame ends.

    Small for a tracker that followed one thing; what thing that was it doesn't say.
    """
    back = followed(video.flip(0), tools.tracker, course.boxes[-1])
    first, last = (box[:2] + box[2:] / 2 for box in (course.boxes[0], back.boxes[-1]))
    return float((first - last).norm())


def _with_void(classes: Tensor, movers: Tensor) -> Tensor:
    """Classes (N, H, W) of the room, void where something moves before it, (N, H, W)."""
    return classes.expand(len(movers), -1, -1).masked_fill(movers, VOID)
