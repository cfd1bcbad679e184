"""GMFlow's steps after the features: matching by softmax, flow propagation by self-similarity, convex up-sampling."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.flow.correlation import local_correlation
from lib.flow.sampling import pixel_grid


def match_globally(first: Tensor, second: Tensor) -> Tensor:
    """Flow (B, 2, H, W) from features (B, C, H, W): expected position among all pixels of `second`, minus the own one.

    The probability of a match is the softmax of <first, second> / sqrt(C).
    """
    grid = pixel_grid(first)
    return attend(first, second, grid.expand(len(first), -1, -1, -1)) - grid


def match_locally(first: Tensor, second: Tensor, *, radius: int) -> Tensor:
    """Flow (B, 2, H, W): expected displacement in a window around the own position; places outside have no chance."""
    scores = local_correlation(first, second, radius=radius) / math.sqrt(first.shape[1])
    ones = torch.ones_like(first[:1, :1])
    inside = local_correlation(ones, ones, radius=radius) > 0
    probability = scores.masked_fill(~inside, -torch.inf).softmax(dim=1)
    steps = torch.arange(-radius, radius + 1, device=first.device, dtype=first.dtype)
    displacements = torch.stack(torch.meshgrid(steps, steps, indexing="xy")).flatten(1)  # x, y; rows of windows
    return torch.einsum("bnhw,kn->bkhw", probability, displacements)


def attend(query: Tensor, key: Tensor, planes: Tensor) -> Tensor:
    """Planes (B, P, H, W) averaged over all pixels, with weights softmax(<query, key> / sqrt(C)); P at most C.

    The planes are filled up to C channels, because fused attention, which never stores the weights of all pairs of
    pixels, wants values as wide as keys.
    """
    batch, channels, height, width = query.shape
    value = _tokens(F.pad(planes.to(query.dtype), (0, 0, 0, 0, 0, channels - planes.shape[1])))
    mean = F.scaled_dot_product_attention(_tokens(query), _tokens(key), value)[:, 0, :, : planes.shape[1]]
    return mean.transpose(1, 2).reshape(batch, -1, height, width)


class FlowPropagation(nn.Module):
    """Flow spread to pixels that look alike in the first picture, which reaches hidden and outside places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(channels, channels)
        self.k_proj = nn.Linear(channels, channels)

    def forward(self, features: Tensor, flow: Tensor, *, radius: int | None) -> Tensor:
        """Flow (B, 2, H, W) averaged over the whole picture, or over a window of `radius` with zeros outside.

        Globally the key map reads the query, not the features: a slip that the published weights were trained with.
        """
        query = _project(self.q_proj, features)
        if radius is None:
            return attend(query, _project(self.k_proj, query), flow)
        key = _project(self.k_proj, features)
        weights = (local_correlation(query, key, radius=radius) / math.sqrt(query.shape[1])).softmax(dim=1)
        neighbours = F.unfold(flow, 2 * radius + 1, padding=radius).view(len(flow), 2, -1, *flow.shape[-2:])
        return torch.einsum("bnhw,bknhw->bkhw", weights, neighbours)


def upsample_convex(flow: Tensor, logits: Tensor, *, factor: int) -> Tensor:
    """Flow (B, 2, factor H, factor W), each pixel a convex mean of the nine coarse neighbours, zero outside.

    flow: (B, 2, H, W), coarse pixels. logits: (B, 9 factor^2, H, W), neighbours outermost, then y and x in the cell.
    """
    batch, _, height, width = flow.shape
    weights = logits.view(batch, 9, factor, factor, height, width).softmax(dim=1)
    neighbours = F.unfold(factor * flow, 3, padding=1).view(batch, 2, 9, 1, 1, height, width)
    # one channel at a time: a third of the time of one contraction, which first reorders the weights
    cells = torch.stack([(weights * channel).sum(dim=1) for channel in neighbours.unbind(1)], dim=1)
    return cells.permute(0, 1, 4, 2, 5, 3).reshape(batch, 2, factor * height, factor * width)


def _tokens(planes: Tensor) -> Tensor:
    """(B, C, H, W) as (B, 1, H W, C) without gaps, which attention reads at more than twice the speed."""
    return planes.flatten(2).transpose(1, 2).contiguous()[:, None]


def _project(linear: nn.Linear, features: Tensor) -> Tensor:
    """A linear map of the channels of planes (B, C, H, W)."""
    return linear(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
