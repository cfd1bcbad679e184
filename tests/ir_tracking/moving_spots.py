"""Clips of Gaussian spots on known paths, and a stand-in for a trained network that looks for the brightest place."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib.ir_tracking.network import RegionMaps
from lib.ir_tracking.network_settings import NetworkSettings

SMALL = NetworkSettings.small().but(ratios=(1,), scales=(2.5,))


@dataclass(frozen=True)
class Clip:
    """frames (T, 1, H, W), boxes (T, 4), visible (T,)."""

    frames: Tensor
    boxes: Tensor
    visible: Tensor


def spot_clip(
    path: Tensor, *, size: tuple[int, int] = (96, 112), height: float = 20.0, noise: float = 1.0, seed: int = 0
) -> Clip:
    """A spot of 3x3 pixels whose centre goes along `path` (T, 2), x then y, on white noise around 100."""
    generator = torch.Generator().manual_seed(seed)
    rows, columns = torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5
    frames = 100 + noise * torch.randn(len(path), 1, *size, generator=generator)
    distance = (columns - path[:, :1])[:, None].square() + (rows - path[:, 1:])[:, :, None].square()
    frames = frames + height * torch.exp(-distance / 2)[:, None]
    boxes = torch.cat([path - 1.5, torch.full_like(path, 3.0)], dim=1)
    return Clip(frames, boxes, torch.ones(len(path), dtype=torch.bool))


def straight(
    num_frames: int = 20, *, start: tuple[float, float] = (30.0, 40.0), step: tuple[float, float] = (1.3, -0.7)
) -> Tensor:
    """Centres (T, 2) along a line."""
    return torch.tensor(start) + torch.arange(num_frames)[:, None] * torch.tensor(step)


class Brightest(nn.Module):
    """Scores a cell by its 9x9 pixels of the standardised crop; boxes lie around the brightest 9x9 near the cell."""

    def __init__(self, settings: NetworkSettings = SMALL) -> None:
        super().__init__()
        self.settings = settings
        self.weight = nn.Parameter(torch.zeros(()))
        self.num_templates = 0

    def template(self, crops: Tensor) -> list[Tensor]:
        """Counts them."""
        assert crops.shape[1:] == (3, self.settings.template_px, self.settings.template_px)
        self.num_templates += len(crops)
        return [crops]

    def search(self, kernels: list[Tensor], crops: Tensor) -> RegionMaps:
        """Logit 0 at a mean of five deviations."""
        assert len(kernels[0]) == len(crops)
        size = crops.shape[-1]
        smooth = F.avg_pool2d(crops[:, :1], 9, stride=1, padding=4)
        cells = self.settings.map_size(size)
        middle = torch.arange(cells) * self.settings.stride + size // 2 - cells // 2 * self.settings.stride
        start, end = int(middle[0]) - 8, int(middle[-1]) + 9
        _, where = F.max_pool2d(smooth[..., start:end, start:end], 17, self.settings.stride, return_indices=True)
        columns, rows = (place[:, 0] + start for place in (where % (end - start), where // (end - start)))
        logits = 2 * (smooth[:, 0][:, middle][:, :, middle] - 5)
        dx, dy = (columns - middle) / 10, (rows - middle[:, None]) / 10
        classes = torch.stack([torch.zeros_like(logits), logits], dim=1)
        return RegionMaps(classes, torch.stack([dx, dy, torch.zeros_like(dx), torch.zeros_like(dx)], dim=1))
