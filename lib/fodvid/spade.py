"""SPADE's normalisation, residual block and decoder: a picture is made under the guidance of a map (fact sheet sec. 6).

The map sets scale and shift of every normalisation, pixel by pixel, so that what it shows is not washed out on the way.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from lib.errors import SpecError

Norm = Literal["batch", "instance"]
SLOPE = 0.2
PUBLISHED_GAIN = 0.02
BLOCKS = ("head_0", "middle_0", "middle_1", "up_0", "up_1", "up_2", "up_3")
# channels of a block's output over the width; at most the trunk's
MULTIPLES = (16, 16, 16, 8, 4, 2, 1)
# kinds of pixel per axis inside a cell of an enlarged map: a 3x3 convolution sees one pixel to each side, two see two
NEAR_KINDS = 3
FAR_KINDS = 5


def convolution(
    in_channels: int, out_channels: int, *, side: int = 3, bias: bool = True, spectral: bool = False
) -> nn.Module:
    """Convolution that keeps the size, with the published start: Xavier normal weights, biases 0.

    spectral: the weights are divided by their largest singular value (one power iteration a training step).
    """
    layer = nn.Conv2d(in_channels, out_channels, side, padding=side // 2, bias=bias)
    nn.init.xavier_normal_(layer.weight, gain=PUBLISHED_GAIN)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    if spectral:
        register_parametrization(layer, "weight", SpectralNorm(layer.weight))
    return layer


class SpectralNorm(nn.Module):
    """Weights over an estimate of their largest singular value, as a matrix of one row per output channel.

    A training step refines the estimate by one power iteration, the left vector's turn first: torch's own
    parametrization begins with the right one, and the published numbers tell the two apart.
    """

    left: Tensor
    right: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows = weight.detach().flatten(1)
        self.register_buffer("left", F.normalize(torch.randn(len(rows)), dim=0))
        self.register_buffer("right", F.normalize(rows.T @ self.left, dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        """The weights divided; both vectors stay as they are outside training."""
        with torch.autocast(weight.device.type, enabled=False):
            rows = weight.flatten(1)
            left, right = self.left.clone(), self.right.clone()
            if self.training:
                with torch.no_grad():
                    right = F.normalize(rows.T @ left, dim=0)
                    left = F.normalize(rows @ right, dim=0)
                    self.right.copy_(right)
                    self.left.copy_(left)
            return weight / (left @ rows @ right)


class SpadeNorm(nn.Module):
    """Normalisation without weights of its own; scale and shift come from the map: norm(x) (1 + gamma) + beta.

    channels: of x. map_channels: of the map. hidden: channels between the map and gamma, beta (published: 128).
    """

    def __init__(self, channels: int, map_channels: int, *, norm: Norm = "batch", hidden: int = 128) -> None:
        super().__init__()
        if norm not in get_args(Norm):
            raise SpecError(f"norm must be one of {', '.join(get_args(Norm))}: got {norm!r}")
        kind = nn.BatchNorm2d if norm == "batch" else nn.InstanceNorm2d
        self.norm = kind(channels, affine=False)
        self.shared = convolution(map_channels, hidden)
        self.gamma = convolution(hidden, channels)
        self.beta = convolution(hidden, channels)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """x (B, channels, H, W) under the map `guide` (B, map_channels, any size), which is resized to nearest."""
        gamma, beta = self.modulation(guide, (x.shape[-2], x.shape[-1]))
        return self.norm(x) * (1 + gamma) + beta

    def modulation(self, guide: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """gamma and beta (B, channels, *size).

        A map that is enlarged gives the same numbers again and again inside its cells: each convolution is computed
        on the few kinds of pixel that it can tell apart, and its result repeated. Nothing else changes.
        """
        rows, columns = guide.shape[-2:]
        factor = size[0] // rows
        if size != (rows * factor, columns * factor):
            factor = 0  # made smaller, or not by a whole factor
        if factor <= NEAR_KINDS:
            resized = guide if guide.shape[-2:] == size else F.interpolate(guide, size=size, mode="nearest")
            hidden = F.relu(self.shared(resized))
            return self.gamma(hidden), self.beta(hidden)
        near = F.interpolate(guide, scale_factor=NEAR_KINDS, mode="nearest")
        hidden = _repeat_middle(F.relu(self.shared(near)), NEAR_KINDS, min(factor, FAR_KINDS))
        gamma, beta = self.gamma(hidden), self.beta(hidden)
        if factor <= FAR_KINDS:
            return gamma, beta
        return _repeat_middle(gamma, FAR_KINDS, factor), _repeat_middle(beta, FAR_KINDS, factor)


def _repeat_middle(planes: Tensor, kinds: int, factor: int) -> Tensor:
    """Planes (..., kinds rows, kinds columns) with the middle one of each `kinds` repeated until there are `factor`."""
    edge = kinds // 2
    for axis in (-2, -1):
        first, middle, last = planes.unflatten(axis, (-1, kinds)).split((edge, 1, edge), dim=axis)
        widths = [-1] * middle.ndim
        widths[axis] = factor - kinds + 1
        planes = torch.cat([first, middle.expand(widths), last], dim=axis).flatten(axis - 1, axis)
    return planes


class SpadeBlock(nn.Module):
    """Residual block of two 3x3 convolutions, each after a SpadeNorm and a leaky ReLU.

    Where the number of channels changes, the shortcut is a 1x1 convolution with a SpadeNorm and no activation.
    spectral: spectral norm on its convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        map_channels: int,
        *,
        norm: Norm = "batch",
        spectral: bool = False,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        middle = min(in_channels, out_channels)
        self.norm_0 = SpadeNorm(in_channels, map_channels, norm=norm, hidden=hidden)
        self.norm_1 = SpadeNorm(middle, map_channels, norm=norm, hidden=hidden)
        self.conv_0 = convolution(in_channels, middle, spectral=spectral)
        self.conv_1 = convolution(middle, out_channels, spectral=spectral)
        self.norm_shortcut: SpadeNorm | None = None
        self.shortcut: nn.Module = nn.Identity()
        if in_channels != out_channels:
            self.norm_shortcut = SpadeNorm(in_channels, map_channels, norm=norm, hidden=hidden)
            self.shortcut = convolution(in_channels, out_channels, side=1, bias=False, spectral=spectral)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """x (B, in_channels, H, W) under the map (B, map_channels, any size) gives (B, out_channels, H, W)."""
        straight = x if self.norm_shortcut is None else self.shortcut(self.norm_shortcut(x, guide))
        inner = self.conv_0(F.leaky_relu(self.norm_0(x, guide), SLOPE))
        inner = self.conv_1(F.leaky_relu(self.norm_1(inner, guide), SLOPE))
        return straight + inner


