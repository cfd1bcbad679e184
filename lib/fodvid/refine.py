"""Temporal refinement (sec. 2.2): the video's own coarse masks train a network that then sees one frame at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import DataMissing
from lib.fodvid.clips import Clip
from lib.fodvid.discover import Discoverer, discover_with, resize_height
from lib.fodvid.segment import Segmentation, segment
from lib.fodvid.train import SegmenterSettings, Trained, train_segmenter

IMAGE_HEIGHT_PX = 240


@dataclass(frozen=True, eq=False)
class Coarse:
    """What training needs of a video: per frame features (T, D, rows, columns) float16, masks (T, H, W) bool, and the
    frame, small, (T, 3, h, w) uint8; `trusted` (T,) bool, whether anything moved in it."""

    features: Tensor
    masks: Tensor
    images: Tensor
    trusted: Tensor


def collect(discoverer: Discoverer, frames: Iterable[Tensor], *, max_frames: int) -> Coarse:
    """Coarse masks, features and small frames of up to so many frames, each computed once; about 2 MB a frame.

    Raises DataMissing where no frame has a mask that can teach.
    """
    features, masks, images, trusted = [], [], [], []
    kept: list[Tensor] = []

    def taken() -> Iterator[Tensor]:
        for frame in frames:
            kept.append(frame)
            yield frame
            if len(kept) == max_frames:
                return

    for idx, found in enumerate(discover_with(discoverer, taken())):
        frame = kept[idx]
        features.append(found.features.as_map()[0].half().cpu())
        masks.append(found.mask.cpu())
        images.append((resize_height(frame[None], IMAGE_HEIGHT_PX)[0] * 255).round().byte().cpu())
        trusted.append(found.motion is None or found.motion.moves)
        kept[idx] = frame.new_empty(0)
    ok = torch.tensor(trusted) & torch.stack([mask.any() & ~mask.all() for mask in masks])
    if not ok.any():
        raise DataMissing("no frame has an object to learn from: nothing moves, or every mask is empty or full")
    return Coarse(torch.stack(features), torch.stack(masks), torch.stack(images), ok)


def refine(discoverer: Discoverer, coarse: Coarse, *, settings: SegmenterSettings, name: str = "video") -> Trained:
    """The network trained on the coarse masks by Algorithm 1, with flow between the small frames."""

    def flow(frame: int, offset: int) -> Tensor:
        a, b = (coarse.images[idx][None].float() / 255 for idx in (frame, frame + offset))
        assert discoverer.estimator is not None
        return discoverer.estimator(a, b)[0]

    clip = Clip(
        coarse.features,
        coarse.masks,
        flow if discoverer.estimator is not None else {},
        images=lambda idx: coarse.images[idx].float() / 255,
        trusted=coarse.trusted,
        name=name,
    )
    return train_segmenter([clip], settings=settings)


def segment_video(
    discoverer: Discoverer, trained: Trained, frames: Iterable[Tensor]
) -> Iterator[Segmentation]:
    """Masks of all frames by the trained network: features of the frame alone, no flow."""
    return segment(
        trained.network,
        frames,
        lambda frame: discoverer.image_features(frame).as_map()[0],
        size=trained.settings.size,
    )
