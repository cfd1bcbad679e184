"""The improved Siamese network (sec. 2.3): AlexNet's trunk, conv3 to conv5 fused, and region selection by anchors."""

from copy import deepcopy
from itertools import pairwise
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from lib.errors import ShapeError
from lib.ir_tracking.network_settings import FIRST_STRIDE, NetworkSettings

IN_PLANES = 3
FUSION_POOLS = (5, 3, 1)  # eq. 5: bring conv3, conv4 and conv5 to one size without a loss of stride
RESPONSE_SCALE = 1e-3 * 256 * 6 * 6  # SiamFC's code: 0.001 of a sum over 256 x 6 x 6 products


class RegionMaps(NamedTuple):
    """What region selection chooses from (eqs 8-9).

    classes: (B, 2m, n, n), background and target for each anchor, anchors innermost; or (B, 1, n, n), SiamFC.
    offsets: (B, 4m, n, n), dx, dy, ln w, ln h relative to the anchors; None without region selection.
    """

    classes: Tensor
    offsets: Tensor | None


class Trunk(nn.Module):
    """AlexNet without padding: (B, 3, s, s) to the maps of conv3, conv4 and conv5, each 2 smaller than the last.

    Source: SiamRPN; norm after each convolution, pooling before ReLU, none after conv5.
    """

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        kernels, strides = (11, 5, 3, 3, 3), (FIRST_STRIDE, 1, 1, 1, 1)
        widths = (IN_PLANES, *settings.channels)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, kernel, stride)
            for (before, after), kernel, stride in zip(pairwise(widths), kernels, strides, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in settings.channels)
        self.pool_strides = settings.pool_strides

    def forward(self, crops: Tensor) -> list[Tensor]:
        """Features of conv3, conv4 (both after ReLU) and conv5."""
        x, features = crops, []
        for idx, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            if idx < len(self.pool_strides):
                x = F.max_pool2d(x, 3, self.pool_strides[idx])
            if idx < len(self.convs) - 1:
                x = F.relu(x)
            if idx >= len(self.pool_strides):
                features.append(x)
        return features


class Fusion(nn.Module):
    """Eqs 5-7: max-pool three layers to one size, normalise each, concatenate, one 1x1 convolution."""

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        widths = settings.channels[-len(FUSION_POOLS) :]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.conv = nn.Conv2d(sum(widths), settings.fused_width, 1)

    def forward(self, features: list[Tensor]) -> Tensor:
        """(B, fused_width, n, n) of the maps of conv3, conv4, conv5."""
        pooled = [F.max_pool2d(x, pool, 1) for x, pool in zip(features, FUSION_POOLS, strict=True)]
        fused: Tensor = self.conv(torch.cat([norm(x) for norm, x in zip(self.norms, pooled, strict=True)], dim=1))
        return fused


class UpChannelHead(nn.Module):
    """Eqs 8-9 as SiamRPN: the template's features become 2m and 4m kernels, which the search is correlated with."""

    def __init__(self, in_width: int, settings: NetworkSettings) -> None:
        super().__init__()
        width, num = settings.head_width, settings.num_anchors
        self.template_classes = nn.Conv2d(in_width, width * 2 * num, 3)
        self.template_offsets = nn.Conv2d(in_width, width * 4 * num, 3)
        self.search_classes = nn.Conv2d(in_width, width, 3)
        self.search_offsets = nn.Conv2d(in_width, width, 3)
        self.adjust = nn.Conv2d(4 * num, 4 * num, 1)

    def kernels(self, features: Tensor) -> list[Tensor]:
        """Of the template, once."""
        return [self.template_classes(features), self.template_offsets(features)]

    def forward(self, kernels: list[Tensor], features: Tensor) -> RegionMaps:
        """Maps of the search's features."""
        classes = correlate(self.search_classes(features), kernels[0])
        return RegionMaps(classes, self.adjust(correlate(self.search_offsets(features), kernels[1])))


class DepthwiseBranch(nn.Module):
    """Correlation channel by channel and a small network over the result, as in SiamRPN++."""

    def __init__(self, in_width: int, width: int, out_width: int) -> None:
        super().__init__()
        self.template, self.search = (
            nn.Sequential(nn.Conv2d(in_width, width, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU()) for _ in range(2)
        )
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, out_width, 1)
        )

    def forward(self, kernel: Tensor, features: Tensor) -> Tensor:
        """(B, out_width, n, n)."""
        out: Tensor = self.head(correlate_depthwise(self.search(features), kernel))
        return out


class DepthwiseHead(nn.Module):
    """Eqs 8-9 with depth-wise correlation: a tenth of the up-channel form's weights."""

    def __init__(self, in_width: int, settings: NetworkSettings) -> None:
        super().__init__()
        num = settings.num_anchors
        self.classes = DepthwiseBranch(in_width, settings.head_width, 2 * num)
        self.offsets = DepthwiseBranch(in_width, settings.head_width, 4 * num)

    def kernels(self, features: Tensor) -> list[Tensor]:
        """Of the template, once."""
        return [self.classes.template(features), self.offsets.template(features)]

    def forward(self, kernels: list[Tensor], features: Tensor) -> RegionMaps:
        """Maps of the search's features."""
        return RegionMaps(self.classes(kernels[0], features), self.offsets(kernels[1], features))


