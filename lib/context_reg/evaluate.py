"""Scores of a network on labelled pictures."""

import torch
from torch import nn

from lib.context_reg.batches import Data, check_labels, read_channels
from lib.context_reg.networks import NetworkSettings
from lib.metrics.segmentation import SegmentationMeter


@torch.no_grad()
def count(
    network: nn.Module,
    settings: NetworkSettings,
    data: Data,
    *,
    rank: int = 0,
    world: int = 1,
    details: bool = True,
) -> SegmentationMeter:
    """Counts of the network's predictions on labelled pictures, on its device; `.scores()` gives per cent.

    rank, world: every world-th picture from `rank` on alone. details: with boundaries and small objects.
    """
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    meter, pictures = SegmentationMeter(settings.num_classes, details=details), data
    for idx in range(rank, len(pictures), world):  # type: ignore[arg-type]
        picture = pictures[idx]
        check_labels(picture, settings.num_classes)
        scores = network(read_channels(picture, settings.channels)[None].to(device))
        meter.add(scores[0].argmax(0).cpu(), picture.labels.cpu())
    network.train(was_training)
    return meter
