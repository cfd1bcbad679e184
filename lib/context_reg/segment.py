"""What a trained network says about pictures and videos: the class of every pixel."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.checks import check_image
from lib.context_reg.minimum import free_minimum
from lib.context_reg.networks import LoadedNetwork
from lib.errors import DataMissing, ShapeError


@dataclass(frozen=True, eq=False)
class Segmentation:
    """labels: (H, W) int64, best class. confidence: (H, W) float, its probability. On the picture's device."""

    labels: Tensor
    confidence: Tensor


@torch.no_grad()
def segment_image(
    loaded: LoadedNetwork, image: Tensor, *, hha: Tensor | None = None, clean: bool = False
) -> Segmentation:
    """Best class of every pixel; the regulariser has no part in it and costs nothing here, unless it cleans.

    loaded: of `load_network`; its network is moved to the image's device. image: (3, H, W), RGB, 0..1.
    hha: (3, H, W), 0..1 (`lib.data.hha`), for networks that read it.
    clean: the probabilities are cleaned along the picture's edges (`free_minimum`) before the best is taken. Choice:
    ours; weight and sigma are the best for the shipped network on simulated rooms.
    Raises ShapeError for another form, DataMissing where the network reads HHA and none is given.
    """
    check_image("image", image)
    channels = loaded.settings.channels
    if channels == "rgb":
        given = image
    elif hha is None:
        raise DataMissing(f"this network reads {channels}: give hha, or take a network for RGB")
    elif hha.shape != image.shape:
        raise ShapeError(f"hha must have the image's shape {tuple(image.shape)}: got {tuple(hha.shape)}")
    else:
        given = hha if channels == "hha" else torch.cat([image, hha])
    network = loaded.network.to(image.device).eval()
    probabilities = network(given[None])[0].float().softmax(dim=0)
    if clean:
        probabilities = free_minimum(probabilities, image)
    best = probabilities.max(dim=0)
    return Segmentation(labels=best.indices, confidence=best.values)


def segment_video(loaded: LoadedNetwork, frames: Iterable[Tensor]) -> Iterator[Segmentation]:
    """`segment_image` of each frame (3, H, W), one after the other: one frame is held at a time."""
    for frame in frames:
        yield segment_image(loaded, frame)
