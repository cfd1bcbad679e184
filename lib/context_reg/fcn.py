"""FCN-32s (Long, Shelhamer, Darrell 2015), the paper's first host, and its late fusion of RGB and HHA (sec. 3.2)."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.context_reg.vgg import (
    INPUT_SPREAD,
    Input,
    Modality,
    Trunk,
    check_pictures,
    check_width,
    convolutions,
    copy_trunk,
    narrowed,
    start_he,
)
from lib.errors import SpecError

Padding = Literal["input", "head"]
STRIDE = 32
PAD, CROP = 100, 19  # FCN repository
HEAD_SIDE, HEAD_CROP = 7, 16  # side of fc6; crop where the padding is at fc6: a cell's centre lies at 15.5 of 32
HEAD_FACTOR = 64  # channels of fc6 and fc7 in units of the width
DROPOUT = 0.5


def bilinear_kernel(side: int) -> Tensor:
    """Weights (side, side), float64, of a transposed convolution that up-samples bilinearly; FCN repository.

    The factor is (side + 1) // 2; the kernel is (1 - |x - centre| / factor) along each axis.
    """
    factor = (side + 1) // 2
    centre = factor - 1.0 if side % 2 else factor - 0.5
    line = 1 - (torch.arange(side, dtype=torch.float64) - centre).abs() / factor
    return line[:, None] * line[None]


class FCN32s(nn.Module):
    """Pictures (B, 3, H, W), 0..1, to scores (B, num_classes, H, W), at any size.

    width: channels of the first block; 64 is the paper's, fewer are for small machines, all layers in proportion.
    padding: "input" puts 100 zeros around the picture, as published; "head" puts 3 around fc6 instead and saves what
    the zeros cost, which at 120x160 is five sixths of the work. Choice: "input" is the default.
    modality: what the picture is, for the mean to subtract. Score weights start at 0, up-sampling is fixed.
    """

    up: Tensor

    def __init__(
        self,
        num_classes: int,
        *,
        width: int = 64,
        padding: Padding = "input",
        modality: Modality = "rgb",
        dropout: float = DROPOUT,
    ) -> None:
        super().__init__()
        check_width(num_classes, width)
        if padding not in get_args(Padding):
            raise SpecError(f"padding must be one of {', '.join(get_args(Padding))}: got {padding!r}")
        self.num_classes, self.width, self.padding, self.dropout = num_classes, width, padding, dropout
        self.input = Input(modality)
        self.names: list[list[str]] = []
        for block in convolutions(width):
            self.names.append([f"conv{place}" for place, _, _ in block])
            for place, before, after in block:
                pad = PAD if place == "1_1" and padding == "input" else 1
                self.add_module(f"conv{place}", nn.Conv2d(before, after, 3, padding=pad))
        head = HEAD_FACTOR * width
        pad = HEAD_SIDE // 2 if padding == "head" else 0
        self.fc6 = nn.Conv2d(8 * width, head, HEAD_SIDE, padding=pad)
        self.fc7 = nn.Conv2d(head, head, 1)
        self.score_fr = nn.Conv2d(head, num_classes, 1)
        self.register_buffer("up", bilinear_kernel(2 * STRIDE).float(), persistent=False)
        start_he(self)
        with torch.no_grad():
            # the input's levels spread by about 60, He's start expects 1
            self.get_parameter("conv1_1.weight").div_(INPUT_SPREAD)
            nn.init.zeros_(self.score_fr.weight)

    def start_from(self, trunk: Trunk) -> None:
        """Takes over VGG-16 (`read_trunk`); fc6 and fc7 where the trunk has them and the width is 64."""
        layers = {}
        for name in [*(name for block in self.names for name in block), "fc6", "fc7"]:
            layer = self.get_submodule(name)
            if isinstance(layer, nn.Conv2d):
                layers[name.removeprefix("conv")] = layer
        copy_trunk(layers, narrowed(trunk, self.width))

    def pool5(self, prepared: Tensor) -> Tensor:
        """(B, 8 width, h, w) after the fifth pooling; `prepared` is what `input` gives."""
        maps = prepared
        for block in self.names:
            for name in block:
                maps = F.relu(self.get_submodule(name)(maps))
            maps = F.max_pool2d(maps, 2, ceil_mode=True)
        return maps

    def score(self, prepared: Tensor) -> Tensor:
        """Scores on the coarse grid (B, num_classes, h, w); `prepared` is what `input` gives."""
        maps = F.dropout(F.relu(self.fc6(self.pool5(prepared))), self.dropout, self.training)
        maps = F.dropout(F.relu(self.fc7(maps)), self.dropout, self.training)
        return self.score_fr(maps)

    def upscore(self, scores: Tensor) -> Tensor:
        """Coarse scores, bilinearly on a grid 32 times as fine, before the crop."""
        kernel = self.up.to(scores.dtype).expand(scores.shape[1], 1, -1, -1)
        return F.conv_transpose2d(scores, kernel, stride=STRIDE, groups=scores.shape[1])

    def cropped(self, fine: Tensor, size: tuple[int, int]) -> Tensor:
        """The picture's part of `upscore`; size: its (H, W)."""
        top = CROP if self.padding == "input" else HEAD_CROP
        return fine[..., top : top + size[0], top : top + size[1]]

    def forward(self, image: Tensor) -> Tensor:
        scores = self.score(self.input(image))
        return self.cropped(self.upscore(scores), (image.shape[-2], image.shape[-1]))


class FusedFCN32s(nn.Module):
    """RGB and HHA (B, 6, H, W), 0..1, in this order, to scores (B, num_classes, H, W): two FCN-32s, fused late.

    Choice: the mean of the two coarse score maps before they are up-sampled, as in the FCN repository.
    """

    def __init__(
        self, num_classes: int, *, width: int = 64, padding: Padding = "input", dropout: float = DROPOUT
    ) -> None:
        super().__init__()
        self.rgb = FCN32s(num_classes, width=width, padding=padding, modality="rgb", dropout=dropout)
        self.hha = FCN32s(num_classes, width=width, padding=padding, modality="hha", dropout=dropout)

    def start_from(self, trunk: Trunk, hha: Trunk) -> None:
        """Takes over VGG-16 in both towers: `read_trunk(...)`, and the same with `modality="hha"`."""
        self.rgb.start_from(trunk)
        self.hha.start_from(hha)

    def forward(self, image: Tensor) -> Tensor:
        check_pictures(image, 6)
        rgb, hha = image[:, :3], image[:, 3:]
        scores = (self.rgb.score(self.rgb.input(rgb)) + self.hha.score(self.hha.input(hha))) / 2
        return self.rgb.cropped(self.rgb.upscore(scores), (image.shape[-2], image.shape[-1]))
