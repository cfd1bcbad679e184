"""SegNet (Badrinarayanan, Kendall, Cipolla 2015), the paper's second host (sec. 3.3)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.context_reg.vgg import Input, Modality, Trunk, check_width, convolutions, copy_trunk, narrowed, start_he
from lib.errors import DataMissing

BN_SHIFT = 0.001  # SegNet-Tutorial: scale 1, shift 0.001
SHORTEST_PX = 32  # five poolings by 2 leave one pixel
# decoder by stage: output channels of its convolutions in units of the width; 0: the classes
DECODER = ((8, 8, 8), (8, 8, 4), (4, 4, 2), (2, 1), (1, 0))


@dataclass(frozen=True, eq=False)
class Pooled:
    """What a pooling leaves behind for its unpooling: the indices, and the size before it."""

    indices: Tensor
    size: tuple[int, int]


class Layer(nn.Module):
    """3x3 convolution, batch normalisation, ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1)
        self.bn = nn.BatchNorm2d(after)
        nn.init.constant_(self.bn.bias, BN_SHIFT)

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(maps)))


class LastLayer(nn.Module):
    """3x3 convolution to the scores, without normalisation."""

    def __init__(self, before: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, num_classes, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return self.conv(maps)


class SegNet(nn.Module):
    """Pictures (B, 3, H, W), 0..1, to scores (B, num_classes, H, W), at any size.

    width: channels of the first block; 64 is the paper's, fewer are for small machines, all layers in proportion.
    Choice: pictures with a side below 32 pixels are continued by their border pixels and the scores cut off again.
    """

    def __init__(self, num_classes: int, *, width: int = 64, modality: Modality = "rgb") -> None:
        super().__init__()
        check_width(num_classes, width)
        self.num_classes, self.width = num_classes, width
        self.input = Input(modality)
        self.encoder: list[list[str]] = []
        for block in convolutions(width):
            self.encoder.append([f"enc{place}" for place, _, _ in block])
            for place, before, after in block:
                self.add_module(f"enc{place}", Layer(before, after))
        self.decoder: list[list[str]] = []
        before = 8 * width
        for stage, factors in zip(range(5, 0, -1), DECODER, strict=True):
            self.decoder.append([f"dec{stage}_{number + 1}" for number in range(len(factors))])
            for name, factor in zip(self.decoder[-1], factors, strict=True):
                layer = Layer(before, factor * width) if factor else LastLayer(before, num_classes)
                self.add_module(name, layer)
                before = factor * width
        start_he(self)

    def start_from(self, trunk: Trunk) -> None:
        """Takes over VGG-16 (`read_trunk`) as the encoder's convolutions."""
        layers = {}
        for block in self.encoder:
            for name in block:
                conv = self.get_submodule(f"{name}.conv")
                if isinstance(conv, nn.Conv2d):
                    layers[name.removeprefix("enc")] = conv
        copy_trunk(layers, narrowed(trunk, self.width))

    def encode(self, prepared: Tensor) -> tuple[Tensor, list[Pooled]]:
        """Bottleneck (B, 8 width, h, w) and what the five poolings leave behind, first to last."""
        maps, pooled = prepared, []
        for block in self.encoder:
            for name in block:
                maps = self.get_submodule(name)(maps)
            size = (maps.shape[-2], maps.shape[-1])
            maps, indices = F.max_pool2d(maps, 2, return_indices=True)
            pooled.append(Pooled(indices, size))
        return maps, pooled

    def decode(self, maps: Tensor, pooled: list[Pooled]) -> Tensor:
        """Scores (B, num_classes, H, W): each unpooling puts values where its pooling took them from."""
        for block, place in zip(self.decoder, reversed(pooled), strict=True):
            maps = F.max_unpool2d(maps, place.indices, [2, 2], output_size=list(place.size))
            for name in block:
                maps = self.get_submodule(name)(maps)
        return maps

    def score(self, prepared: Tensor) -> Tensor:
        """Scores (B, num_classes, H, W); `prepared` is what `input` gives."""
        return self.decode(*self.encode(prepared))

    def forward(self, image: Tensor) -> Tensor:
        prepared = self.input(image)
        height, width = image.shape[-2:]
        right, below = max(SHORTEST_PX - width, 0), max(SHORTEST_PX - height, 0)
        if right or below:
            prepared = F.pad(prepared, (0, right, 0, below), mode="replicate")
        return self.score(prepared)[..., :height, :width]


@torch.no_grad()
def recompute_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Sets every batch normalisation's test statistics to those of the given pictures, and nothing else.

    batches: of pictures for `network`. Statistics are the averages of the batches' means and unbiased variances, with
    the weights as they are now. Source: SegNet-Tutorial, which does so over the training set after the training.
    A network without batch normalisation stays as it is. Raises DataMissing without a batch.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    was_training = network.training
    momenta = [layer.momentum for layer in norms]
    network.eval()
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # a running average in which all batches count alike
        layer.train()
    num_batches = 0
    for batch in batches:
        network(batch)
        num_batches += 1
    for layer, momentum in zip(norms, momenta, strict=True):
        layer.momentum = momentum
    network.train(was_training)
    if not num_batches:
        raise DataMissing("the statistics of a batch normalisation need at least one batch of pictures: got none")
