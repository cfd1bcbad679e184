"""Inference: each frame alone, without flow, in bounded memory (sec. 3.2)."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.checks import check_image
from lib.errors import SpecError
from lib.fodvid.network import SegmentationNetwork

THRESHOLD = 0.5


@dataclass(frozen=True)
class Segmentation:
    """Probability (H, W) of the object at the frame's own size, and the mask bool (H, W) where it is above 0.5."""

    probability: Tensor
    mask: Tensor


def segment(
    network: SegmentationNetwork,
    frames: Iterable[Tensor],
    features: Callable[[Tensor], Tensor] | Iterable[Tensor],
    *,
    size: tuple[int, int],
    threshold: float = THRESHOLD,
) -> Iterator[Segmentation]:
    """Masks frame by frame; the frames are read as they are needed.

    frames: RGB (3, H, W), 0..1, any size. features: frame -> (D, rows, columns), or those of the frames in their order.
    size: (H, W) that the network was trained at. Probabilities, not logits, are resized to the frame, bilinear.
    Results lie on the network's device. Raises SpecError for a threshold outside 0..1 or fewer features than frames,
    ShapeError for a frame or features that don't fit.
    """
    if not 0 < threshold < 1:
        raise SpecError(f"threshold must lie between 0 and 1: got {threshold!r}")
    given = None if callable(features) else iter(features)
    for idx, frame in enumerate(frames):
        check_image("frame", frame)
        found = features(frame) if callable(features) else next(given, None) if given is not None else None
        if found is None:
            raise SpecError(f"features must be given for each frame: got {idx}, and another frame follows")
        yield segment_frame(network, frame, found, size=size, threshold=threshold)


@torch.no_grad()
def segment_frame(
    network: SegmentationNetwork,
    frame: Tensor,
    features: Tensor,
    *,
    size: tuple[int, int],
    threshold: float = THRESHOLD,
) -> Segmentation:
    """Mask of one frame (3, H, W) from its features (D, rows, columns); see `segment`."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    try:
        image = frame[None].to(device) if network.modulation == "image" else None
        logits = network(features[None].to(device).float(), size, image)
    finally:
        network.train(was_training)
    own = (frame.shape[-2], frame.shape[-1])
    probability = F.interpolate(logits.float().sigmoid(), size=own, mode="bilinear", align_corners=False)[0, 0]
    return Segmentation(probability, probability > threshold)
