"""Temporal refinement (sec. 2.2): the video's own coarse masks train a network that then sees one frame at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from lib.errors import DataMissing, SpecError
from lib.fodvid.clips import Clip
from lib.fodvid.discover import Discoverer, motions, resize_height
from lib.fodvid.own_look import OwnLook
from lib.fodvid.segment import Segmentation, segment
from lib.fodvid.train import SegmenterSettings, Trained, train_segmenter

IMAGE_HEIGHT_PX = 240
# frames in a row that are taken of a video too long to be taken whole: enough for the offsets of Algorithm 1
RUN_FRAMES = 10


@dataclass(frozen=True, eq=False)
class Coarse:
    """What training needs of a video: per frame features (T, D, rows, columns) float16, masks (T, H, W) bool, and the
    frame, small, (T, 3, h, w) uint8; `trusted` (T,) bool, whether its mask may teach; `starts`, the frames with which a
    run of consecutive frames begins: between runs there is no flow."""

    features: Tensor
    masks: Tensor
    images: Tensor
    trusted: Tensor
    starts: tuple[int, ...] = (0,)


def collect(
    discoverer: Discoverer,
    frames: Iterable[Tensor],
    *,
    max_frames: int,
    num_frames: int | None = None,
    look: OwnLook | None = None,
) -> Coarse:
    """Coarse masks, features and small frames of up to so many frames, each computed once; about 3 MB a frame of 480p.

    frames: (3, H, W) each, RGB, 0..1, all of one size; read once, only as far as needed. num_frames: of the video: if
    more than max_frames, runs of ten frames are taken all over it (see `spread`); without it the first max_frames.
    look: of the video, for second cuts. Raises SpecError for a single frame where alpha asks for flow, DataMissing
    where no frame has a mask that can teach: one in which something moves, and which has an object and a background.
    """
    runs = spread(num_frames or 0, max_frames)
    numbers = [number for run in runs for number in run]
    wanted = set(numbers)
    features, masks, images, trusted = [], [], [], []
    # one frame more than wanted: the last one's motion leads there
    read = islice(frames, numbers[-1] + 2)
    for frame, motion in motions(discoverer, read, chosen=wanted.__contains__):
        found = discoverer.discover(frame, motion, look=look)
        features.append(found.features.as_map()[0].half().cpu())
        masks.append(found.mask.cpu())
        images.append(small_image(frame))
        trusted.append(bool(found.mask.any() and not found.mask.all()))
    if not any(trusted):
        raise DataMissing("no frame has an object to learn from: nothing moves, or every mask is empty or full")
    firsts = {run[0] for run in runs}
    starts = tuple(idx for idx, number in enumerate(numbers[: len(masks)]) if number in firsts)
    return Coarse(torch.stack(features), torch.stack(masks), torch.stack(images), torch.tensor(trusted), starts)


def small_image(frame: Tensor) -> Tensor:
    """A frame (3, H, W), 0..1, as training keeps it: (3, h, w) uint8, at most 240 pixels high."""
    return (resize_height(frame[None], IMAGE_HEIGHT_PX)[0] * 255).round().byte().cpu()


def spread(num_frames: int, max_frames: int) -> list[range]:
    """Runs of consecutive frames, at most max_frames in all: the first of a video no longer than that, or ten and ten
    evenly from its first frame to its last."""
    if max_frames < 1:
        raise SpecError(f"max_frames must be at least 1: got {max_frames}")
    if num_frames <= max_frames:
        return [range(max_frames)]
    count = max(max_frames // RUN_FRAMES, 1)
    length = max_frames // count
    step = (num_frames - length) / max(count - 1, 1)
    return [range(start, start + length) for start in (round(idx * step) for idx in range(count))]


def refine(
    discoverer: Discoverer,
    coarse: Coarse,
    *,
    settings: SegmenterSettings,
    name: str = "video",
    warp_flow: Callable[[Tensor, Tensor], Tensor] | None = None,
    checkpoint: Path | None = None,
) -> Trained:
    """The network trained on the coarse masks by Algorithm 1, with flow between the small frames of each run.

    warp_flow: estimator of that flow (the paper cuts with ARFlow's and warps with GMFlow's); None: the discoverer's.
    checkpoint: of train_segmenter, which goes on from it.
    """
    estimator = warp_flow or discoverer.estimator
    ends = (*coarse.starts[1:], len(coarse.masks))
    clips = [_clip(estimator, coarse, start, end, name) for start, end in zip(coarse.starts, ends, strict=True)]
    return train_segmenter(clips, settings=settings, checkpoint=checkpoint)


def _clip(
    estimator: Callable[[Tensor, Tensor], Tensor] | None, coarse: Coarse, start: int, end: int, name: str
) -> Clip:
    images = coarse.images[start:end]

    def image(idx: int) -> Tensor:
        return images[idx].float() / 255

    def flow(frame: int, offset: int) -> Tensor:
        assert estimator is not None
        return estimator(image(frame)[None], image(frame + offset)[None])[0]

    return Clip(
        coarse.features[start:end],
        coarse.masks[start:end],
        flow if estimator is not None else {},
        images=image,
        trusted=coarse.trusted[start:end],
        name=name if start == 0 else f"{name} from training frame {start} on",
    )


def segment_video(discoverer: Discoverer, trained: Trained, frames: Iterable[Tensor]) -> Iterator[Segmentation]:
    """Masks of all frames by the trained network: features of the frame alone, no flow."""
    return segment(
        trained.network,
        frames,
        lambda frame: discoverer.image_features(frame).as_map()[0],
        size=trained.settings.size,
    )
