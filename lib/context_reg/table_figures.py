"""Figures of the comparison: gains, results (Figure 2), borders and small things (Figure 3), real pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.context_reg.batches import read_channels
from lib.context_reg.compare import shrunk
from lib.context_reg.comparison import Compared
from lib.context_reg.train import Trained
from lib.data.hha import NYUV2, fill_depth, hha_encode
from lib.data.labels import VOID, LabelledPicture
from lib.data.nyuv2 import CROP_LEFT, CROP_TOP, FULL_SIZE, NYUDv2, cropped
from lib.metrics.segmentation import SMALL_SHARE, class_borders
from lib.show.canvas import ShownFigure
from lib.show.figures import image_grid
from lib.show.labels import colour_labels
from lib.show.plots import score_plot

DEPTH_UNITS_PER_M = 5000.0  # of depth/<number>.png beside the sample pictures: multi-task-refinenet's scale
DETAIL = 0.45  # side of a detail as a share of the picture's
FADED = 0.35  # of the picture under the borders
BOTH, OURS, THEIRS = (1.0, 1.0, 1.0), (1.0, 0.8, 0.0), (0.1, 0.3, 0.9)  # light, middle, dark: apart in grey as well


def gain_figure(compared: Compared, measure: str, published: Mapping[str, float]) -> ShownFigure:
    """With minus without by case: ours full with its interval, the paper's own gain hollow."""
    gains = {case: compared.differences(case, measure) for case in compared.runs}
    return score_plot(gains, label=f"{measure}, with minus without (points, more is better)", published=published)


@torch.no_grad()
def labels_of(trained: Trained, picture: LabelledPicture) -> Tensor:
    """Best class (H, W) of every pixel by a trained host, on the CPU; reads what the host was trained on."""
    device = next(trained.network.parameters()).device
    planes = read_channels(picture, trained.network_settings.channels)
    scores: Tensor = trained.network(planes[None].to(device))
    return scores[0].argmax(0).cpu()


def results_figure(
    pictures: Sequence[LabelledPicture], trained: Mapping[str, Mapping[str, Trained]], *, names: Mapping[str, str]
) -> ShownFigure:
    """Figure 2: a row a picture: picture, classes by each host without and with the regulariser, truth.

    trained: by case, then by variant. names: of the variants as they stand in the titles.
    """
    shown: list[Tensor] = []
    titles: list[str] = []
    for picture in pictures:
        shown.append(picture.image)
        titles.append(picture.name)
        for case, variants in trained.items():
            for variant, one in variants.items():
                shown.append(colour_labels(labels_of(one, picture), one.network_settings.num_classes))
                titles.append(f"{case.split(',')[0]}, {names[variant]}")
        classes = next(iter(next(iter(trained.values())).values())).network_settings.num_classes
        shown.append(colour_labels(picture.labels, classes))
        titles.append("truth")
    return image_grid(shown, titles, columns=len(shown) // len(pictures))


def drawn_borders(image: Tensor, labels: Tensor, truth: Tensor) -> Tensor:
    """The faded picture (3, H, W) with borders: white where both have one, yellow ours alone, blue the truth's alone.

    labels, truth: (H, W). Exact to the pixel, without the tolerance that boundary F has.
    """
    ours, theirs = (torch.from_numpy(class_borders(one.numpy())) for one in (labels, truth))
    drawn = FADED * image
    for where, colour in ((ours & theirs, BOTH), (ours & ~theirs, OURS), (theirs & ~ours, THEIRS)):
        drawn = torch.where(where, drawn.new_tensor(colour).view(3, 1, 1), drawn)
    return drawn


def small_parts(labels: Tensor) -> Tensor:
    """True (H, W) in connected parts of a class that are smaller than 1 % of the picture, as small-object IU counts."""
    import cv2

    found = np.zeros(tuple(labels.shape), dtype=bool)
    for label in labels.unique().tolist():
        mask = (labels == label).numpy().astype(np.uint8)
        _, parts, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        is_small = stats[:, cv2.CC_STAT_AREA] < SMALL_SHARE * mask.size
        is_small[0] = False
        found |= is_small[parts]
    return torch.from_numpy(found) & (labels != VOID)


def busiest_window(labels: Tensor) -> tuple[slice, slice]:
    """The part of a picture, DETAIL of its height and width, that holds the most pixels of small parts."""
    height, width = (max(1, round(DETAIL * side)) for side in labels.shape)
    sums = F.avg_pool2d(small_parts(labels).float()[None, None], (height, width), stride=1)[0, 0]
    best = int(sums.argmax())
    top, left = divmod(best, sums.shape[1])
    return slice(top, top + height), slice(left, left + width)


def details_figure(
    pictures: Sequence[LabelledPicture], variants: Mapping[str, Trained], *, names: Mapping[str, str]
) -> ShownFigure:
    """Figure 3: where small things lie, enlarged: picture, borders found by a host without and with, classes, truth."""
    shown: list[Tensor] = []
    titles: list[str] = []
    for picture in pictures:
        rows, columns = busiest_window(picture.labels)
        image, truth = picture.image[:, rows, columns], picture.labels[rows, columns]
        shown.append(image)
        titles.append("detail")
        for variant, one in variants.items():
            labels = labels_of(one, picture)[rows, columns]
            shown += [drawn_borders(image, labels, truth), colour_labels(labels, one.network_settings.num_classes)]
            titles += [f"borders, {names[variant]}", f"classes, {names[variant]}"]
        shown.append(colour_labels(truth, next(iter(variants.values())).network_settings.num_classes))
        titles.append("truth")
    return image_grid(shown, titles, columns=len(shown) // len(pictures))


def real_pictures(root: str, *, height_px: int, num_classes: Literal[40, 4] = 40) -> list[LabelledPicture]:
    """Pictures of NYUv2's test split with their classes, shrunk to `height_px`; none for root "".

    root: rgb/ and label40/ or labels/, as NYUDv2 reads plain folders. Where depth/<name>.png lies beside them (16 bits,
    5000 a metre, 0 where nothing was measured) its holes are filled and it is encoded as HHA.
    """
    if not root:
        return []
    data = NYUDv2(root, "test", num_classes=num_classes)
    found = []
    for idx, name in enumerate(data.names):
        picture = data[idx]
        depth = Path(root) / "depth" / f"{name}.png"
        if depth.is_file():
            picture = replace(picture, hha=_hha(depth))
        height, width = picture.image.shape[-2:]
        found += shrunk([picture], (height_px, round(width * height_px / height)))
    return found


def seen_as_hha(pictures: Sequence[LabelledPicture]) -> list[LabelledPicture]:
    """Those that have HHA, with it in the place of their colours, so that a figure shows what a host for HHA reads."""
    return [replace(one, image=one.hha, name=f"{one.name}, HHA") for one in pictures if one.hha is not None]


def _hha(path: Path) -> Tensor:
    """HHA picture (3, H, W) of a file of measured depth, cut as NYUv2's pictures are."""
    from PIL import Image

    with Image.open(path) as file:
        raw = torch.from_numpy(np.asarray(file).astype(np.float32) / DEPTH_UNITS_PER_M)[None]
    camera = NYUV2
    if tuple(raw.shape[-2:]) == FULL_SIZE:
        raw, camera = cropped(raw), NYUV2.cropped(top=CROP_TOP, left=CROP_LEFT)
    return hha_encode(fill_depth(raw), raw_depth=raw, camera=camera)