class CorrelationHead(nn.Module):
    """SiamFC: one response, no anchors; the published code scales it by 0.001 and has no offset.

    Choice: gain and offset are learned, from the published ones on, the gain for as many products as there are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_gain = nn.Parameter(torch.zeros(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def kernels(self, features: Tensor) -> list[Tensor]:
        """Of the template, once."""
        return [features]

    def forward(self, kernels: list[Tensor], features: Tensor) -> RegionMaps:
        """The response as the only class map."""
        response = correlate(features, kernels[0]) * (RESPONSE_SCALE / kernels[0][0].numel())
        return RegionMaps(response * self.log_gain.exp() + self.offset, None)


class SiameseNetwork(nn.Module):
    """Template and search crops to class and offset maps; the template's part is computed once a track."""

    def __init__(self, settings: NetworkSettings | None = None) -> None:
        super().__init__()
        self.settings = settings or NetworkSettings()
        self.trunk = Trunk(self.settings)
        self.fusion = Fusion(self.settings) if self.settings.fusion else None
        width = self.settings.fused_width if self.settings.fusion else self.settings.channels[-1]
        heads = {"up_channel": UpChannelHead, "depthwise": DepthwiseHead}
        kind = heads.get(self.settings.head)
        self.head: nn.Module = CorrelationHead() if kind is None else kind(width, self.settings)

    def features(self, crops: Tensor) -> Tensor:
        """(B, c, n, n) of crops (B, 3, s, s): conv3 to conv5 fused, or conv5. Raises ShapeError for another shape."""
        if crops.ndim != 4 or crops.shape[1] != IN_PLANES or crops.shape[2] != crops.shape[3]:
            raise ShapeError(f"crops must be square with 3 planes (B, 3, s, s): got {tuple(crops.shape)}")
        self.settings.trunk_size(crops.shape[-1])
        layers = self.trunk(crops)
        fused: Tensor = layers[-1] if self.fusion is None else self.fusion(layers)
        return fused

    def template(self, crops: Tensor) -> list[Tensor]:
        """What the head keeps of templates (B, 3, template_px, template_px), for `search`."""
        kernels: list[Tensor] = self.head.kernels(self.features(crops))  # type: ignore[operator]
        return kernels

    def search(self, kernels: list[Tensor], crops: Tensor) -> RegionMaps:
        """Maps of search crops (B, 3, s, s), one for each template of `kernels`."""
        maps: RegionMaps = self.head(kernels, self.features(crops))
        return maps

    def forward(self, templates: Tensor, searches: Tensor) -> RegionMaps:
        """Both passes."""
        return self.search(self.template(templates), searches)

    def folded(self) -> Self:
        """The same network for tracking: norms inside the convolutions, channels last; evaluation mode only."""
        copy = deepcopy(self).eval()
        for module in copy.modules():
            if isinstance(module, Trunk):
                module.convs = nn.ModuleList(map(fuse_conv_bn_eval, module.convs, module.norms))  # type: ignore[arg-type]
                module.norms = nn.ModuleList(nn.Identity() for _ in module.norms)
            elif isinstance(module, Fusion):
                _fold_fusion(module)
            elif isinstance(module, nn.Sequential):
                for idx in range(len(module) - 1):
                    conv, norm = module[idx], module[idx + 1]
                    if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                        module[idx], module[idx + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
        return copy.to(memory_format=torch.channels_last)


@torch.no_grad()
def _fold_fusion(fusion: Fusion) -> None:
    """Norms before a 1x1 convolution are a gain and an offset of its inputs."""
    norms: list[nn.BatchNorm2d] = list(fusion.norms)  # type: ignore[arg-type]
    gains = [norm.weight / (_known(norm.running_var) + norm.eps).sqrt() for norm in norms]
    shifts = [norm.bias - gain * _known(norm.running_mean) for norm, gain in zip(norms, gains, strict=True)]
    weight, bias = fusion.conv.weight, _known(fusion.conv.bias)
    bias += (weight * torch.cat(shifts).view(1, -1, 1, 1)).sum(dim=(1, 2, 3))
    weight *= torch.cat(gains).view(1, -1, 1, 1)
    fusion.norms = nn.ModuleList(nn.Identity() for _ in norms)


def _known(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def correlate(features: Tensor, kernels: Tensor) -> Tensor:
    """Each sample's features (B, c, n, n) with its own kernels (B, k*c, j, j), channels innermost: (B, k, ., .)."""
    batch, channels = features.shape[:2]
    filters = kernels.reshape(-1, channels, *kernels.shape[-2:])
    flat = F.conv2d(features.reshape(1, -1, *features.shape[-2:]), filters, groups=batch)
    return flat.reshape(batch, -1, *flat.shape[-2:])


def correlate_depthwise(features: Tensor, kernels: Tensor) -> Tensor:
    """Each channel of (B, c, n, n) with its own kernel of (B, c, j, j): (B, c, ., .)."""
    batch, channels = features.shape[:2]
    filters = kernels.reshape(batch * channels, 1, *kernels.shape[-2:])
    flat = F.conv2d(features.reshape(1, -1, *features.shape[-2:]), filters, groups=batch * channels)
    return flat.reshape(batch, channels, *flat.shape[-2:])