class SpadeDecoder(nn.Module):
    """SPADE's generator after its first map: a 3x3 trunk, seven blocks with nearest doubling before some, a 3x3 head.

    in_channels: of the input. map_channels: of the map. out_channels: of the result, without a last activation.
    doubled: blocks whose input is made twice as large; the published generator's are middle_0 and up_0 to up_3.
    width: channels of the last block; those before have 2, 4, 8 and 16 times as many, at most `max_channels`.
    Raises SpecError for an unknown block or a size below one.
    """

    def __init__(
        self,
        in_channels: int,
        map_channels: int,
        out_channels: int,
        *,
        doubled: Sequence[str],
        width: int = 64,
        max_channels: int = 1024,
        norm: Norm = "batch",
        spectral: bool = False,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        unknown = [name for name in doubled if name not in BLOCKS]
        if unknown:
            raise SpecError(f"doubled must name blocks out of {', '.join(BLOCKS)}: got {', '.join(unknown)}")
        sizes = {"in_channels": in_channels, "map_channels": map_channels, "out_channels": out_channels}
        for name, value in {**sizes, "width": width, "max_channels": max_channels, "hidden": hidden}.items():
            if value < 1:
                raise SpecError(f"{name} must be at least 1: got {value}")
        self.doubled = frozenset(doubled)
        channels = min(16 * width, max_channels)
        self.trunk = convolution(in_channels, channels)
        self.blocks = nn.ModuleDict()
        for name, multiple in zip(BLOCKS, MULTIPLES, strict=True):
            wanted = min(multiple * width, max_channels)
            self.blocks[name] = SpadeBlock(channels, wanted, map_channels, norm=norm, spectral=spectral, hidden=hidden)
            channels = wanted
        self.head = convolution(channels, out_channels)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        """x (B, in_channels, rows, columns) under the map (B, map_channels, any size); twice the size per doubling."""
        x = self.trunk(x)
        for name, block in self.blocks.items():
            if name in self.doubled:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(x, guide)
        return self.head(F.leaky_relu(x, SLOPE))
