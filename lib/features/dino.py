"""DINO's vision transformers (Caron et al. 2021) through timm: keys of the last block, positions for any size."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.features.extractor import IMAGENET_MEAN, IMAGENET_STD, Facet

# name: width, heads of attention, side of a patch
FORMS = {
    "dino_vits16": ("small", 16),
    "dino_vits8": ("small", 8),
    "dino_vitb16": ("base", 16),
    "dino_vitb8": ("base", 8),
}
# the original adds this to the grid's sides before it divides them by the table's, against rounding down
SIZE_GUARD = 0.1


class DINO(nn.Module):
    """Pictures (B, 3, H, W), RGB, 0..1, sides multiples of the patch, to features (B, N, D) without the class token.

    `key` runs the last block up to its keys only, heads side by side; `token` runs all and the final norm.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, facet: Facet) -> None:
        super().__init__()
        import timm

        width, self.patch_px = FORMS[name]
        trunk: Any = timm.create_model(f"vit_{width}_patch{self.patch_px}_224", num_classes=0)
        self.trunk: Any = trunk
        self.multiple = self.patch_px
        self.dim = int(trunk.embed_dim)
        self.facet = facet
        self.identity = facet
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    @staticmethod
    def rename(key: str) -> str | None:
        """timm's name of a key of the original's files; projection heads of a training checkpoint are left out."""
        key = key.removeprefix("backbone.")
        return None if key.startswith("head.") else key

    def expect(self, state: dict[str, Tensor]) -> None:
        """Any file is tried: `fill` says what does not fit."""

    def forward(self, image: Tensor) -> Tensor:
        maps = self.trunk.patch_embed.proj((image - self.mean) / self.std)
        tokens = torch.cat([self.trunk.cls_token.expand(len(maps), -1, -1), maps.flatten(2).transpose(1, 2)], dim=1)
        tokens = tokens + self.positions(maps.shape[-2], maps.shape[-1])
        for block in self.trunk.blocks[:-1]:
            tokens = block(tokens)
        last = self.trunk.blocks[-1]
        if self.facet == "token":
            return self.trunk.norm(last(tokens))[:, 1:]
        return last.attn.qkv(last.norm1(tokens)).chunk(3, dim=-1)[1][:, 1:]

    def positions(self, rows: int, columns: int) -> Tensor:
        """Position table (1, 1 + rows * columns, D), class token first, resized from the grid it was trained on."""
        table = self.trunk.pos_embed
        side = round((table.shape[1] - 1) ** 0.5)
        if (rows, columns) == (side, side):
            return table
        grid = table[:, 1:].transpose(1, 2).unflatten(2, (side, side))
        scale = ((rows + SIZE_GUARD) / side, (columns + SIZE_GUARD) / side)
        resized = F.interpolate(grid, scale_factor=scale, mode="bicubic")
        return torch.cat([table[:, :1], resized.flatten(2).transpose(1, 2)], dim=1)
