"""A red square that moves over a grey scene: frames, features, true masks and exact flows."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.fodvid.clips import Clip
from lib.fodvid.train import SegmenterSettings

HEIGHT, WIDTH, PATCH = 32, 48, 4
SPEED = 2  # pixels a frame, to the right
TINY: dict[str, Any] = {
    "size": (HEIGHT, WIDTH),
    "width": 2,
    "max_channels": 8,
    "modulation_width": 4,
    "spectral": False,
    "epochs": 2,
    "batch_size": 3,
    "learning_rate": 1e-2,
    "device": "cpu",
}


def tiny(**changes: Any) -> SegmenterSettings:
    return SegmenterSettings(**{**TINY, **changes})


def true_masks(num_frames: int = 6) -> Tensor:
    masks = torch.zeros(num_frames, HEIGHT, WIDTH, dtype=torch.bool)
    for idx in range(num_frames):
        masks[idx, 10:22, 6 + SPEED * idx : 18 + SPEED * idx] = True
    return masks


def frames(num_frames: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    grey = 0.3 + 0.4 * torch.rand(1, 1, HEIGHT, WIDTH, generator=generator).expand(num_frames, 3, -1, -1)
    red = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
    return torch.where(true_masks(num_frames)[:, None], red, grey)


def features(num_frames: int = 6) -> Tensor:
    return F.avg_pool2d(frames(num_frames), PATCH)


def flow(frame: int, offset: int) -> Tensor:
    """The square's motion everywhere: wrong for the still background, which looks the same all over to the masks."""
    return torch.tensor([float(SPEED * offset), 0.0]).view(2, 1, 1).expand(2, HEIGHT, WIDTH)


def scene(num_frames: int = 6, *, masks: Tensor | None = None, **changes: Any) -> Clip:
    parts: dict[str, Any] = {
        "features": features(num_frames),
        "masks": true_masks(num_frames) if masks is None else masks,
        "flows": flow,
        "images": frames(num_frames),
        "name": "square",
    }
    return Clip(**{**parts, **changes})


def counted(function: Callable[..., Tensor]) -> tuple[Callable[..., Tensor], list[tuple[int, ...]]]:
    """The function, and the list of the arguments that it was called with."""
    calls: list[tuple[int, ...]] = []

    def call(*args: int) -> Tensor:
        calls.append(args)
        return function(*args)

    return call, calls
